package session

import (
	"context"
	"fmt"
	"time"

	"gatehouse/internal/platform/db"
)

const (
	retention  = 7 * 24 * time.Hour // of sessions that have ended (PRV-7)
	purgeBatch = 500                // rows a transaction
)

// Purge wipes the successors that no repeat may ask for any more, and deletes
// the sessions that ended a week ago, with their spent tokens. It returns how
// many sessions it deleted.
func (s *Service) Purge(ctx context.Context) (int64, error) {
	if _, err := s.inBatches(ctx, wipeSuccessors); err != nil {
		return 0, fmt.Errorf("wipe refresh token successors: %w", err)
	}
	deleted, err := s.inBatches(ctx, deleteEnded)
	if err != nil {
		return deleted, fmt.Errorf("delete ended sessions: %w", err)
	}
	return deleted, nil
}

// inBatches runs step, each time in a transaction of its own, until it finds
// less than a full batch.
func (s *Service) inBatches(ctx context.Context, step func(context.Context, *db.Tx) (int64, error)) (int64, error) {
	var total int64
	for {
		var n int64
		err := s.db.Tx(ctx, func(tx *db.Tx) error {
			var err error
			n, err = step(ctx, tx)
			return err
		})
		if total += n; err != nil || n < purgeBatch {
			return total, err
		}
	}
}
