package idempotency

import (
	"context"
	"fmt"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/secret"
)

// Life is how long a key counts.
const Life = 24 * time.Hour

const (
	maxKey     = 255
	purgeBatch = 500 // rows a transaction
)

// ErrReused is returned for a key that the same person used for the same
// operation with another request.
var ErrReused = errs.New(errs.Invalid, "idempotency_key_reused",
	"The Idempotency-Key was used with another request.")

// ErrKey is returned for a key that is too long or not visible ASCII.
var ErrKey = errs.InvalidField("Idempotency-Key", "invalid",
	"The Idempotency-Key must be 1 to 255 visible ASCII characters.")

// Store keeps the answers. It is safe for concurrent use.
type Store struct {
	db   *db.DB
	keys *keyring.Keyring
}

// New returns a Store.
func New(d *db.DB, keys *keyring.Keyring) *Store { return &Store{db: d, keys: keys} }

// Do runs fn in a transaction and returns what it returned. A repeat by the
// same person, for the same operation, with the same Idempotency-Key and an
// input that encodes to the same JSON, gets the first answer for 24 hours and
// runs nothing; with another input it gets ErrReused.
//
// Without a key, and for anyone who is not signed in, it only runs fn.
// T must survive encoding to JSON and back; a secret.String in it does. Check
// before Do whether the actor may do this: a repeat does not ask fn.
func Do[T any](
	ctx context.Context, s *Store, by actor.Actor, operation string, input any, fn func(tx *db.Tx) (T, error),
) (T, error) {
	if by.Origin.IdempotencyKey == "" || by.UserID.IsZero() {
		return run(ctx, s.db, fn)
	}
	c, err := s.claimFor(by, operation, input)
	if err != nil {
		var none T
		return none, err
	}
	return run(ctx, s.db, func(tx *db.Tx) (T, error) {
		var none T
		taken, err := insert(ctx, tx, c)
		if err != nil {
			return none, fmt.Errorf("claim idempotency key: %w", err)
		}
		if !taken {
			return recall[T](ctx, tx, s, c, input)
		}
		out, err := fn(tx)
		if err != nil {
			return none, err
		}
		return out, keep(tx, c, out)
	})
}

// run returns what fn returned in the transaction that committed.
func run[T any](ctx context.Context, d *db.DB, fn func(tx *db.Tx) (T, error)) (T, error) {
	var out, none T
	err := d.Tx(ctx, func(tx *db.Tx) (err error) {
		out, err = fn(tx)
		return err
	})
	if err != nil {
		return none, err
	}
	return out, nil
}

// claim is one request under its key.
type claim struct {
	actorID   actor.UserID
	operation string
	key       string
	sealing   keyring.Named
	mac       []byte
}

func (s *Store) claimFor(by actor.Actor, operation string, input any) (claim, error) {
	c := claim{actorID: by.UserID, operation: operation, key: by.Origin.IdempotencyKey}
	if !validKey(c.key) {
		return claim{}, ErrKey
	}
	var err error
	if c.sealing, err = s.keys.Current(keyring.Idempotency); err != nil {
		return claim{}, fmt.Errorf("idempotency key: %w", err)
	}
	c.mac, err = c.requestMAC(c.sealing.Key, input)
	return c, err
}

func validKey(key string) bool {
	if len(key) > maxKey {
		return false
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return key != ""
}

// recall returns the answer that the key's first request got.
func recall[T any](ctx context.Context, tx *db.Tx, s *Store, c claim, input any) (T, error) {
	var out T
	first, err := find(ctx, tx, c)
	if err != nil {
		return out, fmt.Errorf("recall answer: %w", err)
	}
	key, err := s.keys.ByID(keyring.Idempotency, first.sealingKey)
	if err != nil {
		return out, fmt.Errorf("recall answer: %w", err)
	}
	mac, err := c.requestMAC(key, input)
	if err != nil {
		return out, err
	}
	if !secret.Equal(mac, first.requestMAC) {
		return out, ErrReused
	}
	text, err := key.Derive(answerPurpose).Open(first.answer, c.aad())
	if err != nil {
		return out, fmt.Errorf("recall answer: %w", err)
	}
	if err := decode(text, &out); err != nil {
		return out, fmt.Errorf("recall answer: %w", err)
	}
	return out, nil
}

// keep stores the answer beside the change it tells of.
func keep(tx *db.Tx, c claim, answer any) error {
	text, err := encode(answer)
	if err != nil {
		return fmt.Errorf("keep answer: %w", err)
	}
	setAnswer(tx, c, c.sealing.Key.Derive(answerPurpose).Seal(text, c.aad()))
	return nil
}

// Purge deletes the keys that count no longer and returns how many.
func (s *Store) Purge(ctx context.Context) (int64, error) {
	var total int64
	for {
		var n int64
		err := s.db.Tx(ctx, func(tx *db.Tx) error {
			var err error
			n, err = deleteOld(ctx, tx)
			return err
		})
		if err != nil {
			return total, fmt.Errorf("purge idempotency keys: %w", err)
		}
		if total += n; n < purgeBatch {
			return total, nil
		}
	}
}
