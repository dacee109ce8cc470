package keyring

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/secret"
)

// ErrMasterKey is returned by New when the database holds keys that none of
// the given master keys opens.
var ErrMasterKey = errors.New("keyring: the database belongs to another master key")

// masters seals with the current master key and opens with any of them.
type masters struct {
	current string // its id
	byID    map[string]secret.Key
}

func newMasters(keys []secret.Key) (masters, error) {
	if len(keys) == 0 {
		return masters{}, errors.New("keyring: no master key is given")
	}
	m := masters{current: masterID(keys[0]), byID: make(map[string]secret.Key, len(keys))}
	for _, k := range keys {
		if k == (secret.Key{}) {
			return masters{}, errors.New("keyring: a master key is all zero")
		}
		m.byID[masterID(k)] = k.Derive("gatehouse key wrapping")
	}
	return m, nil
}

// masterID names a master key without telling anything about it.
func masterID(k secret.Key) string {
	d := k.Derive("gatehouse master key id")
	return hex.EncodeToString(d[:8])
}

// aadKeys and aadPersonKeys bind a wrapped key to its column and row.
func aadKeys(id ID) []byte                 { return []byte("keys.wrapped." + id.String()) }
func aadPersonKeys(id fmt.Stringer) []byte { return []byte("person_keys.wrapped." + id.String()) }

func (m masters) wrap(plain, aad []byte) []byte {
	return m.byID[m.current].Seal(plain, aad)
}

func (m masters) unwrap(id string, wrapped, aad []byte) ([]byte, error) {
	k, ok := m.byID[id]
	if !ok {
		return nil, fmt.Errorf("keyring: wrapped by master key %s, which this node does not have", id)
	}
	plain, err := k.Open(wrapped, aad)
	if err != nil {
		return nil, fmt.Errorf("keyring: unwrap with master key %s: %w", id, err)
	}
	return plain, nil
}

// register claims an empty database for the current master key, or checks that
// every master key the database still needs is here.
func (m masters) register(ctx context.Context, d *db.DB) error {
	return d.Tx(ctx, func(tx *db.Tx) error {
		// Of two nodes at an empty database the second waits here for the
		// first and then sees its row.
		tx.Queue(`INSERT INTO master_keys (id, first, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
			m.current, true, tx.Now())
		needed, err := db.List(ctx, tx, scanText, `SELECT id FROM master_keys ORDER BY id`)
		if err != nil {
			return fmt.Errorf("read the master keys in use: %w", err)
		}
		for _, id := range needed {
			if _, ok := m.byID[id]; !ok {
				return fmt.Errorf("%w: it needs the one with id %s, and the current one here is %s",
					ErrMasterKey, id, m.current)
			}
		}
		tx.Queue(`INSERT INTO master_keys (id, first, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
			m.current, false, tx.Now())
		return nil
	})
}

func scanText(s db.Scanner) (string, error) {
	var text string
	err := s.Scan(&text)
	return text, err
}
