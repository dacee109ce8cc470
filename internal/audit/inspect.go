package audit

import (
	"context"
	"fmt"
	"time"

	"gatehouse/internal/platform/db"
)

// Condition is how well the log is looked after.
type Condition struct {
	Unsealed int64     // entries that wait for their position
	Oldest   time.Time // of these; zero: none waits
	Stray    bool      // there are entries in the default partition
	Prepared bool      // next month has a partition, or the engine has none
}

// Inspect returns the condition of the log of d. It changes nothing.
func Inspect(ctx context.Context, d *db.DB, now time.Time) (Condition, error) {
	c := Condition{Prepared: true}
	var oldest *time.Time
	err := d.QueryRow(ctx, `SELECT count(*), min(occurred_at) FROM audit_queue`).Scan(&c.Unsealed, &oldest)
	if err != nil {
		return c, fmt.Errorf("inspect the log: %w", err)
	}
	if oldest != nil {
		c.Oldest = *oldest
	}
	if d.Embedded() {
		return c, nil
	}
	next := time.Date(now.UTC().Year(), now.UTC().Month()+1, 1, 0, 0, 0, 0, time.UTC)
	err = d.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM audit_logs_default),
		EXISTS (SELECT 1 FROM pg_class WHERE relname = $1)`, next.Format("audit_logs_200601")).Scan(&c.Stray, &c.Prepared)
	if err != nil {
		return c, fmt.Errorf("inspect the partitions of the log: %w", err)
	}
	return c, nil
}
