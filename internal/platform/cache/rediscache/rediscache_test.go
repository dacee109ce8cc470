package rediscache_test

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/internal/platform/cache"
	"gatehouse/internal/platform/cache/cachetest"
	"gatehouse/internal/platform/cache/rediscache"
	"gatehouse/test/servers/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dear is far above what one call may cost, and far below what a client
// without limits would wait.
const dear = 500 * time.Millisecond

func mustRedis(tb testing.TB, args ...string) *local.Redis {
	tb.Helper()
	r, err := local.StartRedis(tb.TempDir(), local.RedisOptions{Args: args})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.Kill)
	return r
}

// mustRun returns a running cache that need not be up.
func mustRun(tb testing.TB, c rediscache.Config) *rediscache.Cache {
	tb.Helper()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	r, err := rediscache.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	tb.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	})
	return r
}

func mustState(tb testing.TB, r *rediscache.Cache, want cache.State) {
	tb.Helper()
	cachetest.Eventually(tb, "state "+string(want), func() bool { return r.State() == want })
}

func mustUp(tb testing.TB, url string) *rediscache.Cache {
	tb.Helper()
	r := mustRun(tb, rediscache.Config{URL: url})
	mustState(tb, r, cache.Up)
	return r
}

// mustStore sets until the value is read back.
func mustStore(tb testing.TB, r *rediscache.Cache, key, value string) {
	tb.Helper()
	cachetest.Eventually(tb, key+" is stored", func() bool {
		r.Set(tb.Context(), key, []byte(value), time.Minute)
		got, ok := r.Get(tb.Context(), key)
		return ok && string(got) == value
	})
}

// mustCommand sends an inline command that must answer OK.
func mustCommand(tb testing.TB, addr, command string) {
	tb.Helper()
	conn, err := (&net.Dialer{}).DialContext(tb.Context(), "tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(command + "\r\n")); err != nil {
		tb.Fatal(err)
	}
	reply, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || reply != "+OK\r\n" {
		tb.Fatalf("%s: %q, %v", command, reply, err)
	}
}

// mustBeCheap checks that calls miss and cost next to nothing.
func mustBeCheap(tb testing.TB, r *rediscache.Cache) {
	tb.Helper()
	start := time.Now()
	for range 200 {
		r.Set(tb.Context(), "k", []byte("v"), time.Minute)
		r.Get(tb.Context(), "other")
		r.Delete(tb.Context(), "k")
	}
	if took := time.Since(start); took > dear {
		tb.Errorf("600 calls without Redis took %s", took)
	}
}

func TestCache_Conforms(t *testing.T) {
	t.Parallel()
	cachetest.Run(t, func(tb testing.TB) cache.Cache { return mustUp(tb, mustRedis(tb).URL()) })
}

func TestGet_KeepsNearWhatItReadUntilAnotherNodeChangesIt(t *testing.T) {
	t.Parallel()
	server := mustRedis(t)
	a, b := mustUp(t, server.URL()), mustUp(t, server.URL())
	mustStore(t, a, "k", "one")
	if v, ok := b.Get(t.Context(), "k"); !ok || string(v) != "one" {
		t.Fatalf("b reads %q, %v", v, ok)
	}

	server.Pause()
	if v, ok := b.Get(t.Context(), "k"); !ok || string(v) != "one" {
		t.Errorf("a second read needed the server: %q, %v", v, ok)
	}
	server.Resume()
	mustState(t, a, cache.Up)
	mustState(t, b, cache.Up)

	mustStore(t, b, "k", "one")
	a.Set(t.Context(), "k", []byte("two"), time.Minute)
	cachetest.Eventually(t, "b sees the new value", func() bool {
		v, ok := b.Get(t.Context(), "k")
		return ok && string(v) == "two"
	})
	a.Delete(t.Context(), "k")
	cachetest.Eventually(t, "b sees the deletion", func() bool {
		_, ok := b.Get(t.Context(), "k")
		return !ok
	})
}

func TestRun_StartsWithoutRedisAndConnectsWhenItComes(t *testing.T) {
	t.Parallel()
	server := mustRedis(t)
	server.Kill()
	r := mustRun(t, rediscache.Config{URL: server.URL()})
	mustBeCheap(t, r)
	if _, err := r.Eval(t.Context(), "return {1}", "k"); !errors.Is(err, rediscache.ErrUnavailable) {
		t.Errorf("Eval: %v", err)
	}
	if got := r.State(); got != cache.Degraded {
		t.Errorf("state %s", got)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	mustState(t, r, cache.Up)
	mustStore(t, r, "k", "v")
}

func TestCache_GoesOnWhenRedisIsKilledAndComesBackByItself(t *testing.T) {
	t.Parallel()
	server := mustRedis(t)
	r := mustUp(t, server.URL())
	mustStore(t, r, "k", "v")

	server.Kill()
	mustState(t, r, cache.Degraded)
	mustBeCheap(t, r)
	if _, ok := r.Get(t.Context(), "k"); ok {
		t.Error("a value is read that nobody can take back")
	}

	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	mustState(t, r, cache.Up)
	if v, ok := r.Get(t.Context(), "k"); ok {
		t.Errorf("an empty Redis answers with %q", v)
	}
	mustStore(t, r, "k", "v")
}

func TestGet_MissesAfterAFlush(t *testing.T) {
	t.Parallel()
	r := mustUp(t, mustRedis(t).URL())
	mustStore(t, r, "k", "v")
	if _, err := r.Eval(t.Context(), "redis.call('FLUSHALL'); return {1}", "any"); err != nil {
		t.Fatal(err)
	}
	cachetest.Eventually(t, "flushed", func() bool {
		_, ok := r.Get(t.Context(), "k")
		return !ok
	})
}

func TestCache_CostsLittleWhenRedisIsSlow(t *testing.T) {
	t.Parallel()
	via := mustProxy(t, mustRedis(t).Addr())
	r := mustUp(t, "redis://"+via.addr())
	mustStore(t, r, "k", "v")

	via.delay(300 * time.Millisecond)
	start := time.Now()
	if _, ok := r.Get(t.Context(), "unread"); ok {
		t.Error("got a value")
	}
	if took := time.Since(start); took > 250*time.Millisecond {
		t.Errorf("one call took %s", took)
	}
	cachetest.Eventually(t, "calls that cost nothing", func() bool {
		start := time.Now()
		r.Get(t.Context(), "unread")
		return time.Since(start) < time.Millisecond
	})
	via.delay(0)
	mustState(t, r, cache.Up)
	mustStore(t, r, "k", "again")
}

func TestCache_IsDegradedWhenRedisFreezes(t *testing.T) {
	t.Parallel()
	server := mustRedis(t)
	r := mustUp(t, server.URL())
	server.Pause()
	mustState(t, r, cache.Degraded)
	mustBeCheap(t, r)
	server.Resume()
	mustState(t, r, cache.Up)
}

func TestGet_MissesWhatIsNoStringAndSetReplacesIt(t *testing.T) {
	t.Parallel()
	r := mustUp(t, mustRedis(t).URL())
	if _, err := r.Eval(t.Context(), "redis.call('RPUSH', KEYS[1], 'x'); return {1}", "k"); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if v, ok := r.Get(t.Context(), "k"); ok {
			t.Fatalf("read %q from a list", v)
		}
	}
	if got := r.State(); got != cache.Up {
		t.Errorf("wrong types made the cache %s", got)
	}
	mustStore(t, r, "k", "v")
}

func TestState_IsDegradedWhileRedisIsFull(t *testing.T) {
	t.Parallel()
	server := mustRedis(t)
	r := mustUp(t, server.URL())
	mustCommand(t, server.Addr(), "CONFIG SET maxmemory 1")
	r.Set(t.Context(), "k", []byte("v"), time.Minute)
	if v, ok := r.Get(t.Context(), "k"); ok {
		t.Errorf("a full Redis stored %q", v)
	}
	mustState(t, r, cache.Degraded)
	mustCommand(t, server.Addr(), "CONFIG SET maxmemory 0")
	mustState(t, r, cache.Up)
}

func TestEval_AnswersWithIntegersOrAnError(t *testing.T) {
	t.Parallel()
	r := mustUp(t, mustRedis(t).URL())
	for range 2 { // by its source, then by its digest
		got, err := r.Eval(t.Context(), "return {tonumber(ARGV[1]) + 1, #KEYS[1]}", "key", -43)
		if err != nil || len(got) != 2 || got[0] != -42 || got[1] != 3 {
			t.Errorf("got %v, %v", got, err)
		}
	}
	for _, script := range []string{"return redis.call('NOPE')", "return 'text'", "this is not Lua"} {
		if got, err := r.Eval(t.Context(), script, "key"); err == nil {
			t.Errorf("%s: got %v", script, got)
		}
	}
	if got := r.State(); got != cache.Up {
		t.Errorf("broken scripts made the cache %s", got)
	}
}

func TestCall_OfAClientWhoLeftSaysNothingOfRedis(t *testing.T) {
	t.Parallel()
	r := mustUp(t, mustRedis(t).URL())
	gone, leave := context.WithCancel(t.Context())
	leave()
	for range 20 {
		r.Get(gone, "k")
	}
	if got := r.State(); got != cache.Up {
		t.Errorf("state %s", got)
	}
}

func TestNew_RefusesOtherURLsWithoutRepeatingThem(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "localhost:6379", "http://h", "redis://", "redis://:s3cret@", "redis://:s3cret@h/x", "redis://:s3cret@h/-1",
		"redis://:s3cret@h:port", "redis://h?db=1", "rediss://:s3cret@h?skip_verify", "redis://h,", "redis://a,b/1", "redis://:s3c%zzret@h",
	} {
		_, err := rediscache.New(rediscache.Config{URL: url})
		if !errors.Is(err, rediscache.ErrURL) {
			t.Errorf("%q: %v", url, err)
		} else if strings.Contains(err.Error(), "s3c") {
			t.Errorf("%q: the error shows the password", url)
		}
	}
	for _, url := range []string{"redis://h", "redis://u:p@h:1/2", "rediss://[::1]:1", "redis://:p@a:1,b,[::1]:2"} {
		if _, err := rediscache.New(rediscache.Config{URL: url}); err != nil {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestCache_WorksOnACluster(t *testing.T) {
	t.Parallel()
	server := mustRedis(t, "--cluster-enabled", "yes")
	mustCommand(t, server.Addr(), "CLUSTER ADDSLOTSRANGE 0 16383")
	r := mustUp(t, "redis://127.0.0.1:1,"+server.Addr())
	for _, key := range []string{"a", "b", "c", "d"} {
		mustStore(t, r, key, key)
		if _, err := r.Eval(t.Context(), "return {redis.call('STRLEN', KEYS[1])}", key); err != nil {
			t.Error(err)
		}
	}
}

func BenchmarkGet_Near(b *testing.B) {
	r := mustUp(b, mustRedis(b).URL())
	mustStore(b, r, "session:0198c5c7-0000-7000-8000-000000000000", strings.Repeat("x", 200))
	b.ReportAllocs()
	for b.Loop() {
		r.Get(b.Context(), "session:0198c5c7-0000-7000-8000-000000000000")
	}
}
