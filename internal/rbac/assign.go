package rbac

import (
	"context"
	"errors"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/audit"
	"gatehouse/internal/identity"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/errs"
)

// ErrUnknownRole is returned for a role in a request body that does not exist.
var ErrUnknownRole = errs.InvalidField("role", "unknown_role", "must be the name or id of a role")

// Assign gives a role, named by name or id, until the given instant; zero is
// for good. Giving it again changes when it ends. It needs PermAssign, every
// permission of the role and of the person; nobody changes their own roles. It
// returns ErrUnknownRole, identity.ErrNotFound, or ErrLastAdmin if it would
// put an end to the last administrator's role.
func (s *Service) Assign(ctx context.Context, by actor.Actor, u identity.UserID, ref string, until time.Time) error {
	if err := mayAssign(by, u); err != nil {
		return err
	}
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		if !until.IsZero() && !until.After(tx.Now()) {
			return errs.InvalidField("expires_at", "past", "must lie in the future")
		}
		role, err := s.Resolve(ctx, tx, ref)
		if errors.Is(err, ErrNotFound) {
			return ErrUnknownRole
		}
		if err != nil {
			return err
		}
		return s.changeHeld(ctx, tx, by, u, role, func() error {
			old, held, err := findExpiry(ctx, tx, u, role.ID)
			if err != nil || held && old.Equal(until) || role.is(User) {
				return err
			}
			return s.grant(ctx, tx, by, u, role, until)
		})
	})
	s.users.ForgetAfter(u, err)
	if db.IsForeignKey(err) { // the role was deleted meanwhile
		return ErrUnknownRole
	}
	return err
}

func (s *Service) grant(
	ctx context.Context, tx *db.Tx, by actor.Actor, u identity.UserID, role Role, until time.Time,
) error {
	queueGrant(tx, by, u, role.ID, until)
	if err := s.users.Bump(ctx, tx, u); err != nil {
		return err
	}
	change := map[string]audit.Change{"role": {To: role.Name}}
	if !until.IsZero() {
		change["expires_at"] = audit.Change{To: until}
	}
	return s.log.Append(ctx, tx, by, audit.Event{
		Action: RoleAssigned, Outcome: audit.Success, Target: audit.Person(u), Changes: change,
	})
}

// Unassign takes a role away. It needs what Assign needs, and returns
// ErrNotFound if the person does not hold it, ErrSystem for the role "user",
// which everyone has, and ErrLastAdmin.
func (s *Service) Unassign(ctx context.Context, by actor.Actor, u identity.UserID, r RoleID) error {
	if err := mayAssign(by, u); err != nil {
		return err
	}
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		role, err := s.findRole(ctx, tx, r, "")
		if err != nil {
			return err
		}
		if role.is(User) {
			return ErrSystem
		}
		return s.changeHeld(ctx, tx, by, u, role, func() error {
			_, held, err := findExpiry(ctx, tx, u, r)
			if err != nil {
				return err
			}
			if !held {
				return ErrNotFound
			}
			queueUngrant(tx, u, r)
			if err := s.users.Bump(ctx, tx, u); err != nil {
				return err
			}
			return s.log.Append(ctx, tx, by, audit.Event{
				Action: RoleUnassigned, Outcome: audit.Success, Target: audit.Person(u),
				Changes: map[string]audit.Change{"role": {From: role.Name}},
			})
		})
	})
	s.users.ForgetAfter(u, err)
	return err
}

// GrantTx gives roles to a person whom the same transaction makes. It checks
// what Assign checks of the actor and leaves the log entry to the caller. Of
// a role that does not exist it returns a validation error about field.
func (s *Service) GrantTx(
	ctx context.Context, tx *db.Tx, by actor.Actor, u identity.UserID, field string, refs []string,
) ([]string, error) {
	names := []string{User}
	roles, err := s.resolveAll(ctx, tx, refs)
	if errors.Is(err, ErrNotFound) {
		return nil, errs.InvalidField(field, "unknown_role", "must be names or ids of roles")
	}
	if err != nil {
		return nil, err
	}
	for _, role := range roles {
		if !by.Covers(role.Permissions) {
			return nil, actor.ErrForbidden
		}
		if !role.is(User) {
			queueGrant(tx, by, u, role.ID, time.Time{})
			names = append(names, role.Name)
		}
	}
	return sorted(names), nil
}

// mayAssign checks what needs no look at the database.
func mayAssign(by actor.Actor, u identity.UserID) error {
	if err := by.Require(PermAssign); err != nil {
		return err
	}
	if by.UserID == u {
		return actor.ErrForbidden
	}
	return nil
}

// changeHeld runs change, a change of whether and until when u holds role,
// once the person is locked and the actor is known to stand above both.
func (s *Service) changeHeld(
	ctx context.Context, tx *db.Tx, by actor.Actor, u identity.UserID, role Role, change func() error,
) error {
	guarded := func() error {
		person, err := s.users.Lock(ctx, tx, u)
		if err != nil {
			return err
		}
		if person.IsDeleted() {
			return identity.ErrNotFound
		}
		if !by.Covers(role.Permissions) {
			return actor.ErrForbidden
		}
		if err := s.Guard(ctx, tx, by, u); err != nil {
			return err
		}
		return change()
	}
	if role.is(Admin) {
		return s.KeepAdmin(ctx, tx, u, guarded)
	}
	return guarded()
}
