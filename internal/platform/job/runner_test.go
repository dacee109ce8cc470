package job_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
	"gatehouse/internal/platform/job"
)

func TestRunner_RetriesWithPausesUntilDead(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := &clock{}
		tries := make(chan int, 9)
		r := newRunner(d, c.now, job.Config{})
		r.Handle("greet", func(_ context.Context, j job.Job) error {
			tries <- j.Attempt
			if j.Attempt == 2 {
				panic("oh no")
			}
			return errors.New("no answer\x00\xff")
		})
		enqueue(t, d, "greet", "", job.Options{MaxAttempts: 3})
		start(t, r)
		for want := 1; want <= 3; want++ {
			if got := receive(t, tries, "try "+strconv.Itoa(want)); got != want {
				t.Fatalf("attempt %d, want %d", got, want)
			}
			if want == 3 {
				break
			}
			waitForError(t, d, want)
			c.forward(job.Backoff(want) * 2)
		}
		eventually(t, d, "greet", 0, 1)
		dead, err := job.ListDead(t.Context(), d, 10)
		if err != nil || len(dead) != 1 {
			t.Fatalf("dead: %v, %v", dead, err)
		}
		if dead[0].Attempts != 3 || dead[0].LastError != "no answer" || dead[0].DeadAt.IsZero() {
			t.Errorf("dead job %+v", dead[0])
		}
		c.forward(31 * 24 * time.Hour) // the clearing schedule runs again, a month later
		eventually(t, d, "greet", 0, 0)
	})
}

// waitForError waits until try n has been settled, so that its pause is known.
func waitForError(t *testing.T, d *db.DB, n int) {
	t.Helper()
	deadline := time.After(patience)
	for {
		var settled int64
		err := d.QueryRow(t.Context(), `SELECT COUNT(*) FROM jobs WHERE attempts = $1 AND lease IS NULL AND last_error <> ''`,
			int64(n)).Scan(&settled)
		if err != nil {
			t.Fatal(err)
		}
		if settled == 1 {
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			t.Fatalf("try %d was not settled", n)
		}
	}
}

func TestRunner_AbandonedIsDeadAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRunner(d, time.Now, job.Config{})
		r.Handle("greet", func(context.Context, job.Job) error { return errors.Join(job.ErrAbandon, errors.New("gone")) })
		enqueue(t, d, "greet", "", job.Options{})
		start(t, r)
		eventually(t, d, "greet", 0, 1)
	})
}

func TestRunner_RetriesAfterACrash(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		// The first runner never comes back from its handler, as if its
		// process had been killed.
		hang, release := make(chan struct{}), make(chan struct{})
		first := newRunner(d, time.Now, job.Config{Workers: 1})
		first.Handle("greet", func(context.Context, job.Job) error {
			close(hang)
			<-release
			return nil
		})
		enqueue(t, d, "greet", "", job.Options{MaxAttempts: 2})
		stopFirst := start(t, first)
		free := sync.OnceFunc(func() { close(release) })
		t.Cleanup(free)
		receive(t, hang, "the first try begins")

		c := &clock{}
		second := newRunner(d, c.now, job.Config{})
		got := make(chan int, 2)
		finish := make(chan struct{})
		second.Handle("greet", func(_ context.Context, j job.Job) error {
			got <- j.Attempt
			<-finish
			return nil
		})
		enqueue(t, d, "greet", "", job.Options{}) // proves that the second runner looks
		start(t, second)
		if n := receive(t, got, "the other job runs"); n != 1 {
			t.Fatalf("attempt %d: a leased job was taken", n)
		}
		c.forward(3 * time.Minute)
		if n := receive(t, got, "the lease runs out"); n != 2 {
			t.Errorf("attempt %d, want 2", n)
		}
		// The first one wakes up late: its lease is lost, so it must not
		// settle what the second works on.
		free()
		stopFirst()
		if waiting, _ := counts(t, d, "greet"); waiting != 2 {
			t.Errorf("%d jobs left, want both", waiting)
		}
		close(finish)
		eventually(t, d, "greet", 0, 0)
	})
}

func TestRunner_BuriesWhatKeepsKillingItsProcess(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		enqueue(t, d, "bomb", "", job.Options{MaxAttempts: 1})
		hang, release := make(chan struct{}), make(chan struct{})
		first := newRunner(d, time.Now, job.Config{})
		first.Handle("bomb", func(context.Context, job.Job) error {
			close(hang)
			<-release
			return nil
		})
		start(t, first)
		t.Cleanup(func() { close(release) })
		receive(t, hang, "the only try begins")
		second := newRunner(d, func() time.Time { return time.Now().Add(time.Hour) }, job.Config{})
		second.Handle("bomb", func(context.Context, job.Job) error {
			t.Error("tried once too often")
			return nil
		})
		start(t, second)
		eventually(t, d, "bomb", 0, 1)
	})
}

func TestRunner_NeverTwoAtATime(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		const jobs, runners = 120, 3
		for start := 0; start < jobs; start += 20 {
			err := d.Tx(t.Context(), func(tx *db.Tx) error {
				for i := start; i < start+20; i++ {
					if err := job.Enqueue(tx, "count", []byte(strconv.Itoa(i)), job.Options{}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		var mu sync.Mutex
		runs := map[string]int{}
		all := make(chan struct{})
		for range runners {
			r := newRunner(d, time.Now, job.Config{Workers: 8})
			r.Handle("count", func(_ context.Context, j job.Job) error {
				mu.Lock()
				defer mu.Unlock()
				runs[string(j.Payload)]++
				if len(runs) == jobs {
					select {
					case <-all:
					default:
						close(all)
					}
				}
				return nil
			})
			start(t, r)
		}
		receive(t, all, "every job runs")
		eventually(t, d, "count", 0, 0)
		mu.Lock()
		defer mu.Unlock()
		for payload, n := range runs {
			if n != 1 {
				t.Errorf("job %s ran %d times", payload, n)
			}
		}
	})
}

func TestRunner_FinishesWhatRunsWhenStopped(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		begun, release := make(chan struct{}), make(chan struct{})
		r := newRunner(d, time.Now, job.Config{})
		r.Handle("slow", func(ctx context.Context, _ job.Job) error {
			close(begun)
			<-release
			return ctx.Err()
		})
		enqueue(t, d, "slow", "", job.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		receive(t, begun, "the job begins")
		cancel()
		close(release)
		if err := receive(t, done, "the runner stops"); err != nil {
			t.Fatal(err)
		}
		if waiting, dead := counts(t, d, "slow"); waiting != 0 || dead != 0 {
			t.Errorf("%d waiting, %d dead after a clean stop", waiting, dead)
		}
	})
}

func TestRunner_CancelsHandlersAfterTheGrace(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		begun := make(chan struct{})
		r := newRunner(d, time.Now, job.Config{Grace: time.Millisecond})
		r.Handle("slow", func(ctx context.Context, _ job.Job) error {
			close(begun)
			<-ctx.Done()
			return ctx.Err()
		})
		enqueue(t, d, "slow", "", job.Options{})
		stop := start(t, r)
		receive(t, begun, "the job begins")
		stop()
		if waiting, dead := counts(t, d, "slow"); waiting != 1 || dead != 0 {
			t.Errorf("%d waiting, %d dead, want the job kept for another try", waiting, dead)
		}
	})
}

func TestRunner_LeavesForeignKindsAlone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		enqueue(t, d, "from.the.future", "", job.Options{})
		enqueue(t, d, "known", "", job.Options{})
		r := newRunner(d, time.Now, job.Config{})
		r.Handle("known", func(context.Context, job.Job) error { return nil })
		start(t, r)
		eventually(t, d, "known", 0, 0)
		eventually(t, d, "from.the.future", 1, 0)
	})
}

func TestEvery_OneNodeAtATime(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := &clock{}
		var running atomic.Int64
		runs := make(chan struct{}, 9)
		for range 3 {
			r := newRunner(d, c.now, job.Config{})
			r.Every("sweep", time.Hour, func(context.Context) error {
				if running.Add(1) > 1 {
					t.Error("two at a time")
				}
				defer running.Add(-1)
				runs <- struct{}{}
				return errors.New("a failure waits for the next turn")
			})
			start(t, r)
		}
		receive(t, runs, "a new schedule runs at once")
		for range 2 {
			waitForRearm(t, d)
			select {
			case <-runs:
				t.Fatal("ran again before its time")
			default:
			}
			c.forward(2 * time.Hour)
			receive(t, runs, "the schedule runs again")
		}
		if waiting, dead := counts(t, d, "every:sweep"); waiting+dead != 0 {
			t.Error("a schedule is counted as a job")
		}
	})
}

func waitForRearm(t *testing.T, d *db.DB) {
	t.Helper()
	deadline := time.After(patience)
	for {
		var n int64
		err := d.QueryRow(t.Context(), `SELECT COUNT(*) FROM jobs WHERE kind = 'every:sweep' AND lease IS NULL AND last_error <> ''`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		if n == 1 {
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			t.Fatal("the schedule was not planned again")
		}
	}
}

func TestBackoff_GrowsAndIsSpread(t *testing.T) {
	t.Parallel()
	for attempt, want := range map[int]time.Duration{1: 5 * time.Second, 2: 10 * time.Second, 5: 80 * time.Second, 20: time.Hour, 1 << 40: time.Hour} {
		seen := map[time.Duration]bool{}
		for range 50 {
			p := job.Backoff(attempt)
			if p < want*3/4 || p > want*5/4 {
				t.Errorf("pause after attempt %d: %v, want about %v", attempt, p, want)
			}
			seen[p] = true
		}
		if len(seen) < 10 {
			t.Errorf("attempt %d: pauses are not spread", attempt)
		}
	}
}
