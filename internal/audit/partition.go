package audit

import (
	"context"
	"fmt"
	"time"

	"gatehouse/internal/platform/db"
)

// monthsAhead is how many partitions exist beside the current one.
const monthsAhead = 3

// MakePartitions makes the partitions of this month and the next ones. It
// needs the connection that owns the schema; SQLite has none to make.
func MakePartitions(ctx context.Context, owner *db.DB, now time.Time) error {
	if owner.Embedded() {
		return nil
	}
	first := time.Date(now.UTC().Year(), now.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
	for i := range monthsAhead + 1 {
		if err := makePartition(ctx, owner, first.AddDate(0, i, 0)); err != nil {
			return fmt.Errorf("make a partition of the log: %w", err)
		}
	}
	return nil
}

// makePartition leaves a month alone whose entries already fell into the
// default partition.
func makePartition(ctx context.Context, owner *db.DB, month time.Time) error {
	name := month.Format("audit_logs_200601")
	next := month.AddDate(0, 1, 0)
	var exists, late bool
	err := owner.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_class WHERE relname = $1),
		EXISTS (SELECT 1 FROM audit_logs_default WHERE occurred_at >= $2 AND occurred_at < $3)`,
		name, month, next).Scan(&exists, &late)
	if err != nil || exists || late {
		return err
	}
	return owner.Tx(ctx, func(tx *db.Tx) error {
		if mine, err := tx.TryLock(ctx, "gatehouse audit partitions"); err != nil || !mine {
			return err
		}
		tx.Queue(`SET LOCAL lock_timeout = '1s'`)
		tx.Queue(fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s PARTITION OF audit_logs FOR VALUES FROM ('%s') TO ('%s')`,
			name, month.Format(time.RFC3339), next.Format(time.RFC3339)))
		tx.Queue(fmt.Sprintf(`CREATE OR REPLACE TRIGGER %s_no_truncate BEFORE TRUNCATE ON %s
			FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()`, name, name))
		return nil
	})
}
