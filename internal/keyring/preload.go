package keyring

import (
	"context"
	"fmt"

	"gatehouse/internal/actor"
	"gatehouse/internal/platform/db"
)

// LoadPersonKeys brings the data keys of several people into memory with one
// query, for a caller that will ask PersonKey for each of them.
func (k *Keyring) LoadPersonKeys(ctx context.Context, q db.Querier, people []actor.UserID) error {
	now := k.now()
	wanted := map[actor.UserID]bool{}
	var missing []actor.UserID
	for _, u := range people {
		if p, ok := k.people.GetIfPresent(u); (!ok || !now.Before(p.until)) && !wanted[u] {
			wanted[u] = true
			missing = append(missing, u)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	var args []any
	rows, err := db.List(ctx, q, scanPersonKey,
		`SELECT user_id, master_key, wrapped FROM person_keys WHERE user_id IN `+db.In(&args, missing), args...)
	if err != nil {
		return fmt.Errorf("read the keys of people: %w", err)
	}
	for _, row := range rows {
		key, err := k.unwrapPerson(row)
		if err != nil {
			return err
		}
		k.remember(row.userID, key, now)
	}
	return nil
}
