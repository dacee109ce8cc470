package epoch_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/epoch"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
)

// clock is a time that moves when told to.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func newFeed(d *db.DB) (*epoch.Feed, *clock) {
	c := &clock{t: time.Now()}
	return epoch.New(d, c.Now, slog.New(slog.DiscardHandler)), c
}

func bump(t *testing.T, d *db.DB, subject byte, to int64) {
	t.Helper()
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		epoch.Bump(tx, [16]byte{subject}, to)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func mustLoad(t *testing.T, f *epoch.Feed) {
	t.Helper()
	if err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestCounts_RefusesEverythingBeforeTheFirstLook(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f, c := newFeed(d)
		if f.Counts(c.Now()) || f.Trust() != epoch.Lost {
			t.Error("an entry counts although nothing is known")
		}
	})
}

func TestCounts_RefusesAnOlderEpochAtOnceOnTheNodeThatChangedIt(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f, c := newFeed(d)
		mustLoad(t, f)
		if !f.Counts(c.Now(), epoch.Ref{Subject: [16]byte{1}, Epoch: 1}) {
			t.Fatal("an entry does not count although nothing changed")
		}
		bump(t, d, 1, 2)
		for want, ref := range map[bool]epoch.Ref{
			false: {Subject: [16]byte{1}, Epoch: 1},
			true:  {Subject: [16]byte{1}, Epoch: 2},
		} {
			if got := f.Counts(c.Now(), ref); got != want {
				t.Errorf("%v counts: %v", ref, got)
			}
		}
		if !f.Counts(c.Now(), epoch.Ref{Subject: [16]byte{9}, Epoch: 1}) {
			t.Error("somebody else's entry stopped counting")
		}
	})
}

func TestBump_OfARolledBackChangeIsUnknown(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f, c := newFeed(d)
		mustLoad(t, f)
		_ = d.Tx(t.Context(), func(tx *db.Tx) error {
			epoch.Bump(tx, [16]byte{1}, 2)
			return errors.New("boom")
		})
		mustLoad(t, f)
		if !f.Counts(c.Now(), epoch.Ref{Subject: [16]byte{1}, Epoch: 1}) {
			t.Error("an entry stopped counting")
		}
	})
}

func TestLook_SeesWhatAnotherProcessChanged(t *testing.T) {
	t.Parallel()
	for _, engine := range dbtest.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := dbtest.URL(t, engine)
			here, there := dbtest.Open(t, url), dbtest.Open(t, url)
			f, c := newFeed(there)
			mustLoad(t, f)
			ref := epoch.Ref{Subject: [16]byte{1}, Epoch: 1}
			readAt := c.Now()

			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { _ = there.Run(ctx) })
			wg.Go(func() { _ = f.Run(ctx) })
			defer wg.Wait()
			defer cancel()

			bump(t, here, 1, 2)
			deadline := time.After(10 * time.Second)
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for f.Counts(readAt, ref) {
				select {
				case <-tick.C:
				case <-deadline:
					t.Fatal("the change was never seen")
				}
			}
		})
	}
}

func TestCounts_RefusesAnEntryFromBeforeTheMemory(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f, c := newFeed(d)
		mustLoad(t, f)
		readAt := c.Now()
		for range 20 {
			c.Advance(time.Minute)
			mustLoad(t, f)
		}
		if f.Counts(readAt) {
			t.Error("a replayed entry of 20 minutes ago counts")
		}
		if f.Counts(c.Now().Add(time.Hour)) {
			t.Error("an entry from the future counts")
		}
	})
}

func TestTrust_FadesWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f, c := newFeed(d)
		mustLoad(t, f)
		for _, step := range []struct {
			after time.Duration
			want  epoch.Trust
		}{{0, epoch.Fresh}, {3 * time.Second, epoch.Behind}, {time.Minute, epoch.Lost}} {
			c.Advance(step.after)
			if got := f.Trust(); got != step.want {
				t.Errorf("after another %v: trust %d, want %d", step.after, got, step.want)
			}
		}
	})
}

func TestPurge_KeepsWhatANodeMayNeed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f, c := newFeed(d)
		bump(t, d, 1, 2)
		if err := f.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustLoad(t, f)
		if f.Counts(c.Now(), epoch.Ref{Subject: [16]byte{1}, Epoch: 1}) {
			t.Error("the change was forgotten")
		}
	})
}
