// Package cachetest holds the one suite that every cache must pass.
package cachetest

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/platform/cache"
)

// patience is how long an expected state may take to appear on a busy machine.
const patience = 10 * time.Second

// Eventually fails the test if cond doesn't become true.
func Eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			tb.Fatalf("not within %s: %s", patience, what)
		}
		<-tick.C
	}
}

// Run checks that the caches newCache returns keep the contract of
// cache.Cache. Each call must return an empty one.
func Run(t *testing.T, newCache func(tb testing.TB) cache.Cache) {
	t.Helper()
	for name, check := range map[string]func(*testing.T, cache.Cache){
		"Get_MissesWhatWasNeverSet":              missesUnknown,
		"Set_IsRead":                             setIsRead,
		"Set_OverwritesValueAndTTL":              setOverwrites,
		"Set_KeepsEveryByte":                     keepsBytes,
		"Set_ExpiresAfterTTL":                    expires,
		"Set_WithoutTTLDeletes":                  nonPositiveTTL,
		"Set_TooLongDeletes":                     tooLong,
		"Set_RefusesKeysThatAreNotOfAClosedForm": refusesKeys,
		"Delete_Removes":                         deletes,
		"ConcurrentUse_NeverMixesValues":         concurrent,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, newCache(t))
		})
	}
}

// mustHold waits until key holds want: another connection may bring the
// change.
func mustHold(t *testing.T, c cache.Cache, key string, want []byte) {
	t.Helper()
	Eventually(t, fmt.Sprintf("%s holds %d bytes", key, len(want)), func() bool {
		got, ok := c.Get(t.Context(), key)
		return ok && bytes.Equal(got, want)
	})
}

func mustMiss(t *testing.T, c cache.Cache, key string) {
	t.Helper()
	Eventually(t, key+" is gone", func() bool {
		_, ok := c.Get(t.Context(), key)
		return !ok
	})
}

func missesUnknown(t *testing.T, c cache.Cache) {
	if v, ok := c.Get(t.Context(), "session:none"); ok || v != nil {
		t.Errorf("got %q, %v", v, ok)
	}
}

func setIsRead(t *testing.T, c cache.Cache) {
	c.Set(t.Context(), "session:a", []byte("one"), time.Minute)
	c.Set(t.Context(), "session:b", []byte("two"), time.Minute)
	for range 3 {
		mustHold(t, c, "session:a", []byte("one"))
		mustHold(t, c, "session:b", []byte("two"))
	}
}

func setOverwrites(t *testing.T, c cache.Cache) {
	c.Set(t.Context(), "k", []byte("old"), time.Minute)
	mustHold(t, c, "k", []byte("old"))
	c.Set(t.Context(), "k", []byte("new"), 50*time.Millisecond)
	mustMiss(t, c, "k") // also not "old" again, whose time isn't over
	c.Set(t.Context(), "k", []byte("third"), time.Minute)
	mustHold(t, c, "k", []byte("third"))
}

func keepsBytes(t *testing.T, c cache.Cache) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for name, value := range map[string][]byte{
		"empty": {}, "bytes": all, "newlines": []byte("a\r\nb\r\n"),
		"large": bytes.Repeat([]byte("x"), cache.MaxValue),
	} {
		c.Set(t.Context(), name, value, time.Minute)
		mustHold(t, c, name, value)
	}
}

func expires(t *testing.T, c cache.Cache) {
	c.Set(t.Context(), "brief", []byte("v"), 30*time.Millisecond)
	c.Set(t.Context(), "long", []byte("v"), time.Hour)
	c.Get(t.Context(), "brief") // what a reader keeps near must end too
	mustMiss(t, c, "brief")
	mustHold(t, c, "long", []byte("v"))
}

func nonPositiveTTL(t *testing.T, c cache.Cache) {
	for i, ttl := range []time.Duration{0, -time.Second} {
		key := fmt.Sprint("k:", i)
		c.Set(t.Context(), key, []byte("old"), time.Minute)
		mustHold(t, c, key, []byte("old"))
		c.Set(t.Context(), key, []byte("new"), ttl)
		mustMiss(t, c, key)
	}
}

func tooLong(t *testing.T, c cache.Cache) {
	c.Set(t.Context(), "k", []byte("old"), time.Minute)
	mustHold(t, c, "k", []byte("old"))
	c.Set(t.Context(), "k", make([]byte, cache.MaxValue+1), time.Minute)
	mustMiss(t, c, "k")
}

func refusesKeys(t *testing.T, c cache.Cache) {
	for _, key := range []string{"", "a b", "a\nb", "a\x00b", "\xff\xfe", "ключ", strings.Repeat("k", 201)} {
		c.Set(t.Context(), key, []byte("v"), time.Minute)
		c.Delete(t.Context(), key)
		c.Set(t.Context(), key, []byte("v"), time.Minute)
		if _, ok := c.Get(t.Context(), key); ok {
			t.Errorf("stored under %q", key)
		}
	}
}

func deletes(t *testing.T, c cache.Cache) {
	c.Delete(t.Context(), "k")
	c.Set(t.Context(), "k", []byte("v"), time.Minute)
	c.Set(t.Context(), "other", []byte("v"), time.Minute)
	mustHold(t, c, "k", []byte("v"))
	c.Delete(t.Context(), "k")
	mustMiss(t, c, "k")
	mustHold(t, c, "other", []byte("v"))
}

func concurrent(t *testing.T, c cache.Cache) {
	const workers, rounds, keys = 8, 200, 5
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for r := range rounds {
				key := fmt.Sprint("key:", (w+r)%keys)
				switch r % 4 {
				case 0:
					c.Set(t.Context(), key, []byte(key+"/"+fmt.Sprint(w, r)), time.Minute)
				case 1:
					if r%20 == 1 {
						c.Delete(t.Context(), key)
					}
				default:
					if v, ok := c.Get(t.Context(), key); ok && !bytes.HasPrefix(v, []byte(key+"/")) {
						t.Errorf("%s holds %q", key, v)
					}
				}
			}
		})
	}
	wg.Wait()
}
