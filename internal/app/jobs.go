package app

import (
	"context"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/link"
	"gatehouse/internal/platform/db"
)

// schedule lists the timed work of an installation. Each runs on one node at a
// time.
func (a *App) schedule() {
	a.notify.Register(a.jobs)
	a.jobs.Every("keys.upkeep", time.Minute, a.Custody.Upkeep)
	a.jobs.Every("sessions.purge", time.Minute, func(ctx context.Context) error {
		_, err := a.Sessions.Purge(ctx)
		return err
	})
	a.jobs.Every("idempotency.purge", time.Hour, func(ctx context.Context) error {
		_, err := a.idempotency.Purge(ctx)
		return err
	})
	a.jobs.Every("links.purge", time.Hour, func(ctx context.Context) error { return link.Purge(ctx, a.DB) })
	a.jobs.Every("epoch.purge", 10*time.Minute, a.Feed.Purge)
	a.jobs.Every("audit.partitions", 24*time.Hour, a.makePartitions)
}

// makePartitions uses the owner's connection, since the application's role may
// not change the schema.
func (a *App) makePartitions(ctx context.Context) error {
	if a.DB.Embedded() {
		return nil
	}
	url := a.cfg.Database.MigrateURL
	if url == "" {
		url = a.cfg.Database.URL
	}
	owner, err := db.Open(ctx, db.Config{URL: url.Reveal(), PoolSize: 1, Now: a.now, Logger: a.log})
	if err != nil {
		return err
	}
	defer owner.Close()
	return audit.MakePartitions(ctx, owner, a.now())
}
