package keyring

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/maypok86/otter/v2"

	"gatehouse/internal/actor"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/id"
	"gatehouse/internal/platform/secret"
)

// ErrErased is returned for a person who has no key: what it sealed is gone.
var ErrErased = errs.New(errs.NotFound, "erased", "The data of this person has been erased.")

const (
	// peopleMax bounds the keys of people in memory.
	peopleMax = 10_000
	// personTTL ends a key in memory whose destruction this node did not hear of.
	personTTL = time.Hour
)

// person is the key of a person in memory.
type person struct {
	key   secret.Key
	until time.Time
}

func newPeople() (*otter.Cache[actor.UserID, person], error) {
	cache, err := otter.New(&otter.Options[actor.UserID, person]{MaximumSize: peopleMax})
	if err != nil {
		return nil, fmt.Errorf("keyring: memory for the keys of people: %w", err)
	}
	return cache, nil
}

// PersonKey returns the data key of u, from memory or through q. It returns
// ErrErased if there is none.
func (k *Keyring) PersonKey(ctx context.Context, q db.Querier, u actor.UserID) (secret.Key, error) {
	now := k.now()
	if p, ok := k.people.GetIfPresent(u); ok && now.Before(p.until) {
		return p.key, nil
	}
	row, err := findPersonKey(ctx, q, u)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return secret.Key{}, ErrErased
	case err != nil:
		return secret.Key{}, fmt.Errorf("read the key of a person: %w", err)
	}
	key, err := k.unwrapPerson(row)
	if err != nil {
		return secret.Key{}, err
	}
	k.remember(u, key, now)
	return key, nil
}

func (k *Keyring) unwrapPerson(row personKey) (secret.Key, error) {
	plain, err := k.masters.unwrap(row.master, row.wrapped, aadPersonKeys(row.userID))
	if err != nil {
		return secret.Key{}, err
	}
	if len(plain) != len(secret.Key{}) {
		return secret.Key{}, errMaterial
	}
	return secret.Key(plain), nil
}

// CreatePersonKey makes the data key of u, whose id must be new. It is in
// memory at once, so that the same transaction can seal with it; if the
// transaction fails, nothing was sealed.
func (k *Keyring) CreatePersonKey(tx *db.Tx, u actor.UserID) (secret.Key, error) {
	if u.IsZero() {
		return secret.Key{}, errors.New("keyring: a person without an id")
	}
	key := secret.NewKey()
	tx.Queue(`INSERT INTO person_keys (user_id, master_key, wrapped, created_at) VALUES ($1, $2, $3, $4)`,
		u, k.masters.current, k.masters.wrap(key[:], aadPersonKeys(u)), tx.Now())
	k.remember(u, key, k.now())
	return key, nil
}

// ErasePersonKey destroys the data key of u: what it sealed can never be read
// again. Every node forgets it after the commit.
func (k *Keyring) ErasePersonKey(tx *db.Tx, u actor.UserID) {
	tx.Queue(`DELETE FROM person_keys WHERE user_id = $1`, u)
	tx.Notify(channel, u.String())
}

// Forget drops the data key of u from the memory of this node.
func (k *Keyring) Forget(u actor.UserID) { k.people.Invalidate(u) }

func (k *Keyring) remember(u actor.UserID, key secret.Key, now time.Time) {
	k.people.Set(u, person{key: key, until: now.Add(personTTL)})
}

// hearErased takes the note of ErasePersonKey.
func (k *Keyring) hearErased(payload string) {
	if u, err := id.Parse[actor.Subject](payload); err == nil {
		k.Forget(u)
	}
}
