package identity

import (
	"context"

	"gatehouse/internal/platform/db"
)

// ConfirmEpoch locks the person and returns ErrChanged unless their rights are
// still those of the given epoch.
func (s *Service) ConfirmEpoch(ctx context.Context, tx *db.Tx, u UserID, epoch int64) error {
	found, err := findUser(ctx, tx, u, tx.ForUpdate())
	if err != nil {
		return err
	}
	if found.Epoch != epoch {
		return ErrChanged
	}
	return nil
}
