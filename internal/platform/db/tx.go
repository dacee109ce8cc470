package db

import (
	"context"
	"time"
)

// Tx is one transaction. It is used by one goroutine at a time.
type Tx struct {
	conn    txConn
	dialect dialect
	now     time.Time
	queued  []statement
	notes   []note
}

// txConn is the connection of a running transaction. Both methods first run
// what was queued, in order; on PostgreSQL in the same exchange.
type txConn interface {
	exec(ctx context.Context, queued []statement, final statement) (int64, error)
	query(ctx context.Context, queued []statement, final statement) (*Rows, error)
	tryLock(ctx context.Context, queued []statement, key int64) (bool, error)
}

type statement struct {
	sql  string
	args []any
}

type note struct{ channel, payload string }

// Now is the instant of the transaction, in UTC and microseconds. It stands
// still.
func (tx *Tx) Now() time.Time { return tx.now }

// Exec runs a write at once and returns how many rows it touched.
func (tx *Tx) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	return tx.conn.exec(ctx, tx.take(), statement{sql, args})
}

// Queue adds a write whose count of rows does not matter. It is sent with the
// next statement or with COMMIT; its error surfaces there and ends the
// transaction.
func (tx *Tx) Queue(sql string, args ...any) {
	tx.queued = append(tx.queued, statement{sql, args})
}

// Query is Querier.Query inside the transaction.
func (tx *Tx) Query(ctx context.Context, sql string, args ...any) (*Rows, error) {
	return tx.conn.query(ctx, tx.take(), statement{sql, args})
}

// QueryRow is Querier.QueryRow inside the transaction.
func (tx *Tx) QueryRow(ctx context.Context, sql string, args ...any) *Row {
	rows, err := tx.Query(ctx, sql, args...)
	return &Row{rows: rows, err: err}
}

// Notify tells the listeners of channel, in every process, once the
// transaction has committed; those of this process before Tx returns.
// On PostgreSQL commits that notify wait for one another: use it for what
// must arrive fast, not for every change.
func (tx *Tx) Notify(channel, payload string) {
	tx.notes = append(tx.notes, note{channel, payload})
	if tx.dialect == postgresDialect {
		tx.Queue(`SELECT pg_notify($1, $2)`, channel, payload)
	}
}

// TryLock takes the lock called name until the transaction ends, or returns
// false if another transaction holds it. The single writer of SQLite always
// holds every lock.
func (tx *Tx) TryLock(ctx context.Context, name string) (bool, error) {
	return tx.conn.tryLock(ctx, tx.take(), lockKey(name))
}

// ForUpdate is the clause that locks the rows a SELECT reads.
func (tx *Tx) ForUpdate() string { return tx.dialect.forUpdate }

// SkipLocked is ForUpdate that passes over rows which others hold.
func (tx *Tx) SkipLocked() string { return tx.dialect.skipLocked }

func (tx *Tx) take() []statement {
	queued := tx.queued
	tx.queued = nil
	return queued
}

// restart forgets what an attempt queued, before fn runs again.
func (tx *Tx) restart(conn txConn) {
	tx.conn, tx.queued, tx.notes = conn, nil, nil
}
