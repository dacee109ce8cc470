package bcrypt_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/internal/platform/bcrypt"
	"gatehouse/internal/platform/errs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// slowCost keeps a worker busy long enough to line another up behind it.
const slowCost = 11

func TestPool_HashMatchesItsPasswordOnly(t *testing.T) {
	t.Parallel()
	p := bcrypt.NewPool(bcrypt.Config{})
	h := mustHash(t, p, "right")
	for password, want := range map[string]bool{"right": true, "wrong": false, "": false} {
		if got, err := p.Matches(t.Context(), h, []byte(password)); got != want || err != nil {
			t.Errorf("Matches(%q) = %t, %v", password, got, err)
		}
	}
	if h == mustHash(t, p, "right") {
		t.Error("two hashes of one password share a salt")
	}
}

func TestPool_LonePasswordTakesOneLane(t *testing.T) {
	t.Parallel()
	p := bcrypt.NewPool(bcrypt.Config{Workers: 2})
	mustHash(t, p, "a")
	mustHash(t, p, "b")
	if s := p.Stats(); s.Batches != [bcrypt.Lanes]uint64{2} || s.Hashed != 2 || s.Rounds != 2<<bcrypt.MinCost {
		t.Errorf("stats = %+v", s)
	}
}

func TestPool_WaitingPasswordsShareLanes(t *testing.T) {
	t.Parallel()
	p := bcrypt.NewPool(bcrypt.Config{Workers: 1, MaxWait: time.Minute})
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if _, err := p.Hash(t.Context(), bcrypt.MinCost+4, []byte("waits")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s := p.Stats(); s.Batches[2] == 0 || s.Hashed != 30 {
		t.Errorf("stats = %+v, want batches of three", s)
	}
}

func TestPool_NeverMoreWorkersThanAllowed(t *testing.T) {
	t.Parallel()
	p := bcrypt.NewPool(bcrypt.Config{Workers: 2, MaxWait: time.Minute})
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			if _, err := p.Hash(t.Context(), bcrypt.MinCost+i%3, []byte("p")); err != nil {
				t.Error(err)
			}
			if s := p.Stats(); s.Busy > 2 || s.InFlight > 2*bcrypt.Lanes {
				t.Errorf("stats = %+v", s)
			}
		})
	}
	wg.Wait()
	if s := p.Stats(); s.Hashed != 40 || s.Waiting != 0 || s.Busy != 0 || s.PredictedWait != 0 {
		t.Errorf("stats at the end = %+v", s)
	}
}

func TestPool_RefusesWhatWouldWaitTooLong(t *testing.T) {
	t.Parallel()
	p := bcrypt.NewPool(bcrypt.Config{Workers: 1, MaxWait: time.Microsecond})
	var wg sync.WaitGroup
	var refused atomic.Uint64
	for range 30 {
		wg.Go(func() {
			_, err := p.Hash(t.Context(), bcrypt.MinCost+4, []byte("storm"))
			if err == nil {
				return
			}
			refused.Add(1)
			var e *errs.Error
			if !errors.Is(err, bcrypt.ErrOverloaded) || !errors.As(err, &e) || e.Kind != errs.Unavailable || e.RetryAfter < time.Second {
				t.Errorf("err = %#v", err)
			}
		})
	}
	wg.Wait()
	if s := p.Stats(); s.Refused == 0 || s.Refused != refused.Load() || s.Hashed+s.Refused != 30 {
		t.Errorf("%d refused, stats = %+v", refused.Load(), s)
	}
}

func TestPool_EndOfContextDropsWaitingPassword(t *testing.T) {
	t.Parallel()
	p := bcrypt.NewPool(bcrypt.Config{Workers: 1, MaxWait: time.Minute})
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := p.Hash(t.Context(), slowCost, []byte("first")); err != nil {
			t.Error(err)
		}
	})
	await(t, p, func(s bcrypt.Stats) bool { return s.Busy == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() {
		if _, err := p.Hash(ctx, bcrypt.MinCost, []byte("gone")); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		}
	})
	await(t, p, func(s bcrypt.Stats) bool { return s.Waiting == 1 })
	cancel()
	await(t, p, func(s bcrypt.Stats) bool { return s.Waiting == 0 })
	wg.Wait()
	await(t, p, func(s bcrypt.Stats) bool { return s.Busy == 0 })
	if _, err := p.Hash(ctx, bcrypt.MinCost, []byte("after")); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
	if s := p.Stats(); s.Hashed != 1 {
		t.Errorf("hashed %d passwords, want only the one that ran", s.Hashed)
	}
}

func TestPool_RefusesBadInputBeforeQueueing(t *testing.T) {
	t.Parallel()
	p := bcrypt.NewPool(bcrypt.Config{})
	if _, err := p.Hash(t.Context(), bcrypt.MinCost, make([]byte, bcrypt.MaxPassword+1)); !errors.Is(err, bcrypt.ErrPassword) {
		t.Errorf("long password: %v", err)
	}
	if _, err := p.Matches(t.Context(), bcrypt.Hash{}, nil); !errors.Is(err, bcrypt.ErrCost) {
		t.Errorf("zero hash: %v", err)
	}
}

// await returns once the pool is in the wanted state.
func await(t *testing.T, p *bcrypt.Pool, reached func(bcrypt.Stats) bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !reached(p.Stats()); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("stats = %+v", p.Stats())
		}
	}
}

func mustHash(tb testing.TB, p *bcrypt.Pool, password string) bcrypt.Hash {
	tb.Helper()
	h, err := p.Hash(tb.Context(), bcrypt.MinCost, []byte(password))
	if err != nil {
		tb.Error(err)
	}
	return h
}
