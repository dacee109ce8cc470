package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	migrateLock    = "gatehouse migrate"
	migrateTimeout = 10 * time.Minute
)

func (p *postgresEngine) applied(ctx context.Context) (map[int]string, error) {
	rows, err := p.query(ctx, planOnce, selectMigrations, nil)
	if err == nil {
		var applied map[int]string
		if applied, err = scanApplied(rows); err == nil {
			return applied, nil
		}
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "42P01" { // no such table
		return nil, nil
	}
	return nil, err
}

func (p *postgresEngine) migrate(ctx context.Context, files []migration, grantTo string) (taken []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return nil, classify(ctx, err)
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, `SET statement_timeout = 0`); err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, lockKey(migrateLock)); err != nil {
		return nil, err
	}
	// The connection is closed rather than given back: it holds settings.
	defer func() { _ = conn.Conn().Close(context.WithoutCancel(ctx)) }()

	if _, err := conn.Exec(ctx, createMigrationsTable); err != nil {
		return nil, err
	}
	applied, err := p.applied(ctx)
	if err != nil {
		return nil, err
	}
	todo, err := pending(files, applied)
	if err != nil {
		return nil, err
	}
	for _, m := range todo {
		if err := applyPostgres(ctx, conn.Conn(), m); err != nil {
			return taken, fmt.Errorf("migration %s: %w", m.name, err)
		}
		taken = append(taken, m.name)
	}
	if grantTo != "" {
		if err := grant(ctx, conn.Conn(), grantTo); err != nil {
			return taken, fmt.Errorf("grant to the application's role: %w", err)
		}
	}
	return taken, nil
}

// applyPostgres gives up after a second behind somebody's lock instead of
// making everybody wait behind it (DEP-4).
func applyPostgres(ctx context.Context, conn *pgx.Conn, m migration) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '1s'`); err != nil {
			return err
		}
		if _, err := tx.Conn().PgConn().Exec(ctx, m.text).ReadAll(); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, insertMigration, m.version, m.name, m.checksum)
		return err
	})
}

// appendOnly lists the tables whose rows the application may add and read only.
func appendOnly() []string { return []string{"audit_logs", "audit_seals", "audit_heads"} }

// partitions lists the partitions of the log, which have rights of their own.
func partitions(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, `SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_logs'::regclass`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// grant lets role use the tables, but change nothing in the log.
func grant(ctx context.Context, conn *pgx.Conn, role string) error {
	to := pgx.Identifier{role}.Sanitize()
	statements := []string{
		`GRANT USAGE ON SCHEMA public TO ` + to,
		`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ` + to,
		`REVOKE INSERT, UPDATE, DELETE ON schema_migrations FROM ` + to,
	}
	parts, err := partitions(ctx, conn)
	if err != nil {
		return err
	}
	for _, table := range append(appendOnly(), parts...) {
		statements = append(statements, `REVOKE UPDATE, DELETE, TRUNCATE ON `+table+` FROM `+to)
	}
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return err
		}
	}
	return nil
}
