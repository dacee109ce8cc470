package app

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/platform/cache"
	"gatehouse/internal/platform/cache/rediscache"
	"gatehouse/internal/platform/db"
)

const (
	pingEvery   = time.Second
	pingTimeout = 2 * time.Second
)

// health knows whether this process can serve. Probes read what a loop found
// out, so no flood of probes reaches the database.
type health struct {
	db       *db.DB
	redis    *rediscache.Cache // nil: in process
	log      *slog.Logger
	database atomic.Bool
	started  atomic.Bool
	draining atomic.Bool
}

func newHealth(d *db.DB, r *rediscache.Cache, log *slog.Logger) *health {
	return &health{db: d, redis: r, log: log}
}

// Run pings the database until ctx ends.
func (h *health) Run(ctx context.Context) error {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		h.ping(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (h *health) ping(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	err := h.db.Ping(bounded)
	if ctx.Err() != nil {
		return
	}
	if up := err == nil; h.database.Swap(up) != up && !up {
		h.log.ErrorContext(ctx, "the database is down", "error", err)
	}
}

func (h *health) ready(context.Context) api.Health {
	r := api.Health{Status: api.Ready, Checks: map[string]string{"database": "up", "cache": "up"}}
	if h.redis != nil && h.redis.State() != cache.Up {
		r.Status, r.Checks["cache"] = api.Degraded, "degraded"
	}
	if !h.database.Load() {
		r.Status, r.Checks["database"] = api.NotReady, "down"
	}
	if !h.started.Load() || h.draining.Load() {
		r.Status = api.NotReady
	}
	return r
}
