package keyring

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/id"
)

// Kind says what a Change does.
type Kind string

// The kinds of changes.
const (
	Added     Kind = "added"     // a next key stands ready
	Scheduled Kind = "scheduled" // the next key becomes active at New.ActiveFrom
	Rotated   Kind = "rotated"   // New follows Old as the active key
	Revoked   Kind = "withdrawn" // Old is refused from now on; New follows if Old was active
	Destroyed Kind = "destroyed" // Old has served its time
)

var (
	// ErrNotFound is returned for a key id that is not stored.
	ErrNotFound = errs.New(errs.NotFound, "key_not_found", "There is no such key.")
	// ErrWithdrawn is returned for a key that is withdrawn already.
	ErrWithdrawn = errs.New(errs.Conflict, "key_withdrawn", "This key has been withdrawn already.")
	// ErrSymmetric is returned for the withdrawal of a symmetric key, which
	// would make unreadable what it sealed: rotate it instead.
	ErrSymmetric = errs.New(errs.Invalid, "key_symmetric", "Only a signing key can be withdrawn; rotate this one.")
)

// Change is a planned step in the life of the keys of one purpose. Nothing has
// happened until ApplyTx and the commit.
type Change struct {
	Kind    Kind
	Purpose Purpose
	Old     Key // zero if none
	New     Key // zero if none

	fresh *stored // to be stored as New
	drop  ID      // the next key that fresh replaces
	keep  time.Duration
}

// PlanRotation plans to follow the active key of p by one of kind s. A next key
// of that kind is taken, otherwise one is made. Unless force is set it becomes
// active only when every verifier can know it: the change is then Scheduled,
// and Upkeep rotates when the time has come.
func (k *Keyring) PlanRotation(p Purpose, s Spec, force bool) (Change, error) {
	pol, err := p.policy()
	if err != nil {
		return Change{}, err
	}
	state := k.state.Load()
	active, ok := state.find(p, Active)
	if !ok {
		return Change{}, fmt.Errorf("rotate %s: %w", p, ErrNoKey)
	}
	like := specOf(active.Algorithm, state.material[active.ID])
	if s == (Spec{}) {
		s = like
	}
	if s.signs() != like.signs() {
		return Change{}, ErrSpec
	}
	c := Change{Kind: Rotated, Purpose: p, Old: active, keep: pol.keep}
	next, ok := state.find(p, Next)
	if ok && specOf(next.Algorithm, state.material[next.ID]) == s.normal() {
		c.New = next
	} else if err := c.makeNew(k, s, next.ID); err != nil {
		return Change{}, err
	}
	if ripe := c.New.CreatedAt.Add(pol.ahead); !force && k.now().Before(ripe) {
		c.plan(ripe)
	}
	return c, nil
}

// PlanWithdrawal plans that the signing key with that id is refused from now
// on, on every node. If it is the active one, the next key follows at once, or
// a new one of the same kind.
func (k *Keyring) PlanWithdrawal(key ID) (Change, error) {
	state := k.state.Load()
	old, ok := state.byID(key)
	if !ok {
		return Change{}, ErrNotFound
	}
	pol, err := old.Purpose.policy()
	switch {
	case err != nil:
		return Change{}, err
	case old.Algorithm == A256:
		return Change{}, ErrSymmetric
	case old.Status == Withdrawn:
		return Change{}, ErrWithdrawn
	}
	c := Change{Kind: Revoked, Purpose: old.Purpose, Old: old, keep: pol.keep}
	if old.Status != Active {
		return c, nil
	}
	if next, ok := state.find(old.Purpose, Next); ok {
		c.New = next
		return c, nil
	}
	return c, c.makeNew(k, specOf(old.Algorithm, state.material[key]), ID{})
}

// PlanUpkeep plans what is due: rotations whose time has come, next keys to be
// made ahead, retired keys to be destroyed. Each is applied in a transaction
// of its own; ErrChanged there means that another node did it.
func (k *Keyring) PlanUpkeep() ([]Change, error) {
	var list []Change
	var faults []error
	for _, p := range Purposes() {
		c, err := k.planNext(p)
		if err != nil {
			faults = append(faults, fmt.Errorf("upkeep of %s: %w", p, err))
		} else if c != nil {
			list = append(list, *c)
		}
	}
	now := k.now()
	for _, key := range k.state.Load().keys {
		if key.over(now) {
			list = append(list, Change{Kind: Destroyed, Purpose: key.Purpose, Old: key})
		}
	}
	return list, errors.Join(faults...)
}

// planNext plans the step that is due towards the next key of p; nil if none.
func (k *Keyring) planNext(p Purpose) (*Change, error) {
	pol, err := p.policy()
	if err != nil {
		return nil, err
	}
	state, now := k.state.Load(), k.now()
	active, ok := state.find(p, Active)
	if !ok {
		return nil, ErrNoKey
	}
	end := pol.end(active.ActiveFrom)
	if next, ok := state.find(p, Next); ok {
		at := next.ActiveFrom
		if at.IsZero() {
			at = end
		}
		if at.IsZero() || now.Before(at) || now.Before(next.CreatedAt.Add(pol.ahead)) {
			return nil, nil
		}
		return &Change{Kind: Rotated, Purpose: p, Old: active, New: next, keep: pol.keep}, nil
	}
	if !pol.spare && (end.IsZero() || now.Before(end.Add(-early))) {
		return nil, nil
	}
	c := &Change{Kind: Added, Purpose: p}
	if err := c.makeNew(k, specOf(active.Algorithm, state.material[active.ID]), ID{}); err != nil {
		return nil, err
	}
	return c, nil
}

// makeNew makes a key to be stored as the next one, in place of replaces.
func (c *Change) makeNew(k *Keyring, s Spec, replaces ID) error {
	row, err := k.make(c.Purpose, s, Next)
	if err != nil {
		return err
	}
	c.New, c.fresh, c.drop = row.Key, &row, replaces
	return nil
}

// plan turns a rotation into one at a later instant.
func (c *Change) plan(at time.Time) {
	c.Kind = Scheduled
	c.New.ActiveFrom = at
	if c.fresh != nil {
		c.fresh.ActiveFrom = at
	}
}

// make makes a key, without storing it.
func (k *Keyring) make(p Purpose, s Spec, status Status) (stored, error) {
	mat, err := newMaterial(s)
	if err != nil {
		return stored{}, err
	}
	private, public, err := mat.encode()
	if err != nil {
		return stored{}, err
	}
	now := k.now().UTC().Truncate(time.Microsecond)
	row := stored{Key: Key{
		ID: id.New[Label](now), Purpose: p, Algorithm: s.Algorithm, Status: status,
		MasterKey: k.masters.current, Public: public, CreatedAt: now,
	}}
	row.wrapped = k.masters.wrap(private, aadKeys(row.ID))
	return row, nil
}

// byID returns the stored key with that id.
func (s *snapshot) byID(key ID) (Key, bool) {
	for _, k := range s.keys {
		if k.ID == key {
			return k, true
		}
	}
	return Key{}, false
}

// ApplyTx makes the change c part of the caller's transaction. It returns
// ErrChanged if the keys are no longer as they were when c was planned. After
// the commit every node hears of it; Reload makes sure that this one has.
func (k *Keyring) ApplyTx(ctx context.Context, tx *db.Tx, c Change) error {
	tx.Notify(channel, "")
	if err := c.removeOld(ctx, tx); err != nil {
		return err
	}
	if err := c.storeNew(ctx, tx); err != nil {
		return err
	}
	switch {
	case c.Kind == Scheduled:
		return alter(ctx, tx, `UPDATE keys SET active_from = $1 WHERE id = $2 AND status = 'next'`,
			c.New.ActiveFrom, c.New.ID)
	case c.Kind == Rotated, c.Kind == Revoked && !c.New.ID.IsZero():
		return alter(ctx, tx, `UPDATE keys SET status = 'active', active_from = $1 WHERE id = $2 AND status = 'next'`,
			tx.Now(), c.New.ID)
	}
	return nil
}

func (c Change) removeOld(ctx context.Context, tx *db.Tx) error {
	switch c.Kind {
	case Rotated:
		return c.retire(ctx, tx)
	case Revoked:
		return alter(ctx, tx, `
			UPDATE keys SET status = 'withdrawn', wrapped = NULL, retired_at = $1, destroy_at = NULL
			WHERE id = $2 AND status = $3`, tx.Now(), c.Old.ID, string(c.Old.Status))
	case Destroyed:
		return alter(ctx, tx, `DELETE FROM keys WHERE id = $1 AND status = 'retired'`, c.Old.ID)
	case Added, Scheduled:
	}
	return nil
}

// retire ends the use of the active key. A signing key only verifies from now
// on, so its private half goes at once.
func (c Change) retire(ctx context.Context, tx *db.Tx) error {
	var destroy time.Time
	if c.keep > 0 {
		destroy = tx.Now().Add(c.keep)
	}
	if c.Old.Algorithm == A256 {
		return alter(ctx, tx, `
			UPDATE keys SET status = 'retired', retired_at = $1, destroy_at = $2
			WHERE id = $3 AND status = 'active'`, tx.Now(), destroy, c.Old.ID)
	}
	return alter(ctx, tx, `
		UPDATE keys SET status = 'retired', retired_at = $1, destroy_at = $2, wrapped = NULL
		WHERE id = $3 AND status = 'active'`, tx.Now(), destroy, c.Old.ID)
}

func (c Change) storeNew(ctx context.Context, tx *db.Tx) error {
	if !c.drop.IsZero() {
		err := alter(ctx, tx, `DELETE FROM keys WHERE id = $1 AND status = 'next'`, c.drop)
		if err != nil {
			return err
		}
	}
	if c.fresh == nil {
		return nil
	}
	stored, err := insertKey(ctx, tx, *c.fresh)
	if err == nil && !stored {
		err = ErrChanged
	}
	return err
}
