package job_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
	"gatehouse/internal/platform/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// clock can be put forward.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

func newRunner(d *db.DB, now func() time.Time, c job.Config) *job.Runner {
	if c.Poll == 0 {
		c.Poll = 20 * time.Millisecond
	}
	return job.New(job.Deps{DB: d, Logger: slog.New(slog.DiscardHandler), Now: now}, c)
}

// start runs r and returns how to stop it and wait for its end.
func start(t *testing.T, r *job.Runner) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	stop = func() {
		t.Helper()
		cancel()
		receive(t, done, "the runner stops")
	}
	t.Cleanup(stop)
	return stop
}

func enqueue(t *testing.T, d *db.DB, kind, payload string, o job.Options) {
	t.Helper()
	err := d.Tx(t.Context(), func(tx *db.Tx) error { return job.Enqueue(tx, kind, []byte(payload), o) })
	if err != nil {
		t.Fatal(err)
	}
}

func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain: %s", what)
		panic("unreachable")
	}
}

// eventually waits until the counts of kind are as wanted.
func eventually(t *testing.T, d *db.DB, kind string, waiting, dead int64) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		w, x := counts(t, d, kind)
		if w == waiting && x == dead {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: %d waiting, %d dead, want %d and %d", kind, w, x, waiting, dead)
		}
	}
}

func counts(t *testing.T, d *db.DB, kind string) (waiting, dead int64) {
	t.Helper()
	all, err := job.Counts(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.Kind == kind {
			return c.Waiting, c.Dead
		}
	}
	return 0, 0
}

func TestEnqueue_RunsAndIsGone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		got := make(chan job.Job, 1)
		r := newRunner(d, time.Now, job.Config{Poll: time.Hour}) // woken, not polled
		r.Handle("greet", func(_ context.Context, j job.Job) error {
			got <- j
			return nil
		})
		idle := make(chan struct{})
		r.Every("test.started", time.Hour, func(context.Context) error {
			close(idle)
			return nil
		})
		start(t, r)
		receive(t, idle, "the runner is up")
		enqueue(t, d, "greet", "hello\x00\xff", job.Options{})
		j := receive(t, got, "the job runs")
		if string(j.Payload) != "hello\x00\xff" || j.Attempt != 1 || j.Kind != "greet" || j.ID.IsZero() || j.CreatedAt.IsZero() {
			t.Errorf("job %+v", j)
		}
		eventually(t, d, "greet", 0, 0)
	})
}

func TestEnqueue_RollbackLeavesNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		stop := errors.New("changed my mind")
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			if err := job.Enqueue(tx, "greet", nil, job.Options{}); err != nil {
				return err
			}
			return stop
		})
		if !errors.Is(err, stop) {
			t.Fatal(err)
		}
		if waiting, _ := counts(t, d, "greet"); waiting != 0 {
			t.Errorf("%d jobs after a rollback", waiting)
		}
	})
}

func TestEnqueue_RefusesWhatItCannotKeep(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		long := strings.Repeat("k", 200)
		for _, c := range []struct {
			kind string
			o    job.Options
		}{{"", job.Options{}}, {long, job.Options{}}, {"k", job.Options{Unique: long}}, {"k", job.Options{MaxAttempts: -1}}} {
			err := d.Tx(t.Context(), func(tx *db.Tx) error { return job.Enqueue(tx, c.kind, nil, c.o) })
			if !errors.Is(err, job.ErrInvalid) {
				t.Errorf("%q %+v: %v, want ErrInvalid", c.kind, c.o, err)
			}
		}
	})
}

func TestEnqueue_UniqueWhileItWaits(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		for range 3 {
			enqueue(t, d, "rebuild", "", job.Options{Unique: "index"})
		}
		enqueue(t, d, "rebuild", "", job.Options{Unique: "other"})
		enqueue(t, d, "sweep", "", job.Options{Unique: "index"})
		if waiting, _ := counts(t, d, "rebuild"); waiting != 2 {
			t.Errorf("%d jobs, want 2", waiting)
		}
		started, release := make(chan struct{}, 9), make(chan struct{})
		r := newRunner(d, time.Now, job.Config{})
		r.Handle("rebuild", func(context.Context, job.Job) error {
			started <- struct{}{}
			<-release
			return nil
		})
		start(t, r)
		receive(t, started, "the first runs")
		receive(t, started, "the second runs")
		// What changed after a worker began needs another run.
		enqueue(t, d, "rebuild", "", job.Options{Unique: "index"})
		receive(t, started, "the late one runs")
		close(release)
		eventually(t, d, "rebuild", 0, 0)
	})
}

func TestEnqueue_NotBeforeItsTime(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := &clock{}
		got := make(chan string, 2)
		r := newRunner(d, c.now, job.Config{})
		r.Handle("greet", func(_ context.Context, j job.Job) error {
			got <- string(j.Payload)
			return nil
		})
		enqueue(t, d, "greet", "later", job.Options{At: time.Now().Add(time.Hour)})
		enqueue(t, d, "greet", "now", job.Options{})
		start(t, r)
		if first := receive(t, got, "a job runs"); first != "now" {
			t.Fatalf("%q ran first", first)
		}
		eventually(t, d, "greet", 1, 0) // or its lease would run out before it is settled
		c.forward(2 * time.Hour)
		if second := receive(t, got, "the later job runs"); second != "later" {
			t.Errorf("%q ran", second)
		}
	})
}
