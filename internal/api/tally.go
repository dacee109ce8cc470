package api

import (
	"context"

	"gatehouse/internal/throttle"
)

// Tally shows the client a limit that only the endpoint can name, such as that
// of the session of a refresh token. As the type of an input's field it needs
// no tag.
type Tally struct{ c *call }

// Peek returns throttle.ErrLimited where the limit of key is used up, and
// counts nothing: the use case counts what really happened. The client is
// shown the tightest of all limits of its request.
func (t Tally) Peek(ctx context.Context, key throttle.Key, l throttle.Limit) error {
	return t.c.decide(t.c.s.deps.Limiter.Peek(ctx, key, l))
}
