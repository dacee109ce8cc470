package app

import (
	"context"
	"sync/atomic"
	"time"

	"gatehouse/internal/platform/job"
)

const backlogEvery = 5 * time.Second

// backlog is how much work waits in the database, as it was a few seconds
// ago, so that a scrape costs no query.
type backlog struct {
	unsealed, waiting, dead atomic.Int64
}

// watchBacklog measures until ctx ends. It runs where jobs run.
func (a *App) watchBacklog(ctx context.Context) error {
	tick := time.NewTicker(backlogEvery)
	defer tick.Stop()
	for {
		if err := a.measureBacklog(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "measure the backlog", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (a *App) measureBacklog(ctx context.Context) error {
	unsealed, err := a.Audit.Unsealed(ctx)
	if err != nil {
		return err
	}
	counts, err := job.Counts(ctx, a.DB)
	if err != nil {
		return err
	}
	var waiting, dead int64
	for _, c := range counts {
		waiting += c.Waiting
		dead += c.Dead
	}
	a.backlog.unsealed.Store(unsealed)
	a.backlog.waiting.Store(waiting)
	a.backlog.dead.Store(dead)
	return nil
}
