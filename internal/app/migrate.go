package app

import (
	"context"
	"fmt"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/platform/db"
)

// Migrate brings the schema up to date over the owner's connection, makes the
// next partitions of the log, and lets role, unless empty, use the tables.
func Migrate(ctx context.Context, owner *db.DB, role string) ([]string, error) {
	names, err := owner.Migrate(ctx, role)
	if err != nil {
		return names, fmt.Errorf("migrate: %w", err)
	}
	return names, audit.MakePartitions(ctx, owner, time.Now())
}
