package account

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/internal/actor"
	"gatehouse/internal/audit"
	"gatehouse/internal/identity"
	"gatehouse/internal/platform/db"
)

// Profile returns the actor's own account. It asks the database only for who
// is not in memory.
func (s *Service) Profile(ctx context.Context, by actor.Actor) (Person, error) {
	if by.UserID.IsZero() {
		return Person{}, actor.ErrForbidden
	}
	u, err := s.users.Cached(ctx, by.UserID)
	if err != nil {
		return Person{}, fmt.Errorf("read own profile: %w", err)
	}
	return Person{User: u, Roles: by.Roles}, nil
}

// UpdateProfile changes the actor's own account. version is the one that the
// client saw, 0 for any. It returns a validation error,
// identity.ErrUsernameTaken or identity.ErrChanged.
func (s *Service) UpdateProfile(ctx context.Context, by actor.Actor, version int64, c ProfileChange) (Person, error) {
	if by.UserID.IsZero() {
		return Person{}, actor.ErrForbidden
	}
	seen, err := s.seen(ctx, by.UserID, version, c)
	if err != nil {
		return Person{}, err
	}
	now := seen
	if c.apply(seen) != seen {
		err = s.db.Tx(ctx, func(tx *db.Tx) error {
			now, err = s.editProfile(ctx, tx, by, seen, c)
			if version != 0 || !errors.Is(err, identity.ErrChanged) {
				return err
			}
			// What was in memory is out of date; nothing was written yet.
			locked, err := s.users.Lock(ctx, tx, by.UserID)
			if err != nil {
				return err
			}
			now, err = s.editProfile(ctx, tx, by, locked, c)
			return err
		})
		if err != nil {
			s.users.ForgetAfter(by.UserID, err)
			return Person{}, err
		}
		s.users.Remember(now)
	}
	return Person{User: now, Roles: by.Roles}, nil
}

// seen returns the person from memory where that will do: the statement that
// writes refuses what is out of date. It will not do for a version that memory
// does not have, nor to find that there is nothing to write.
func (s *Service) seen(ctx context.Context, u identity.UserID, version int64, c ProfileChange) (identity.User, error) {
	seen, err := s.users.Cached(ctx, u)
	if err == nil && (version != 0 && version != seen.Version || c.apply(seen) == seen) {
		seen, err = s.users.Find(ctx, s.db, u)
	}
	switch {
	case err != nil:
		return seen, fmt.Errorf("read own profile: %w", err)
	case version != 0 && version != seen.Version:
		return seen, identity.ErrChanged
	}
	return seen, nil
}

func (s *Service) editProfile(
	ctx context.Context, tx *db.Tx, by actor.Actor, before identity.User, c ProfileChange,
) (identity.User, error) {
	changed := changes(before, c.apply(before))
	if len(changed) == 0 {
		return before, nil
	}
	after, err := s.users.Update(ctx, tx, before, c.apply(before))
	if err != nil {
		return identity.User{}, err
	}
	return after, s.log.Append(ctx, tx, by, audit.Event{
		Action: UserUpdated, Target: audit.Person(after.ID), Changes: changed,
	})
}
