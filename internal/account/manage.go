package account

import (
	"context"

	"gatehouse/internal/actor"
	"gatehouse/internal/audit"
	"gatehouse/internal/identity"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/session"
)

// Update changes a person. version is the one that the client saw, 0 for any.
// It needs PermWrite and every permission that the person holds. It returns a
// validation error, identity.ErrNotFound also for deleted people,
// identity.ErrEmailTaken, identity.ErrUsernameTaken, identity.ErrChanged or
// rbac.ErrLastAdmin.
func (s *Service) Update(ctx context.Context, by actor.Actor, u identity.UserID, version int64, c UserChange) (Person, error) {
	if err := by.Require(PermWrite); err != nil {
		return Person{}, err
	}
	var now Person
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		change := func() error {
			before, err := s.lockPresent(ctx, tx, by, u, version)
			if err != nil {
				return err
			}
			if err := s.edit(ctx, tx, by, before, c); err != nil {
				return err
			}
			if now.User, err = s.users.Find(ctx, tx, u); err != nil {
				return err
			}
			now, err = s.person(ctx, tx, by, now.User)
			return err
		}
		if c.mayLockOut() {
			return s.roles.KeepAdmin(ctx, tx, u, change)
		}
		return change()
	})
	s.users.ForgetAfter(u, err)
	return now, err
}

// edit writes what differs: fields and status, each with its entry.
func (s *Service) edit(ctx context.Context, tx *db.Tx, by actor.Actor, before identity.User, c UserChange) error {
	after := c.apply(before)
	if changed := changes(before, after); len(changed) > 0 {
		if _, err := s.users.Update(ctx, tx, before, after); err != nil {
			return err
		}
		err := s.log.Append(ctx, tx, by, audit.Event{Action: UserUpdated, Target: audit.Person(before.ID), Changes: changed})
		if err != nil {
			return err
		}
	}
	if before.EmailVerified && !after.EmailVerified {
		// Who could not sign in any more must not stay signed in.
		if err := s.endSessions(ctx, tx, before.ID, session.AccountDisabled); err != nil {
			return err
		}
	}
	if c.Status == nil || *c.Status == before.Status {
		return nil
	}
	return s.setStatus(ctx, tx, by, before, *c.Status)
}

func (s *Service) setStatus(ctx context.Context, tx *db.Tx, by actor.Actor, before identity.User, to identity.Status) error {
	event := audit.Event{
		Target: audit.Person(before.ID), Changes: moved(before.Status, to),
	}
	switch {
	case to == identity.Suspended:
		event.Action = UserSuspended
		if err := s.users.Suspend(ctx, tx, before.ID); err != nil {
			return err
		}
		if err := s.endSessions(ctx, tx, before.ID, session.AccountDisabled); err != nil {
			return err
		}
	case to == identity.Active && before.Status != identity.Pending:
		event.Action = UserActivated
		if err := s.users.Activate(ctx, tx, before.ID); err != nil {
			return err
		}
	default:
		return errs.InvalidField("account_status", "not_allowed",
			"must be active or suspended; a pending account becomes active with its password")
	}
	return s.log.Append(ctx, tx, by, event)
}

// Delete hides a person, who can be restored, and ends their sessions. It
// needs PermDelete and every permission that the person holds, and returns
// what Update returns.
func (s *Service) Delete(ctx context.Context, by actor.Actor, u identity.UserID, version int64) error {
	if err := by.Require(PermDelete); err != nil {
		return err
	}
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		return s.roles.KeepAdmin(ctx, tx, u, func() error {
			before, err := s.lockPresent(ctx, tx, by, u, version)
			if err != nil {
				return err
			}
			if err := s.users.Delete(ctx, tx, u); err != nil {
				return err
			}
			if err := s.endSessions(ctx, tx, u, session.AccountDeleted); err != nil {
				return err
			}
			return s.log.Append(ctx, tx, by, audit.Event{
				Action: UserDeleted, Target: audit.Person(u), Changes: moved(before.Status, identity.Deleted),
			})
		})
	})
	s.users.ForgetAfter(u, err)
	return err
}

// Restore brings a deleted person back as they were, with their roles; one who
// is not deleted stays as they are. It needs PermWrite and every permission
// that the person holds. It returns identity.ErrNotFound,
// identity.ErrEmailTaken or identity.ErrUsernameTaken.
func (s *Service) Restore(ctx context.Context, by actor.Actor, u identity.UserID) (Person, error) {
	if err := by.Require(PermWrite); err != nil {
		return Person{}, err
	}
	var now Person
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		before, err := s.lock(ctx, tx, by, u)
		if err != nil {
			return err
		}
		if before.IsDeleted() {
			if err := s.users.Restore(ctx, tx, u); err != nil {
				return err
			}
		}
		after, err := s.users.Find(ctx, tx, u)
		if err != nil {
			return err
		}
		if before.IsDeleted() {
			err := s.log.Append(ctx, tx, by, audit.Event{
				Action: UserRestored, Target: audit.Person(u), Changes: moved(identity.Deleted, after.Status),
			})
			if err != nil {
				return err
			}
		}
		now, err = s.person(ctx, tx, by, after)
		return err
	})
	s.users.ForgetAfter(u, err)
	return now, err
}

// lockPresent is lock for a person who is not deleted and has the version.
func (s *Service) lockPresent(
	ctx context.Context, tx *db.Tx, by actor.Actor, u identity.UserID, version int64,
) (identity.User, error) {
	found, err := s.lock(ctx, tx, by, u)
	switch {
	case err != nil:
		return found, err
	case found.IsDeleted():
		return found, identity.ErrNotFound
	case version != 0 && version != found.Version:
		return found, identity.ErrChanged
	}
	return found, nil
}

// lock returns the person, kept from other changes until tx ends, if the actor
// may change them.
func (s *Service) lock(ctx context.Context, tx *db.Tx, by actor.Actor, u identity.UserID) (identity.User, error) {
	found, err := s.users.Lock(ctx, tx, u)
	if err != nil {
		return found, err
	}
	return found, s.roles.Guard(ctx, tx, by, u)
}

func (s *Service) endSessions(ctx context.Context, tx *db.Tx, u identity.UserID, why session.Reason) error {
	_, err := s.sessions.RevokeAllTx(ctx, tx, u, session.ID{}, why)
	return err
}

func moved(from, to identity.Status) map[string]audit.Change {
	return map[string]audit.Change{"account_status": {From: from, To: to}}
}
