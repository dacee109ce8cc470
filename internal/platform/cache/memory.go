package cache

import (
	"context"
	"fmt"
	"time"

	"github.com/maypok86/otter/v2"
)

// defaultMaxBytes bounds a Memory that isn't told otherwise.
const defaultMaxBytes = 32 << 20

// entryOverhead is about what an entry costs besides its key and value.
const entryOverhead = 160

// MemoryConfig sizes a Memory. Its zero value works.
type MemoryConfig struct {
	MaxBytes int              // of keys, values and overhead; 0: 32 MiB
	Now      func() time.Time // nil: time.Now
}

// Memory is a Cache in this process, in bounded memory: what is read least
// makes room. It runs no goroutine while idle.
type Memory struct {
	entries *otter.Cache[string, entry]
}

type entry struct {
	value []byte
	ttl   time.Duration
}

// NewMemory returns an empty Memory.
func NewMemory(c MemoryConfig) (*Memory, error) {
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultMaxBytes
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MaxBytes < 0 {
		return nil, fmt.Errorf("cache: %d bytes are not a size", c.MaxBytes)
	}
	entries, err := otter.New(&otter.Options[string, entry]{
		MaximumWeight: uint64(c.MaxBytes),
		// Set lets nothing longer than maxKey and MaxValue come here.
		Weigher: func(key string, e entry) uint32 {
			return uint32(len(key) + len(e.value) + entryOverhead)
		},
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[string, entry]) time.Duration { return e.Value.ttl }),
		Clock:            clock{now: c.Now, start: c.Now()},
	})
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	return &Memory{entries: entries}, nil
}

// Get implements Cache.
func (m *Memory) Get(_ context.Context, key string) ([]byte, bool) {
	e, ok := m.entries.GetIfPresent(key)
	return e.value, ok
}

// Set implements Cache.
func (m *Memory) Set(ctx context.Context, key string, value []byte, ttl time.Duration) {
	switch {
	case !ValidKey(key):
	case len(value) > MaxValue || ttl <= 0:
		m.Delete(ctx, key)
	default:
		m.entries.Set(key, entry{value: value, ttl: ttl})
	}
}

// Delete implements Cache.
func (m *Memory) Delete(_ context.Context, key string) { m.entries.Invalidate(key) }

// State returns Up: memory doesn't fail.
func (m *Memory) State() State { return Up }

// clock counts from its start, so that real time passes monotonically: a
// clock set back makes nothing immortal (DEP-8).
type clock struct {
	now   func() time.Time
	start time.Time
}

// NowNano returns the time since the start.
func (c clock) NowNano() int64 { return int64(c.now().Sub(c.start)) }

// Tick returns no ticks: an expired entry is never returned, and its memory is
// bounded like that of any other, so nothing needs to sweep.
func (c clock) Tick(time.Duration) <-chan time.Time { return nil }
