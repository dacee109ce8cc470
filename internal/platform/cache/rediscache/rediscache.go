package rediscache

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"gatehouse/internal/platform/cache"
)

// ErrUnavailable is returned by Eval while Redis doesn't answer.
var ErrUnavailable = errors.New("rediscache: redis is unavailable")

// probeKey is written by probes: a Redis that answers but takes no writes
// (full, a replica, still loading) doesn't count as up.
const probeKey = "gatehouse:probe"

// Cache is a cache.Cache in Redis. It is safe for concurrent use.
type Cache struct {
	options rueidis.ClientOption
	logger  *slog.Logger
	client  atomic.Pointer[rueidis.Client] // nil until Run has connected
	breaker breaker
	tripped chan struct{} // wakes Run
	scripts sync.Map      // source → *rueidis.Lua
}

// New returns a Cache that knows no Redis until Run is called; until then it
// is degraded. It returns ErrURL for an address it does not understand.
func New(c Config) (*Cache, error) {
	o, err := c.options()
	if err != nil {
		return nil, err
	}
	r := &Cache{options: o, logger: c.Logger, tripped: make(chan struct{}, 1)}
	r.breaker.trip()
	return r, nil
}

// Run connects, watches the connection, and connects again after a failure,
// until ctx ends. It returns nil. Afterwards the Cache is degraded for good.
func (r *Cache) Run(ctx context.Context) error {
	defer func() {
		r.breaker.trip()
		if client := r.client.Load(); client != nil {
			(*client).Close()
		}
	}()
	var told string // the last fault that was logged
	for {
		err := r.probe(ctx)
		if ctx.Err() != nil {
			return nil
		}
		wait := probeEvery
		switch {
		case err == nil:
			if r.breaker.close() {
				r.logger.InfoContext(ctx, "redis is up")
			}
			told = ""
		default:
			r.breaker.trip()
			wait = retryEvery
			if err.Error() != told {
				told = err.Error()
				r.logger.WarnContext(ctx, "redis is unavailable, going on without it", "error", err)
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-r.tripped:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// probe connects if need be and tries whether Redis takes a write.
func (r *Cache) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	client := r.client.Load()
	if client == nil {
		made, err := rueidis.NewClient(r.options)
		if err != nil {
			return err
		}
		client = &made
		r.client.Store(client)
	}
	set := (*client).B().Set().Key(probeKey).Value("1").Px(probeLimit).Build()
	return (*client).Do(ctx, set).Error()
}

// State returns Up while Redis answers and takes writes, else Degraded. It
// costs nothing; a change shows after about a second.
func (r *Cache) State() cache.State {
	if r.breaker.open.Load() {
		return cache.Degraded
	}
	return cache.Up
}

// Get implements cache.Cache. What this node has read before comes from its
// own memory.
func (r *Cache) Get(ctx context.Context, key string) ([]byte, bool) {
	if !cache.ValidKey(key) {
		return nil, false
	}
	var value []byte
	err := r.call(ctx, func(ctx context.Context, c rueidis.Client) error {
		// The time of a value kept near ends with the server's.
		const longest = 24 * time.Hour
		v, err := c.DoCache(ctx, c.B().Get().Key(key).Cache(), longest).AsBytes()
		value = v
		return err
	})
	return value, err == nil
}

// Set implements cache.Cache.
func (r *Cache) Set(ctx context.Context, key string, value []byte, ttl time.Duration) {
	switch {
	case !cache.ValidKey(key):
		return
	case len(value) > cache.MaxValue || ttl <= 0:
		r.Delete(ctx, key)
		return
	}
	_ = r.call(ctx, func(ctx context.Context, c rueidis.Client) error {
		set := c.B().Set().Key(key).Value(rueidis.BinaryString(value)).Px(max(ttl, time.Millisecond)).Build()
		return c.Do(ctx, set).Error()
	})
}

// Delete implements cache.Cache.
func (r *Cache) Delete(ctx context.Context, key string) {
	if !cache.ValidKey(key) {
		return
	}
	_ = r.call(ctx, func(ctx context.Context, c rueidis.Client) error {
		return c.Do(ctx, c.B().Del().Key(key).Build()).Error()
	})
}

// Eval runs a Lua script on one key and returns the integers it answers with.
// The script's source is a constant of the caller: it is kept for good.
// Every failure, also one of the script, is an error within 50 ms.
func (r *Cache) Eval(ctx context.Context, script, key string, args ...int64) ([]int64, error) {
	text := make([]string, len(args))
	for i, a := range args {
		text[i] = strconv.FormatInt(a, 10)
	}
	known, ok := r.scripts.Load(script)
	if !ok {
		known, _ = r.scripts.LoadOrStore(script, rueidis.NewLuaScript(script))
	}
	var answer []int64
	err := r.call(ctx, func(ctx context.Context, c rueidis.Client) error {
		a, err := known.(*rueidis.Lua).Exec(ctx, c, []string{key}, text).AsIntSlice()
		answer = a
		return err
	})
	return answer, err
}

// call runs fn within the limit of one call, unless the breaker is open.
func (r *Cache) call(ctx context.Context, fn func(context.Context, rueidis.Client) error) error {
	client := r.client.Load()
	if client == nil || r.breaker.open.Load() {
		return ErrUnavailable
	}
	limited, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	err := fn(limited, *client)
	switch {
	case err == nil || answered(err):
		r.breaker.succeeded()
	case ctx.Err() != nil || errors.Is(err, context.Canceled):
		// This caller went away, or one with whom it shared a reply.
	case r.breaker.failed():
		select {
		case r.tripped <- struct{}{}:
		default:
		}
	}
	return err
}

// answered reports whether err came from a server that is alive: no such key,
// the wrong type, no memory left, no such number in its reply.
func answered(err error) bool {
	_, refused := rueidis.IsRedisErr(err)
	return refused || rueidis.IsRedisNil(err) || rueidis.IsParseErr(err) || errors.Is(err, rueidis.ErrDoCacheAborted)
}
