package app

import (
	"gatehouse/internal/platform/cache"
	"gatehouse/internal/platform/telemetry"
)

// addMetrics shows what the parts count anyway.
func (a *App) addMetrics() {
	m := a.metrics
	m.Gauge("password_hashes_waiting", "Passwords that wait for their turn.", func() float64 { return float64(a.pool.Stats().Waiting) })
	m.Gauge("password_hashes_running", "Passwords that are being hashed.", func() float64 { return float64(a.pool.Stats().InFlight) })
	m.Counter("password_hashes_total", "Passwords hashed.", func() float64 { return float64(a.pool.Stats().Hashed) })
	m.Counter("password_hashes_refused_total", "Passwords refused for want of capacity.",
		func() float64 { return float64(a.pool.Stats().Refused) })
	m.Pool(func() telemetry.PoolStats {
		s := a.DB.Stats()
		return telemetry.PoolStats{InUse: s.InUse, Idle: s.Idle, Max: s.Max, Waits: s.Waits}
	})
	m.Cache("access", func() telemetry.CacheStats {
		hits, misses := a.Access.Stats()
		up := a.redis == nil || a.redis.State() == cache.Up
		return telemetry.CacheStats{Hits: hits, Misses: misses, Up: up}
	})
	m.Gauge("audit_unsealed_entries", "Entries of the log that wait for their position.",
		func() float64 { return float64(a.backlog.unsealed.Load()) })
	m.Gauge("jobs_waiting", "Jobs, mails among them, that wait or run.", func() float64 { return float64(a.backlog.waiting.Load()) })
	m.Gauge("jobs_dead", "Jobs that were given up.", func() float64 { return float64(a.backlog.dead.Load()) })
	m.Counter("trace_spans_lost_total", "Spans that no collector took.", func() float64 { return float64(a.traces.Lost()) })
}
