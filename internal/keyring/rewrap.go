package keyring

import (
	"context"
	"fmt"

	"gatehouse/internal/actor"
	"gatehouse/internal/platform/db"
)

// rewrapBatch is how many keys of people one transaction rewraps.
const rewrapBatch = 500

// Rewrap seals every key that lies under an older master key with the current
// one, in batches by key, and returns how many it sealed. It can be stopped and
// called again at any time, beside a serving system. progress, if not nil, is
// called after each batch with how many are done of how many. RetireMastersTx
// ends the replacement.
func (k *Keyring) Rewrap(ctx context.Context, progress func(done, total int64)) (int64, error) {
	total, err := k.countOld(ctx)
	if err != nil {
		return 0, err
	}
	if progress == nil {
		progress = func(int64, int64) {}
	}
	done, err := k.rewrapKeys(ctx)
	if err != nil {
		return done, err
	}
	progress(done, total)
	for after, more := (actor.UserID{}), true; more; {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		var batch []personKey
		if batch, err = k.rewrapPeople(ctx, after); err != nil {
			return done, err
		}
		done += int64(len(batch))
		progress(done, max(done, total))
		if more = len(batch) == rewrapBatch; more {
			after = batch[len(batch)-1].userID
		}
	}
	return done, nil
}

func (k *Keyring) countOld(ctx context.Context) (int64, error) {
	var total int64
	err := k.db.QueryRow(ctx, `
		SELECT (SELECT COUNT(*) FROM keys WHERE master_key <> $1 AND wrapped IS NOT NULL)
		     + (SELECT COUNT(*) FROM person_keys WHERE master_key <> $1)`, k.masters.current).Scan(&total)
	if err != nil {
		return 0, fmt.Errorf("count the keys to rewrap: %w", err)
	}
	return total, nil
}

// rewrapKeys rewraps the keys of Gatehouse itself, which are few.
func (k *Keyring) rewrapKeys(ctx context.Context) (int64, error) {
	var done int64
	err := k.db.Tx(ctx, func(tx *db.Tx) error {
		done = 0
		rows, err := listKeys(ctx, tx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.MasterKey == k.masters.current || row.wrapped == nil {
				continue
			}
			wrapped, err := k.rewrap(row.MasterKey, row.wrapped, aadKeys(row.ID))
			if err != nil {
				return fmt.Errorf("rewrap key %s: %w", row.ID, err)
			}
			tx.Queue(`UPDATE keys SET master_key = $1, wrapped = $2 WHERE id = $3 AND wrapped IS NOT NULL`,
				k.masters.current, wrapped, row.ID)
			done++
		}
		return nil
	})
	return done, err
}

// rewrapPeople rewraps one batch of the keys of people. A row that is erased
// meanwhile stays erased.
func (k *Keyring) rewrapPeople(ctx context.Context, after actor.UserID) ([]personKey, error) {
	var batch []personKey
	err := k.db.Tx(ctx, func(tx *db.Tx) error {
		var err error
		args := []any{k.masters.current, rewrapBatch}
		from := ""
		if !after.IsZero() {
			from, args = ` AND user_id > $3`, append(args, after)
		}
		batch, err = db.List(ctx, tx, scanPersonKey, `
			SELECT user_id, master_key, wrapped FROM person_keys
			WHERE master_key <> $1`+from+` ORDER BY user_id LIMIT $2`, args...)
		if err != nil {
			return fmt.Errorf("read the keys of people: %w", err)
		}
		for _, p := range batch {
			wrapped, err := k.rewrap(p.master, p.wrapped, aadPersonKeys(p.userID))
			if err != nil {
				return fmt.Errorf("rewrap the key of person %s: %w", p.userID, err)
			}
			tx.Queue(`UPDATE person_keys SET master_key = $1, wrapped = $2 WHERE user_id = $3`,
				k.masters.current, wrapped, p.userID)
		}
		return nil
	})
	return batch, err
}

func (k *Keyring) rewrap(master string, wrapped, aad []byte) ([]byte, error) {
	plain, err := k.masters.unwrap(master, wrapped, aad)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	return k.masters.wrap(plain, aad), nil
}

// RetireMastersTx strikes the master keys that wrap nothing any more, so that
// nodes start without them, and returns their ids. Strike one only when every
// node wraps with the current one.
func (k *Keyring) RetireMastersTx(ctx context.Context, tx *db.Tx) ([]string, error) {
	retired, err := db.List(ctx, tx, scanText, `
		DELETE FROM master_keys
		WHERE id <> $1
		  AND NOT EXISTS (SELECT 1 FROM keys WHERE master_key = master_keys.id AND wrapped IS NOT NULL)
		  AND NOT EXISTS (SELECT 1 FROM person_keys WHERE master_key = master_keys.id)
		RETURNING id`, k.masters.current)
	if err != nil {
		return nil, fmt.Errorf("strike unused master keys: %w", err)
	}
	return retired, nil
}
