package keyring

import (
	"context"
	"fmt"

	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/secret"
)

// Fit returns how many master keys the keys in the database need, or
// ErrMasterKey if one of these is not among master. It changes nothing; 0 is a
// database that no program has used yet.
func Fit(ctx context.Context, q db.Querier, master []secret.Key) (needed int, err error) {
	list, err := db.List(ctx, q, scanText, `SELECT id FROM master_keys ORDER BY id`)
	if err != nil {
		return 0, fmt.Errorf("read the master keys in use: %w", err)
	}
	given := map[string]bool{}
	for _, k := range master {
		given[masterID(k)] = true
	}
	for _, id := range list {
		if !given[id] {
			return len(list), fmt.Errorf("%w: it needs the one with id %s", ErrMasterKey, id)
		}
	}
	return len(list), nil
}
