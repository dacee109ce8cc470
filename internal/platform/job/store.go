package job

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/id"
)

func insert(tx *db.Tx, kind string, payload []byte, o Options) {
	if payload == nil {
		payload = []byte{}
	}
	var unique *string
	if o.Unique != "" {
		unique = &o.Unique
	}
	tx.Queue(`INSERT INTO jobs (id, kind, unique_key, payload, attempts, max_attempts, due_at, lease, last_error, created_at, dead_at)
		VALUES ($1, $2, $3, $4, 0, $5, $6, NULL, '', $7, NULL)
		ON CONFLICT (kind, unique_key) DO NOTHING`,
		id.New[Job](tx.Now()), kind, unique, payload, int64(o.MaxAttempts), o.At, tx.Now())
}

// plan keeps the one row of a schedule. A shorter interval than the one it was
// last planned with brings it forward.
func plan(tx *db.Tx, kind string, now time.Time, interval time.Duration) {
	sum := sha256.Sum256([]byte(kind))
	tx.Queue(`INSERT INTO jobs (id, kind, unique_key, payload, attempts, max_attempts, due_at, lease, last_error, created_at, dead_at)
		VALUES ($1, $2, NULL, $3, 0, 0, $4, NULL, '', $4, NULL)
		ON CONFLICT (id) DO UPDATE SET due_at = $5 WHERE jobs.lease IS NULL AND jobs.due_at > $5`,
		ID(sum[:16]), kind, []byte{}, now, now.Add(interval))
}

// anyDue looks without taking the write lock.
func anyDue(ctx context.Context, q db.Querier, kinds []string, now time.Time) (bool, error) {
	args := []any{now}
	var one int64
	err := q.QueryRow(ctx, `SELECT 1 FROM jobs WHERE dead_at IS NULL AND due_at <= $1 AND kind IN `+db.In(&args, kinds)+` LIMIT 1`,
		args...).Scan(&one)
	if errors.Is(err, db.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// claim takes up to limit due jobs until the instant until. Rows that another
// runner is taking are passed over.
func claim(ctx context.Context, tx *db.Tx, kinds []string, now, until time.Time, limit int) ([]Job, error) {
	holder := id.New[lease](now)
	args := []any{until, holder, now, int64(limit)}
	return db.List(ctx, tx, scanJob, `WITH due AS MATERIALIZED (
			SELECT id FROM jobs WHERE dead_at IS NULL AND due_at <= $3 AND kind IN `+db.In(&args, kinds)+`
			ORDER BY due_at LIMIT $4`+tx.SkipLocked()+`
		)
		UPDATE jobs SET due_at = $1, lease = $2, attempts = attempts + 1, unique_key = NULL
		WHERE id IN (SELECT id FROM due)
		RETURNING id, kind, payload, attempts, max_attempts, created_at, lease`, args...)
}

func scanJob(s db.Scanner) (Job, error) {
	var j Job
	var attempts, maxAttempts int64
	err := s.Scan(&j.ID, &j.Kind, &j.Payload, &attempts, &maxAttempts, &j.CreatedAt, &j.lease)
	j.Attempt, j.maxAttempts = int(attempts), int(maxAttempts)
	return j, err
}

// The writes below touch nothing if the lease ran out and another runner took
// the job.

func remove(tx *db.Tx, j Job) {
	tx.Queue(`DELETE FROM jobs WHERE id = $1 AND lease = $2`, j.ID, j.lease)
}

func postpone(tx *db.Tx, j Job, due time.Time, reason string) {
	tx.Queue(`UPDATE jobs SET due_at = $3, lease = NULL, last_error = $4 WHERE id = $1 AND lease = $2`, j.ID, j.lease, due, reason)
}

func bury(tx *db.Tx, j Job, now time.Time, reason string) {
	tx.Queue(`UPDATE jobs SET dead_at = $3, lease = NULL, last_error = $4 WHERE id = $1 AND lease = $2`, j.ID, j.lease, now, reason)
}

func rearm(tx *db.Tx, j Job, due time.Time, reason string) {
	tx.Queue(`UPDATE jobs SET due_at = $3, lease = NULL, attempts = 0, last_error = $4 WHERE id = $1 AND lease = $2`,
		j.ID, j.lease, due, reason)
}

func deleteDead(tx *db.Tx, before time.Time) {
	tx.Queue(`DELETE FROM jobs WHERE dead_at < $1`, before)
}

// Count says how many jobs of one kind there are.
type Count struct {
	Kind    string
	Waiting int64 // or running
	Dead    int64
}

// Counts returns the jobs by kind, schedules left out.
func Counts(ctx context.Context, q db.Querier) ([]Count, error) {
	return db.List(ctx, q, func(s db.Scanner) (Count, error) {
		var c Count
		return c, s.Scan(&c.Kind, &c.Waiting, &c.Dead)
	}, `SELECT kind, COUNT(*) FILTER (WHERE dead_at IS NULL), COUNT(*) FILTER (WHERE dead_at IS NOT NULL)
		FROM jobs WHERE max_attempts > 0 GROUP BY kind ORDER BY kind`)
}

// Dead is a job that was given up.
type Dead struct {
	ID        ID
	Kind      string
	Attempts  int64
	LastError string
	DeadAt    time.Time
}

// ListDead returns the jobs given up last, at most limit of them.
func ListDead(ctx context.Context, q db.Querier, limit int) ([]Dead, error) {
	return db.List(ctx, q, func(s db.Scanner) (Dead, error) {
		var d Dead
		return d, s.Scan(&d.ID, &d.Kind, &d.Attempts, &d.LastError, &d.DeadAt)
	}, `SELECT id, kind, attempts, last_error, dead_at FROM jobs
		WHERE dead_at IS NOT NULL ORDER BY dead_at DESC, id LIMIT $1`, int64(limit))
}
