package job

import (
	"context"
	"fmt"
	"time"

	"gatehouse/internal/platform/db"
)

// Backlog is how far the runners are behind.
type Backlog struct {
	Since time.Time // when the longest-waiting job or turn became due; zero: none is due
	Dead  int64     // jobs given up
}

// Inspect returns the backlog at an instant. Jobs under a valid lease are not
// due.
func Inspect(ctx context.Context, q db.Querier, now time.Time) (Backlog, error) {
	var b Backlog
	var since *time.Time
	err := q.QueryRow(ctx, `SELECT MIN(due_at) FILTER (WHERE dead_at IS NULL AND due_at <= $1), COUNT(dead_at) FROM jobs`, now).
		Scan(&since, &b.Dead)
	if err != nil {
		return b, fmt.Errorf("inspect the jobs: %w", err)
	}
	if since != nil {
		b.Since = *since
	}
	return b, nil
}
