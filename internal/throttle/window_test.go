package throttle

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"gatehouse/internal/platform/cache"
	"gatehouse/internal/platform/cache/cachetest"
	"gatehouse/internal/platform/cache/rediscache"
	"gatehouse/test/servers/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// MustShared returns a Redis of the test's own.
func MustShared(tb testing.TB) *rediscache.Cache {
	tb.Helper()
	server, err := local.StartRedis(tb.TempDir(), local.RedisOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(server.Kill)
	r, err := rediscache.New(rediscache.Config{URL: server.URL(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	tb.Cleanup(func() { stop(); <-ended })
	cachetest.Eventually(tb, "redis is up", func() bool { return r.State() == cache.Up })
	return r
}

// step is one event and what is decided about it.
type step struct {
	at   int64 // milliseconds
	mode mode
	max  int // 0: the case's
	want Decision
}

func yes(remaining int, reset time.Duration) Decision {
	return Decision{Allowed: true, Remaining: remaining, Reset: reset}
}

func no(retry time.Duration) Decision {
	return Decision{Reset: retry, RetryAfter: retry}
}

const (
	s  = time.Second
	ms = time.Millisecond
)

// hitsCases hold for the node's own count and for the shared one.
var hitsCases = map[string]struct {
	limit Limit
	steps []step
}{
	"AllowsMaxAndForgetsToTheMillisecond": {Limit{2, 10 * s}, []step{
		{0, modeTake, 0, yes(1, 10*s)},
		{4000, modeTake, 0, yes(0, 6*s)},
		{9999, modeTake, 0, no(1 * ms)},
		{10000, modeTake, 0, yes(0, 4*s)},
		{13999, modeTake, 0, no(1 * ms)},
		{14000, modeTake, 0, yes(0, 6*s)},
	}},
	"RefusesABurstAcrossAnyBorder": {Limit{3, 60 * s}, []step{
		{59000, modeTake, 0, yes(2, 60*s)},
		{59000, modeTake, 0, yes(1, 60*s)},
		{59999, modeTake, 0, yes(0, 59001*ms)},
		{61000, modeTake, 0, no(58 * s)},
		{118999, modeTake, 0, no(1 * ms)},
		{119000, modeTake, 0, yes(1, 999*ms)},
	}},
	"RefusedEventsThatCountPutTheEndOff": {Limit{2, 10 * s}, []step{
		{0, modeAlways, 0, yes(1, 10*s)},
		{1000, modeAlways, 0, yes(0, 9*s)},
		{2000, modeAlways, 0, no(9 * s)},
		{3000, modeAlways, 0, no(9 * s)},
		{12000, modeAlways, 0, yes(0, 1*s)},
	}},
	"RefusedEventsThatDoNotCountLeaveTheEnd": {Limit{1, 10 * s}, []step{
		{0, modeTake, 0, yes(0, 10*s)},
		{5000, modeTake, 0, no(5 * s)},
		{9999, modeTake, 0, no(1 * ms)},
		{10000, modeTake, 0, yes(0, 10*s)},
	}},
	"PeekCountsNothing": {Limit{1, 10 * s}, []step{
		{0, modePeek, 0, yes(1, 0)},
		{0, modePeek, 0, yes(1, 0)},
		{1000, modeAlways, 0, yes(0, 10*s)},
		{2000, modePeek, 0, no(9 * s)},
		{11000, modePeek, 0, yes(1, 0)},
	}},
	"ALowerLimitHoldsAtOnce": {Limit{3, 10 * s}, []step{
		{0, modeTake, 0, yes(2, 10*s)},
		{1000, modeTake, 0, yes(1, 9*s)},
		{2000, modeTake, 0, yes(0, 8*s)},
		{3000, modePeek, 1, no(9 * s)},
		{11999, modePeek, 1, no(1 * ms)},
		{12000, modePeek, 1, yes(1, 0)},
	}},
	"AClockSetBackMakesNothingImmortal": {Limit{1, 10 * s}, []step{
		{500_000, modeTake, 0, yes(0, 10*s)},
		{0, modeTake, 0, yes(0, 10*s)},
		{9000, modeTake, 0, no(1 * s)},
		{10000, modeTake, 0, yes(0, 10*s)},
	}},
}

// checkHits runs every case with one fresh key for each.
func checkHits(t *testing.T, take func(t *testing.T, name string, m mode, limit Limit, now int64) Decision) {
	t.Helper()
	const epoch = 1_800_000_000_000
	for name, c := range hitsCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, st := range c.steps {
				limit := c.limit
				if st.max > 0 {
					limit.Max = st.max
				}
				st.want.Limit = limit.Max
				if diff := cmp.Diff(st.want, take(t, name, st.mode, limit, epoch+st.at)); diff != "" {
					t.Errorf("step %d at %d ms (-want +got):\n%s", i, st.at, diff)
				}
			}
		})
	}
}

func TestHits_InThisNode(t *testing.T) {
	t.Parallel()
	counters := map[string]*hits{}
	for name := range hitsCases {
		counters[name] = &hits{}
	}
	checkHits(t, func(_ *testing.T, name string, m mode, limit Limit, now int64) Decision {
		return counters[name].take(m, limit, now)
	})
}

func TestHits_InTheSharedStore(t *testing.T) {
	t.Parallel()
	shared := MustShared(t)
	checkHits(t, func(t *testing.T, name string, m mode, limit Limit, now int64) Decision {
		answer, err := shared.Eval(t.Context(), hitsScript, name, int64(limit.Max), limit.Window.Milliseconds(), int64(m), now)
		if err != nil {
			t.Fatal(err)
		}
		d, ok := hitsDecision(limit, answer)
		if !ok {
			t.Fatalf("answer %v", answer)
		}
		return d
	})
}

func TestHitsScript_DropsWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	shared := MustShared(t)
	for name, script := range map[string]string{
		"string": "redis.call('SET', KEYS[1], 'x'); return {1}",
		"words":  "redis.call('RPUSH', KEYS[1], 'x', 'y'); return {1}",
		"future": "redis.call('RPUSH', KEYS[1], '9e300', '-inf'); return {1}",
	} {
		if _, err := shared.Eval(t.Context(), script, name); err != nil {
			t.Fatal(err)
		}
		answer, err := shared.Eval(t.Context(), hitsScript, name, 1, 1000, int64(modeTake), 5000)
		if diff := cmp.Diff([]int64{1, 1, 1000}, answer); err != nil || diff != "" {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

func TestTally_WeighsTheBucketBefore(t *testing.T) {
	t.Parallel()
	limit := Limit{Max: 10, Window: 60 * s}
	var c tally
	take := func(at int64) Decision { return c.take(modeTake, limit, 1_800_000_000_000+at) } // a border
	for range 10 {
		if d := take(30_000); !d.Allowed {
			t.Fatal("refused within the limit")
		}
	}
	refused := take(30_000)
	if refused.Allowed || refused.Remaining != 0 {
		t.Errorf("the eleventh: %+v", refused)
	}
	if at := 30_000 + refused.RetryAfter.Milliseconds(); !take(at).Allowed {
		t.Error("refused after RetryAfter")
	} else if take(at).Allowed {
		t.Error("two allowed where one had become free")
	}
	if d := take(90_000); !d.Allowed || d.Remaining != 3 { // 10 × ½ + 1 + 1
		t.Errorf("half a window later: %+v", d)
	}
	if d := take(300_000); d.Remaining != 9 {
		t.Errorf("long after: %+v", d)
	}
}

func TestTally_RetryAfterIsTheFirstMomentThatIsAllowed(t *testing.T) {
	t.Parallel()
	limit := Limit{Max: 7, Window: 10 * s}
	for at := int64(0); at < 30_000; at += 777 {
		var c tally
		now := 1_800_000_000_000 + at
		for c.take(modeTake, limit, now).Allowed {
			now += 501
		}
		d := c.take(modePeek, limit, now)
		retry := now + d.RetryAfter.Milliseconds()
		if early := c; early.take(modePeek, limit, retry-1).Allowed && retry-1 > now {
			t.Errorf("%d: allowed before RetryAfter %s", at, d.RetryAfter)
		}
		if !c.take(modePeek, limit, retry).Allowed {
			t.Errorf("%d: refused after RetryAfter %s", at, d.RetryAfter)
		}
	}
}

func TestTable_ForgetsWhatWasTouchedLongestAgoAndWhatIsOutOfDate(t *testing.T) {
	t.Parallel()
	table := newTable[hits](shards) // one key in each shard
	shard := &table.shards[0]
	first, second := Global("first"), Global("second")
	shard.find(first, 0, 1000).times = []int64{1}
	if got := shard.find(first, 10, 1000); len(got.times) != 1 {
		t.Error("forgot what is there")
	}
	shard.find(second, 20, 1000)
	if len(shard.entries) != 1 || shard.order.Len() != 1 {
		t.Errorf("holds %d keys", len(shard.entries))
	}
	if got := shard.find(first, 30, 1000); got.times != nil {
		t.Error("a key that was pushed out came back with its count")
	}

	shard.most = 100
	for i, name := range []string{"a", "b", "c", "d"} {
		shard.find(Global(name), int64(i), 5)
	}
	shard.find(Global("late"), 5000, 5)
	shard.find(Global("later"), 5000, 5)
	if n := len(shard.entries); n > 3 {
		t.Errorf("%d keys are left of those out of date", n)
	}
}

func FuzzHits_NeverAllowsMoreThanMaxInAnyWindow(f *testing.F) {
	f.Add([]byte{0, 0, 0, 90, 10, 1, 255}, uint8(3), uint8(100))
	f.Fuzz(func(t *testing.T, gaps []byte, most, window uint8) {
		limit := Limit{Max: int(most%20) + 1, Window: time.Duration(window) * ms}
		if window == 0 {
			return
		}
		var h hits
		var allowed []int64
		now := int64(1_800_000_000_000)
		for _, gap := range gaps {
			now += int64(gap)
			recent := 0
			for _, at := range allowed {
				if at > now-int64(window) {
					recent++
				}
			}
			d := h.take(modeTake, limit, now)
			if d.Allowed != (recent < limit.Max) {
				t.Fatalf("%d of %d in the window, allowed: %v", recent, limit.Max, d.Allowed)
			}
			if d.Allowed {
				allowed = append(allowed, now)
			}
		}
	})
}
