package custody

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gatehouse/internal/actor"
	"gatehouse/internal/audit"
	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
)

// The actions in the log.
const (
	ActionAdded     audit.Action = "key.added"
	ActionScheduled audit.Action = "key.scheduled"
	ActionRotated   audit.Action = "key.rotated"
	ActionWithdrawn audit.Action = "key.withdrawn"
	ActionDestroyed audit.Action = "key.destroyed"
	ActionRewrapped audit.Action = "key.rewrapped"
)

// Deps are what the service needs.
type Deps struct {
	DB   *db.DB
	Keys *keyring.Keyring
	Log  *audit.Log
}

// Service changes keys. It is safe for concurrent use.
type Service struct {
	db   *db.DB
	keys *keyring.Keyring
	log  *audit.Log
}

// New returns the service.
func New(d Deps) *Service { return &Service{db: d.DB, keys: d.Keys, log: d.Log} }

// require returns actor.ErrForbidden to everyone but the system itself.
func require(by actor.Actor) error {
	if by.Type != actor.System {
		return actor.ErrForbidden
	}
	return nil
}

// List returns what may be shown of every key, as the database has it now.
func (s *Service) List(ctx context.Context, by actor.Actor) ([]keyring.Key, error) {
	if err := require(by); err != nil {
		return nil, err
	}
	if err := s.keys.Reload(ctx); err != nil {
		return nil, err
	}
	return s.keys.List(), nil
}

// Rotate follows the active key of p by one of the given kind, or schedules
// that for when every verifier can know it; force does not wait. The zero Spec
// keeps the kind. It returns keyring.ErrChanged if another node was quicker.
func (s *Service) Rotate(ctx context.Context, by actor.Actor, p keyring.Purpose, spec keyring.Spec, force bool) (keyring.Change, error) {
	if err := require(by); err != nil {
		return keyring.Change{}, err
	}
	if err := s.keys.Reload(ctx); err != nil {
		return keyring.Change{}, err
	}
	c, err := s.keys.PlanRotation(p, spec, force)
	if err != nil {
		return keyring.Change{}, err
	}
	return c, s.apply(ctx, by, c)
}

// Withdraw makes every node refuse, within a minute, what the signing key with
// that id has signed. It returns keyring.ErrNotFound, ErrWithdrawn or
// ErrSymmetric for a key that cannot be withdrawn. It is wanted in a hurry, so
// it repeats itself where the keys changed meanwhile.
func (s *Service) Withdraw(ctx context.Context, by actor.Actor, key keyring.ID) (keyring.Change, error) {
	if err := require(by); err != nil {
		return keyring.Change{}, err
	}
	for attempt := 1; ; attempt++ {
		c, err := s.withdraw(ctx, by, key)
		if !errors.Is(err, keyring.ErrChanged) || attempt == withdrawals {
			return c, err
		}
	}
}

// withdrawals is how often Withdraw tries.
const withdrawals = 5

func (s *Service) withdraw(ctx context.Context, by actor.Actor, key keyring.ID) (keyring.Change, error) {
	if err := s.keys.Reload(ctx); err != nil {
		return keyring.Change{}, err
	}
	c, err := s.keys.PlanWithdrawal(key)
	if err != nil {
		return keyring.Change{}, err
	}
	return c, s.apply(ctx, by, c)
}

// Upkeep does what is due: rotations whose time has come, next keys ahead of
// their use, the destruction of retired keys. Call it about once a minute; on
// several nodes at once each change still happens once.
func (s *Service) Upkeep(ctx context.Context) error {
	if err := s.keys.Reload(ctx); err != nil {
		return err
	}
	due, err := s.keys.PlanUpkeep()
	faults := []error{err}
	for _, c := range due {
		err := s.apply(ctx, actor.ForSystem("key-upkeep"), c)
		if err != nil && !errors.Is(err, keyring.ErrChanged) {
			faults = append(faults, fmt.Errorf("%s %s: %w", c.Kind, c.Purpose, err))
		}
	}
	return errors.Join(faults...)
}

func (s *Service) apply(ctx context.Context, by actor.Actor, c keyring.Change) error {
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := s.keys.ApplyTx(ctx, tx, c); err != nil {
			return err
		}
		return s.log.Append(ctx, tx, by, event(c))
	})
	if err != nil {
		return err
	}
	return s.keys.Reload(ctx)
}

// event is the entry of a change. Its target is the key that it is about.
func event(c keyring.Change) audit.Event {
	about := c.New
	if c.Kind == keyring.Revoked || c.Kind == keyring.Destroyed {
		about = c.Old
	}
	e := audit.Event{
		Action: action(c.Kind),
		Target: audit.Thing("key", about.ID),
		Changes: map[string]audit.Change{
			"purpose":   {To: about.Purpose},
			"algorithm": {From: c.Old.Algorithm, To: c.New.Algorithm},
		},
	}
	switch {
	case c.Kind == keyring.Scheduled:
		e.Changes["active_from"] = audit.Change{To: c.New.ActiveFrom}
	case !c.Old.ID.IsZero() && !c.New.ID.IsZero():
		e.Changes["active"] = audit.Change{From: c.Old.ID, To: c.New.ID}
	}
	return e
}

func action(k keyring.Kind) audit.Action {
	switch k {
	case keyring.Added:
		return ActionAdded
	case keyring.Scheduled:
		return ActionScheduled
	case keyring.Rotated:
		return ActionRotated
	case keyring.Revoked:
		return ActionWithdrawn
	case keyring.Destroyed:
		return ActionDestroyed
	}
	panic("custody: unknown kind of change " + string(k))
}

// Rewrapped is what Rewrap has done.
type Rewrapped struct {
	Keys    int64    // how many it sealed anew
	Retired []string // ids of the master keys that may leave the configuration
}

// Rewrap seals every key with the current master key and strikes the master
// keys that wrap nothing any more. It can be stopped and repeated at any time.
// progress may be nil.
func (s *Service) Rewrap(ctx context.Context, by actor.Actor, progress func(done, total int64)) (Rewrapped, error) {
	if err := require(by); err != nil {
		return Rewrapped{}, err
	}
	var r Rewrapped
	var err error
	if r.Keys, err = s.keys.Rewrap(ctx, progress); err != nil {
		return r, err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		var err error
		if r.Retired, err = s.keys.RetireMastersTx(ctx, tx); err != nil {
			return err
		}
		if r.Keys == 0 && len(r.Retired) == 0 {
			return nil
		}
		return s.log.Append(ctx, tx, by, audit.Event{
			Action:  ActionRewrapped,
			Target:  audit.Target{Type: "master_key"},
			Changes: map[string]audit.Change{"master_key": {From: strings.Join(r.Retired, " "), To: s.keys.MasterID()}},
			Count:   max(r.Keys, 1),
		})
	})
	return r, err
}
