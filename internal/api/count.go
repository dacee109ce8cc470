package api

import (
	"context"
	"time"

	"gatehouse/internal/throttle"
)

// Tally counts a request for something that only its endpoint can name, such
// as the session of a refresh token. As the type of an input's field it needs
// no tag.
type Tally struct{ c *call }

// Allow counts one event of key and returns throttle.ErrLimited for one too
// many. The client is shown the tightest of all limits of its request.
func (t Tally) Allow(ctx context.Context, key throttle.Key, l throttle.Limit) error {
	return t.c.decide(t.c.s.deps.Limiter.Allow(ctx, key, l))
}

// Now is the surface's clock.
func (s *Surface) Now() time.Time { return s.deps.Now() }
