package cache_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/platform/cache"
	"gatehouse/internal/platform/cache/cachetest"
)

func mustMemory(tb testing.TB, c cache.MemoryConfig) *cache.Memory {
	tb.Helper()
	m, err := cache.NewMemory(c)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestMemory_Conforms(t *testing.T) {
	t.Parallel()
	cachetest.Run(t, func(tb testing.TB) cache.Cache { return mustMemory(tb, cache.MemoryConfig{}) })
}

func TestMemory_ExpiresByTheGivenClockAndNotByReading(t *testing.T) {
	t.Parallel()
	var elapsed atomic.Int64
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	m := mustMemory(t, cache.MemoryConfig{Now: func() time.Time { return start.Add(time.Duration(elapsed.Load())) }})
	m.Set(t.Context(), "k", []byte("v"), time.Minute)

	for _, at := range []struct {
		elapsed time.Duration
		want    bool
	}{{30 * time.Second, true}, {time.Minute - 1, true}, {time.Minute, false}} {
		elapsed.Store(int64(at.elapsed))
		if _, ok := m.Get(t.Context(), "k"); ok != at.want {
			t.Errorf("after %s: present is %v", at.elapsed, ok)
		}
	}
}

func TestMemory_StaysWithinItsBound(t *testing.T) {
	t.Parallel()
	const bound, size = 1 << 20, 10_000
	m := mustMemory(t, cache.MemoryConfig{MaxBytes: bound})
	for i := range 1000 {
		m.Set(t.Context(), fmt.Sprint("k:", i), make([]byte, size), time.Hour)
	}
	held := func() (n int) {
		for i := range 1000 {
			if _, ok := m.Get(t.Context(), fmt.Sprint("k:", i)); ok {
				n++
			}
		}
		return n
	}
	cachetest.Eventually(t, "memory within its bound", func() bool { return held()*size <= bound })
}

func TestNewMemory_RefusesANegativeSize(t *testing.T) {
	t.Parallel()
	if _, err := cache.NewMemory(cache.MemoryConfig{MaxBytes: -1}); err == nil {
		t.Error("no error")
	}
}

func BenchmarkMemory_Get(b *testing.B) {
	m := mustMemory(b, cache.MemoryConfig{})
	m.Set(b.Context(), "session:0198c5c7-0000-7000-8000-000000000000", make([]byte, 200), time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		m.Get(b.Context(), "session:0198c5c7-0000-7000-8000-000000000000")
	}
}
