package db

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

func (s *sqliteEngine) applied(ctx context.Context) (map[int]string, error) {
	rows, err := s.readers.QueryContext(ctx, selectMigrations)
	if err != nil {
		if strings.Contains(err.Error(), "no such table") {
			return nil, nil
		}
		return nil, classify(ctx, err)
	}
	return scanApplied(sqliteRows(ctx, rows))
}

func (s *sqliteEngine) migrate(ctx context.Context, files []migration, _ string) (taken []string, err error) {
	if _, err := s.writer.ExecContext(ctx, createMigrationsTable); err != nil {
		return nil, classify(ctx, err)
	}
	for _, m := range files {
		did, err := s.apply(ctx, m)
		if err != nil {
			return taken, fmt.Errorf("migration %s: %w", m.name, err)
		}
		if did {
			taken = append(taken, m.name)
		}
	}
	return taken, nil
}

// apply looks again inside the write lock, since two processes may start on
// one file at once.
func (s *sqliteEngine) apply(ctx context.Context, m migration) (did bool, err error) {
	if _, err := s.writer.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return false, classify(ctx, err)
	}
	defer func() {
		if err != nil || !did {
			_, rollbackErr := s.writer.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
			err = errors.Join(err, rollbackErr)
		}
	}()
	rows, err := s.writer.QueryContext(ctx, selectMigrations)
	if err != nil {
		return false, err
	}
	applied, err := scanApplied(sqliteRows(ctx, rows))
	if err != nil {
		return false, err
	}
	todo, err := pending([]migration{m}, applied)
	if err != nil || len(todo) == 0 {
		return false, err
	}
	if _, err := s.writer.ExecContext(ctx, m.text); err != nil {
		return false, err
	}
	if _, err := s.writer.ExecContext(ctx, insertMigration, m.version, m.name, m.checksum); err != nil {
		return false, err
	}
	_, err = s.writer.ExecContext(ctx, "COMMIT")
	return err == nil, err
}
