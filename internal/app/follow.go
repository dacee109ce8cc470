package app

import (
	"context"

	"gatehouse/internal/actor"
	"gatehouse/internal/audit"
	"gatehouse/internal/signin"
)

// followLog forgets people whom another process changed.
func (a *App) followLog(ctx context.Context) error {
	return a.Audit.FollowNew(ctx, audit.Follower{
		Handle: func(_ context.Context, entries []audit.Followed) error {
			for _, e := range entries {
				if who := audit.Person(actor.UserID(e.Target.ID)); e.Target == who && e.Action != signin.Refreshed {
					a.Users.Forget(actor.UserID(e.Target.ID))
				}
			}
			return nil
		},
		Behind: a.Users.Distrust,
	})
}
