package identity

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"gatehouse/internal/platform/db"
)

const (
	cachedUsers = 10_000
	cacheTTL    = time.Hour
	// askAgain is how long memory serves after the database was found away,
	// without asking it each time.
	askAgain = time.Second
)

// cache holds people in memory. A person who is forgotten while being read is
// not remembered, so that no reading from before a change outlives it.
type cache struct {
	users *otter.Cache[UserID, User]

	distrusted atomic.Bool
	missed     atomic.Int64 // when the database was last found away, in nanoseconds since 1970

	mu      sync.Mutex
	reading map[UserID]*reading
}

// reading is one or more reads of a person that are under way.
type reading struct {
	readers int
	stale   bool
}

func newCache() (*cache, error) {
	users, err := otter.New(&otter.Options[UserID, User]{
		MaximumSize:      cachedUsers,
		ExpiryCalculator: otter.ExpiryWriting[UserID, User](cacheTTL),
	})
	if err != nil {
		return nil, fmt.Errorf("identity: memory for people: %w", err)
	}
	return &cache{users: users, reading: map[UserID]*reading{}}, nil
}

// Cached returns the person from memory, or reads and remembers them. Every
// node must be told by Forget of every change; one that can't be is told by
// Distrust, and then memory serves only while the database is away.
func (s *Service) Cached(ctx context.Context, u UserID) (User, error) {
	c := s.cache
	known, ok := c.users.GetIfPresent(u)
	distrusted := c.distrusted.Load()
	if ok && (!distrusted || time.Since(time.Unix(0, c.missed.Load())) < askAgain) {
		return known, nil
	}
	r := c.begin(u)
	found, err := s.Find(ctx, s.db, u)
	c.end(u, r, found, err == nil)
	if ok && errors.Is(err, db.ErrUnavailable) {
		c.missed.Store(time.Now().UnixNano())
		return known, nil
	}
	return found, err
}

// Remember puts what a committed change left into memory, unless something
// newer is there.
func (s *Service) Remember(u User) {
	c := s.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.reading[u.ID]; r != nil {
		r.stale = true
		delete(c.reading, u.ID)
	}
	if known, ok := c.users.GetIfPresent(u.ID); !ok || known.Version < u.Version {
		c.users.Set(u.ID, u)
	}
}

// Distrust says whether this node may have missed changes of other nodes.
func (s *Service) Distrust(missing bool) { s.cache.distrusted.Store(missing) }

// Forget drops the person from memory. Call it after the commit of a change,
// on every node.
func (s *Service) Forget(u UserID) {
	c := s.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.reading[u]; r != nil {
		r.stale = true
		delete(c.reading, u)
	}
	c.users.Invalidate(u)
}

// ForgetAfter is Forget after an attempt to change the person that ended with
// err. Where the database went away, memory is all there is and stays: of a
// change that was committed all the same the log tells, as on other nodes.
func (s *Service) ForgetAfter(u UserID, err error) {
	if !errors.Is(err, db.ErrUnavailable) {
		s.Forget(u)
	}
}

func (c *cache) begin(u UserID) *reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.reading[u]
	if r == nil {
		r = &reading{}
		c.reading[u] = r
	}
	r.readers++
	return r
}

func (c *cache) end(u UserID, r *reading, found User, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.readers--
	if r.stale {
		return
	}
	if r.readers == 0 {
		delete(c.reading, u)
	}
	if ok {
		c.users.Set(u, found)
	}
}
