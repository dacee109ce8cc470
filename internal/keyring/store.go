package keyring

import (
	"context"
	"fmt"

	"gatehouse/internal/actor"
	"gatehouse/internal/platform/db"
)

// stored is a row of keys.
type stored struct {
	Key
	wrapped []byte
}

func listKeys(ctx context.Context, q db.Querier) ([]stored, error) {
	list, err := db.List(ctx, q, scanKey, `
		SELECT id, purpose, algorithm, status, master_key, wrapped, public_key,
		       created_at, active_from, retired_at, destroy_at
		FROM keys ORDER BY purpose, created_at, id`)
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	return list, nil
}

func scanKey(s db.Scanner) (stored, error) {
	var k stored
	err := s.Scan(&k.ID, &k.Purpose, &k.Algorithm, &k.Status, &k.MasterKey, &k.wrapped, &k.Public,
		&k.CreatedAt, &k.ActiveFrom, &k.RetiredAt, &k.DestroyAt)
	return k, err
}

// insertKey stores k unless its purpose already has a key of that status.
func insertKey(ctx context.Context, tx *db.Tx, k stored) (bool, error) {
	n, err := tx.Exec(ctx, `
		INSERT INTO keys (id, purpose, algorithm, status, master_key, wrapped, public_key, created_at, active_from)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
		k.ID, string(k.Purpose), string(k.Algorithm), string(k.Status), k.MasterKey, k.wrapped, k.Public,
		k.CreatedAt, k.ActiveFrom)
	if err != nil {
		return false, fmt.Errorf("store a key for %s: %w", k.Purpose, err)
	}
	return n == 1, nil
}

// alter runs a statement that must touch exactly one row, or the keys are no
// longer as they were when the change was planned.
func alter(ctx context.Context, tx *db.Tx, sql string, args ...any) error {
	n, err := tx.Exec(ctx, sql, args...)
	if err != nil {
		return fmt.Errorf("change a key: %w", err)
	}
	if n != 1 {
		return ErrChanged
	}
	return nil
}

// personKey is a row of person_keys.
type personKey struct {
	userID  actor.UserID
	master  string
	wrapped []byte
}

func scanPersonKey(s db.Scanner) (personKey, error) {
	var p personKey
	err := s.Scan(&p.userID, &p.master, &p.wrapped)
	return p, err
}

func findPersonKey(ctx context.Context, q db.Querier, u actor.UserID) (personKey, error) {
	return scanPersonKey(q.QueryRow(ctx,
		`SELECT user_id, master_key, wrapped FROM person_keys WHERE user_id = $1`, u))
}
