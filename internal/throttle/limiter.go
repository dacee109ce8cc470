package throttle

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Shared is a store in which nodes count together. It runs a script on a key
// at once and for itself, and returns an error soon where it can't.
type Shared interface {
	Eval(ctx context.Context, script, key string, args ...int64) ([]int64, error)
}

// Config sizes a Limiter. Its zero value works for one node.
type Config struct {
	Off   bool             // allow everything (load tests only)
	Nodes int              // how many share a limit while they can't count together; 0: 1
	Keys  int              // how many keys of each kind this node remembers; 0: 65,536
	Now   func() time.Time // nil: time.Now
}

const (
	defaultKeys = 1 << 16
	tellEvery   = time.Second
)

// Limiter counts and decides. It is safe for concurrent use, and no failure of
// the shared store makes it fail.
type Limiter struct {
	shared Shared // nil: this node is alone
	config Config
	start  time.Time
	hits   [kindUser]*table[hits] // by kind, so that no flood of one evicts another
	tally  *table[tally]

	nodes atomic.Int64

	mu    sync.Mutex
	queue []Key // tallies that other nodes should know
}

// New returns a Limiter that counts in shared, or alone if that is nil.
func New(shared Shared, c Config) *Limiter {
	if c.Nodes <= 0 {
		c.Nodes = 1
	}
	if c.Keys <= 0 {
		c.Keys = defaultKeys
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	l := &Limiter{shared: shared, config: c, start: c.Now(), tally: newTable[tally](c.Keys)}
	for k := range l.hits {
		l.hits[k] = newTable[hits](c.Keys)
	}
	l.nodes.Store(int64(c.Nodes))
	return l
}

// SetNodes says how many nodes share a limit while they can't count together.
func (l *Limiter) SetNodes(n int) { l.nodes.Store(int64(max(1, n))) }

// Allow counts one event and says whether it may go on. Of an address refused
// events count too, of everything else they don't.
func (l *Limiter) Allow(ctx context.Context, key Key, limit Limit) Decision {
	return l.take(ctx, key, limit, key.mode())
}

// Peek says what Allow would, and counts nothing. With Fail it limits
// failures: refuse what Peek refuses, call Fail when a try was wrong and Reset
// when one was right. Tries that run at once may so all begin before the first
// is counted; whoever can't have that calls Allow before each.
func (l *Limiter) Peek(ctx context.Context, key Key, limit Limit) Decision {
	return l.take(ctx, key, limit, modePeek)
}

// Fail counts one event that has happened, whether or not the limit is
// reached, and says whether it was within the limit.
func (l *Limiter) Fail(ctx context.Context, key Key, limit Limit) Decision {
	return l.take(ctx, key, limit, modeAlways)
}

// Reset forgets what was counted under key, in the shared store and in this
// node. Another node still refuses by itself if it alone saw too much, for
// Window at most. Of a ByUser key only this node forgets.
func (l *Limiter) Reset(ctx context.Context, key Key) {
	if key.kind == kindUser {
		s := l.tally.shard(key)
		s.Lock()
		s.delete(key)
		s.Unlock()
		return
	}
	s := l.hits[key.kind].shard(key)
	s.Lock()
	s.delete(key)
	s.Unlock()
	if l.shared != nil && !l.config.Off {
		_, _ = l.shared.Eval(ctx, "return {redis.call('DEL', KEYS[1])}", key.String())
	}
}

func (l *Limiter) take(ctx context.Context, key Key, limit Limit, m mode) Decision {
	switch {
	case l.config.Off:
		return Decision{Allowed: true, Limit: limit.Max, Remaining: limit.Max}
	case limit.Max <= 0 || limit.Window < time.Millisecond:
		return decide(limit, false, limit.Max, max(0, limit.Window))
	case key.kind == kindUser:
		return l.takeTally(key, limit, m)
	case l.shared == nil:
		return l.takeHits(key, limit, m)
	}
	// All nodes together have seen at least what this one has, even if the
	// store has just lost its memory. So what this node refuses needs no round
	// trip: a flood stays where it arrives.
	if d := l.takeHits(key, limit, modePeek); !d.Allowed {
		if m == modeAlways {
			d = l.takeHits(key, limit, m)
		}
		return d
	}
	answer, err := l.shared.Eval(ctx, hitsScript, key.String(), int64(limit.Max), limit.Window.Milliseconds(), int64(m), 0)
	d, ok := hitsDecision(limit, answer)
	if err != nil || !ok {
		nodes := int(l.nodes.Load())
		limit.Max = (limit.Max + nodes - 1) / nodes
		return l.takeHits(key, limit, m)
	}
	if m == modeAlways || m == modeTake && d.Allowed {
		l.takeHits(key, limit, modeAlways)
	}
	return d
}

func (l *Limiter) takeHits(key Key, limit Limit, m mode) Decision {
	now := l.millis()
	s := l.hits[key.kind].shard(key)
	s.Lock()
	defer s.Unlock()
	return s.find(key, now, limit.Window.Milliseconds()).take(m, limit, now)
}

func (l *Limiter) takeTally(key Key, limit Limit, m mode) Decision {
	now := l.millis()
	s := l.tally.shard(key)
	s.Lock()
	t := s.find(key, now, 2*limit.Window.Milliseconds())
	d := t.take(m, limit, now)
	tell := l.shared != nil && !t.queued && t.worthTelling()
	if tell {
		t.queued = true
	}
	s.Unlock()
	if tell {
		l.mu.Lock()
		if len(l.queue) < l.config.Keys { // it stays bounded if nobody runs Run
			l.queue = append(l.queue, key)
		}
		l.mu.Unlock()
	}
	return d
}

// millis is the time in milliseconds since 1970, by the clock at the start and
// by the monotonic clock since, so that it never goes back (DEP-8).
func (l *Limiter) millis() int64 {
	return l.start.UnixMilli() + l.config.Now().Sub(l.start).Milliseconds()
}

// Run tells other nodes about once a second what users did here, and learns
// what they did there, until ctx ends. It returns nil.
func (l *Limiter) Run(ctx context.Context) error {
	ticker := time.NewTicker(tellEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			l.tell(ctx)
		}
	}
}

// tell goes through the queue once.
func (l *Limiter) tell(ctx context.Context) {
	l.mu.Lock()
	queue := l.queue
	l.queue = nil
	l.mu.Unlock()
	for _, key := range queue {
		l.tellOne(ctx, key)
	}
}

func (l *Limiter) tellOne(ctx context.Context, key Key) {
	s := l.tally.shard(key)
	s.Lock()
	e, ok := s.entries[key]
	if !ok {
		s.Unlock()
		return
	}
	t := &e.Value.(*slot[tally]).counter
	t.queued = false
	sent := *t
	s.Unlock()

	name := key.String() + ":" + strconv.FormatInt(sent.bucket, 10)
	answer, err := l.shared.Eval(ctx, tallyScript, name, sent.mine-sent.told, 2*sent.limit.Window.Milliseconds())
	if err != nil || len(answer) != 1 {
		return // the next event of the user tries again
	}
	s.Lock()
	defer s.Unlock()
	if t.bucket == sent.bucket {
		t.told = sent.mine
		t.others = max(0, answer[0]-sent.mine)
	}
}
