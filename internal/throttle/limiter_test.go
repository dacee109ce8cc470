package throttle_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/platform/cache"
	"gatehouse/internal/platform/cache/cachetest"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/id"
	"gatehouse/internal/throttle"
)

// clock is a clock that stands still unless moved.
type clock struct{ elapsed atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Date(2027, 1, 2, 3, 0, 0, 0, time.UTC).Add(time.Duration(c.elapsed.Load()))
}

func (c *clock) pass(d time.Duration) { c.elapsed.Add(int64(d)) }

// away is a shared store that can't be reached.
type away struct{ calls atomic.Int64 }

func (a *away) Eval(context.Context, string, string, ...int64) ([]int64, error) {
	a.calls.Add(1)
	return nil, errors.New("away")
}

var (
	addr  = netip.MustParseAddr("203.0.113.7")
	limit = throttle.Limit{Max: 3, Window: time.Minute}
)

// allowed counts how many of n events are allowed.
func allowed(ctx context.Context, l *throttle.Limiter, key throttle.Key, n int) (yes int) {
	for range n {
		if l.Allow(ctx, key, limit).Allowed {
			yes++
		}
	}
	return yes
}

func TestAllow_RefusesAboveTheLimitAndSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	c := &clock{}
	l := throttle.New(nil, throttle.Config{Now: c.now})
	key := throttle.ByAccount([32]byte{1}, "/auth/login")
	if n := allowed(t.Context(), l, key, 5); n != 3 {
		t.Errorf("%d allowed", n)
	}
	c.pass(20 * time.Second)
	d := l.Allow(t.Context(), key, limit)
	if want := (throttle.Decision{Limit: 3, Reset: 40 * time.Second, RetryAfter: 40 * time.Second}); d != want {
		t.Errorf("got %+v", d)
	}
	var e *errs.Error
	if err := d.Err(); !errors.Is(err, throttle.ErrLimited) || !errors.As(err, &e) || e.RetryAfter != 40*time.Second {
		t.Errorf("error %v", err)
	}
	c.pass(d.RetryAfter)
	if d := l.Allow(t.Context(), key, limit); d.Err() != nil {
		t.Errorf("after RetryAfter: %+v", d)
	}
}

func TestAllow_CountsRefusedEventsOfAnAddressOnly(t *testing.T) {
	t.Parallel()
	c := &clock{}
	l := throttle.New(nil, throttle.Config{Now: c.now})
	for key, want := range map[throttle.Key]bool{
		throttle.ByIP(addr, "/auth/login"):                 false,
		throttle.ByAccount([32]byte{1}, "/auth/login"):     true,
		throttle.BySession(actor.SessionID{1}, "/refresh"): true,
		throttle.Global("/auth/login"):                     true,
	} {
		allowed(t.Context(), l, key, 3)
		c.pass(30 * time.Second)
		allowed(t.Context(), l, key, 3) // refused
		c.pass(30 * time.Second)
		if got := l.Allow(t.Context(), key, limit).Allowed; got != want {
			t.Errorf("%s: allowed %v", key, got)
		}
	}
}

func TestFail_LocksForAtMostOneWindowAndResetEndsIt(t *testing.T) {
	t.Parallel()
	c := &clock{}
	l := throttle.New(nil, throttle.Config{Now: c.now})
	key := throttle.ByAccount([32]byte{1}, "/auth/login")
	for range 3 {
		if d := l.Peek(t.Context(), key, limit); !d.Allowed {
			t.Fatalf("refused after too few failures: %+v", d)
		}
		l.Fail(t.Context(), key, limit)
	}
	for range 10 { // a stranger who goes on doesn't put the end off
		if d := l.Peek(t.Context(), key, limit); d.Allowed || d.RetryAfter > limit.Window {
			t.Fatalf("got %+v", d)
		}
	}
	c.pass(limit.Window)
	if d := l.Peek(t.Context(), key, limit); !d.Allowed || d.Remaining != 3 {
		t.Errorf("after the window: %+v", d)
	}
	l.Fail(t.Context(), key, limit)
	l.Reset(t.Context(), key)
	if d := l.Peek(t.Context(), key, limit); d.Remaining != 3 {
		t.Errorf("after Reset: %+v", d)
	}
}

func TestLimiter_RefusesEverythingUnderAnImpossibleLimit(t *testing.T) {
	t.Parallel()
	l := throttle.New(&away{}, throttle.Config{})
	for _, impossible := range []throttle.Limit{{}, {Max: 5}, {Window: time.Minute}, {Max: -5, Window: time.Minute}, {Max: 5, Window: -1}} {
		for _, key := range []throttle.Key{throttle.Global("x"), throttle.ByUser(actor.UserID{1}, "api"), throttle.ByIP(addr, "x")} {
			for _, d := range []throttle.Decision{
				l.Allow(t.Context(), key, impossible), l.Fail(t.Context(), key, impossible), l.Peek(t.Context(), key, impossible),
			} {
				if d.Allowed || d.Remaining != 0 || d.RetryAfter < 0 {
					t.Errorf("%+v of %s: %+v", impossible, key, d)
				}
			}
		}
	}
}

func TestLimiter_SwitchedOffAllowsEverythingAndAsksNobody(t *testing.T) {
	t.Parallel()
	shared := &away{}
	l := throttle.New(shared, throttle.Config{Off: true})
	key := throttle.ByIP(addr, "/auth/login")
	if n := allowed(t.Context(), l, key, 100); n != 100 {
		t.Errorf("%d allowed", n)
	}
	l.Reset(t.Context(), key)
	if n := shared.calls.Load(); n != 0 {
		t.Errorf("%d calls", n)
	}
}

func TestLimiter_TakesItsShareWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	for nodes, want := range map[int]int{0: 3, 1: 3, 2: 2, 3: 1, 100: 1} {
		l := throttle.New(&away{}, throttle.Config{Nodes: nodes})
		if n := allowed(t.Context(), l, throttle.Global("x"), 10); n != want {
			t.Errorf("%d nodes: %d allowed, want %d", nodes, n, want)
		}
	}
}

func TestAllow_IsExactUnderConcurrency(t *testing.T) {
	t.Parallel()
	for name, shared := range map[string]throttle.Shared{"alone": nil, "away": &away{}, "shared": throttle.MustShared(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := []*throttle.Limiter{throttle.New(shared, throttle.Config{})}
			if name == "shared" {
				nodes = append(nodes, throttle.New(shared, throttle.Config{}))
			}
			few := throttle.Limit{Max: 20, Window: time.Hour}
			for _, key := range []throttle.Key{throttle.ByIP(addr, name), throttle.Global(name)} {
				var yes atomic.Int64
				var wg sync.WaitGroup
				for i := range 64 {
					wg.Go(func() {
						if nodes[i%len(nodes)].Allow(t.Context(), key, few).Allowed {
							yes.Add(1)
						}
					})
				}
				wg.Wait()
				if yes.Load() != 20 {
					t.Errorf("%s: %d allowed", key, yes.Load())
				}
			}
		})
	}
}

func TestLimiter_NodesCountTogetherAndAFlushFreesNobody(t *testing.T) {
	t.Parallel()
	shared := throttle.MustShared(t)
	a, b := throttle.New(shared, throttle.Config{}), throttle.New(shared, throttle.Config{})
	key := throttle.ByAccount([32]byte{7}, "/auth/login")
	allowed(t.Context(), a, key, 2)
	if n := allowed(t.Context(), b, key, 5); n != 1 {
		t.Errorf("the other node allowed %d more", n)
	}
	b.Reset(t.Context(), key)
	if d := b.Peek(t.Context(), key, limit); d.Remaining != 3 {
		t.Errorf("after Reset: %+v", d)
	}

	flooded := throttle.ByIP(addr, "/auth/login")
	allowed(t.Context(), a, flooded, 3)
	if _, err := shared.Eval(t.Context(), "redis.call('FLUSHALL'); return {1}", "any"); err != nil {
		t.Fatal(err)
	}
	if n := allowed(t.Context(), a, flooded, 5); n != 0 {
		t.Errorf("%d allowed after a flush", n)
	}
}

func TestLimiter_KeysInTheStoreHaveNoMoreThanTheirWindowToLive(t *testing.T) {
	t.Parallel()
	shared := throttle.MustShared(t)
	l := throttle.New(shared, throttle.Config{})
	key := throttle.ByIP(addr, "/auth/login")
	l.Allow(t.Context(), key, limit)
	ttl, err := shared.Eval(t.Context(), "return {redis.call('PTTL', KEYS[1])}", "rate_limit:203.0.113.7:/auth/login")
	if err != nil || ttl[0] <= 0 || ttl[0] > limit.Window.Milliseconds() {
		t.Errorf("time to live %v, %v", ttl, err)
	}
}

func TestByUser_CostsNoRoundTripAndIsToldToOtherNodes(t *testing.T) {
	t.Parallel()
	none := &away{}
	alone := throttle.New(none, throttle.Config{})
	user := throttle.ByUser(id.New[actor.Subject](time.Now()), "api")
	if n := allowed(t.Context(), alone, user, 10); n != 3 || none.calls.Load() != 0 {
		t.Errorf("%d allowed, %d calls", n, none.calls.Load())
	}

	shared := throttle.MustShared(t)
	c := &clock{} // both nodes stand in one bucket
	a, b := throttle.New(shared, throttle.Config{Now: c.now}), throttle.New(shared, throttle.Config{Now: c.now})
	for _, l := range []*throttle.Limiter{a, b} {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- l.Run(ctx) }()
		t.Cleanup(func() { stop(); <-ended })
	}
	many := throttle.Limit{Max: 100, Window: time.Hour}
	for range 50 {
		a.Allow(t.Context(), user, many)
		b.Allow(t.Context(), user, many)
	}
	cachetest.Eventually(t, "one of them knows that the limit is reached", func() bool {
		return !a.Peek(t.Context(), user, many).Allowed || !b.Peek(t.Context(), user, many).Allowed
	})
	a.Reset(t.Context(), user)
	if d := a.Peek(t.Context(), user, many); d.Remaining != 100 {
		t.Errorf("after Reset: %+v", d)
	}
}

func TestLimiter_ForgetsOldKeysWhenStrangersCome(t *testing.T) {
	t.Parallel()
	l := throttle.New(nil, throttle.Config{Keys: 64})
	busy := throttle.ByIP(addr, "/auth/login")
	for i := range 10_000 {
		ip := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		l.Allow(t.Context(), throttle.ByIP(ip, "/auth/login"), limit)
		if d := l.Allow(t.Context(), busy, limit); i >= 3 && d.Allowed {
			t.Fatalf("the busy one was forgotten after %d strangers", i)
		}
	}
}

func TestByIP_KnowsOneCustomerByAnyForm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"203.0.113.7", "rate_limit:203.0.113.7:/x"},
		{"::ffff:203.0.113.7", "rate_limit:203.0.113.7:/x"},
		{"2001:db8:1:2:3:4:5:6", "rate_limit:2001:db8:1:2::/64:/x"},
		{"2001:DB8:1:2::1", "rate_limit:2001:db8:1:2::/64:/x"},
		{"fe80::1%eth0", "rate_limit:fe80::/64:/x"},
		{"::1", "rate_limit:::/64:/x"},
	} {
		key := throttle.ByIP(netip.MustParseAddr(c.in), "/x")
		if got := key.String(); got != c.want {
			t.Errorf("%s: %s", c.in, got)
		}
	}
	if got := throttle.ByIP(netip.Addr{}, "/x").String(); got != "rate_limit:::/64:/x" {
		t.Errorf("no address: %s", got)
	}
}

func TestKey_NamesAreDistinctAndOfAClosedForm(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	one := [16]byte{1}
	for _, key := range []throttle.Key{
		throttle.ByAccount([32]byte(append(one[:], one[:]...)), "/x"), throttle.ByUser(one, "/x"), throttle.BySession(one, "/x"),
		throttle.Global("/x"), throttle.ByIP(netip.AddrFrom16(one), "/x"), throttle.ByIP(addr, "/x"), throttle.ByIP(addr, "/y"),
	} {
		name := fmt.Sprint(key)
		if seen[name] || !cache.ValidKey(name) {
			t.Errorf("%q is known or not of a closed form", name)
		}
		seen[name] = true
	}
}

func TestDecision_AndIsTheStricter(t *testing.T) {
	t.Parallel()
	many := throttle.Decision{Allowed: true, Limit: 9, Remaining: 8}
	few := throttle.Decision{Allowed: true, Limit: 2, Remaining: 1}
	soon := throttle.Decision{Limit: 3, RetryAfter: time.Second}
	late := throttle.Decision{Limit: 4, RetryAfter: time.Minute}
	order := []throttle.Decision{many, few, soon, late}
	for i, a := range order {
		for j, b := range order {
			if got := a.And(b); got != order[max(i, j)] {
				t.Errorf("%+v and %+v: %+v", a, b, got)
			}
		}
	}
}

func BenchmarkAllow(b *testing.B) {
	c := &clock{}
	l := throttle.New(&away{}, throttle.Config{})
	still := throttle.New(nil, throttle.Config{Now: c.now})
	user := throttle.ByUser(id.New[actor.Subject](time.Now()), "api")
	b.Run("user", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l.Allow(b.Context(), user, throttle.Limit{Max: 600, Window: time.Minute})
		}
	})
	b.Run("users", func(b *testing.B) {
		b.ReportAllocs()
		n := byte(0)
		for b.Loop() {
			n++
			l.Allow(b.Context(), throttle.ByUser(actor.UserID{1: n}, "api"), throttle.Limit{Max: 600, Window: time.Minute})
		}
	})
	b.Run("address", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			still.Allow(b.Context(), throttle.ByIP(addr, "/auth/login"), throttle.Limit{Max: 20, Window: time.Minute})
		}
	})
}
