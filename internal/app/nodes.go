package app

import (
	"context"
	"time"
)

const countNodesEvery = 10 * time.Second

// countNodes tells the limiter how many nodes share each limit, for when they
// can't count together.
func (a *App) countNodes(ctx context.Context) error {
	tick := time.NewTicker(countNodesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if n, err := a.DB.Listening(ctx); err == nil {
			a.limits.SetNodes(n)
		}
	}
}
