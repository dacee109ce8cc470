package rbac

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/audit"
	"gatehouse/internal/epoch"
	"gatehouse/internal/idempotency"
	"gatehouse/internal/identity"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/id"
)

// The actions of this package in the log.
const (
	RoleCreated    audit.Action = "role.created"
	RoleUpdated    audit.Action = "role.updated"
	RoleDeleted    audit.Action = "role.deleted"
	RoleAssigned   audit.Action = "role.assigned"
	RoleUnassigned audit.Action = "role.unassigned"
)

// Deps is what a Service needs. Every field is required.
type Deps struct {
	DB          *db.DB
	Users       *identity.Service
	Log         *audit.Log
	Idempotency *idempotency.Store
	Catalogue   Catalogue
	Now         func() time.Time
}

// Service holds the use cases of roles. It is safe for concurrent use.
type Service struct {
	db          *db.DB
	users       *identity.Service
	log         *audit.Log
	idempotency *idempotency.Store
	catalogue   Catalogue
	now         func() time.Time
}

// New returns a Service. Call Ensure before the first use.
func New(d Deps) *Service {
	return &Service{
		db: d.DB, users: d.Users, log: d.Log, idempotency: d.Idempotency, catalogue: d.Catalogue, now: d.Now,
	}
}

// Ensure makes the built-in roles that are missing and gives the
// administrator what is new in the catalogue. It may run on many nodes at once.
func (s *Service) Ensure(ctx context.Context) error {
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		for _, r := range builtIn() {
			r.ID = id.New[Role](tx.Now())
			if r.Name == Admin {
				r.Permissions = s.catalogue.names
			}
			if err := insertBuiltIn(ctx, tx, r); err != nil {
				return err
			}
		}
		return s.refreshAdmin(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("make built-in roles: %w", err)
	}
	return nil
}

// refreshAdmin writes the catalogue into the role "admin". What is read from
// there is the catalogue anyway; the new epoch tells sessions that hold less.
func (s *Service) refreshAdmin(ctx context.Context, tx *db.Tx) error {
	admin, err := s.findRoleByName(ctx, tx, Admin, tx.ForUpdate())
	if err != nil {
		return err
	}
	grown, err := growAdmin(ctx, tx, admin)
	if err != nil || !grown {
		return err
	}
	epoch.Bump(tx, admin.ID, admin.Epoch+1)
	return nil
}

// Catalogue returns every permission. It needs PermRead.
func (s *Service) Catalogue(by actor.Actor) ([]Permission, error) {
	return s.catalogue.List(), by.Require(PermRead)
}

// Page is a part of the listing of roles.
type Page struct {
	Roles []Role
	Next  string // the cursor of the next page; "" after the last
}

const defaultLimit = 50

// List returns roles by name, with how many people hold each. after is the
// cursor of the page before, or "". It needs PermRead.
func (s *Service) List(ctx context.Context, by actor.Actor, after string, limit int) (Page, error) {
	if err := by.Require(PermRead); err != nil {
		return Page{}, err
	}
	if limit <= 0 {
		limit = defaultLimit
	}
	roles, err := s.listRoles(ctx, after, limit+1)
	if err != nil {
		return Page{}, fmt.Errorf("list roles: %w", err)
	}
	page := Page{Roles: roles}
	if len(roles) > limit {
		page.Roles = roles[:limit]
		page.Next = canonical(roles[limit-1].Name)
	}
	for i := range page.Roles {
		if r := &page.Roles[i]; r.is(User) {
			if r.UserCount, err = s.users.Count(ctx, s.db); err != nil {
				return Page{}, fmt.Errorf("count people: %w", err)
			}
		}
	}
	return page, nil
}

// Count returns how many roles there are. It needs PermRead.
func (s *Service) Count(ctx context.Context, by actor.Actor) (n int64, err error) {
	if err := by.Require(PermRead); err != nil {
		return 0, err
	}
	return n, s.db.QueryRow(ctx, `SELECT count(*) FROM roles`).Scan(&n)
}

// Find returns a role with how many people hold it. It needs PermRead.
func (s *Service) Find(ctx context.Context, by actor.Actor, r RoleID) (Role, error) {
	if err := by.Require(PermRead); err != nil {
		return Role{}, err
	}
	role, err := s.findRole(ctx, s.db, r, "")
	if err != nil {
		return Role{}, err
	}
	role.UserCount, err = s.count(ctx, s.db, role)
	return role, err
}

func (s *Service) count(ctx context.Context, q db.Querier, r Role) (int64, error) {
	if r.is(User) {
		return s.users.Count(ctx, q)
	}
	return countHolders(ctx, q, r.ID, s.now())
}

// Resolve returns the role that a client names, by id or by name, or
// ErrNotFound.
func (s *Service) Resolve(ctx context.Context, q db.Querier, ref string) (Role, error) {
	if r, err := id.Parse[Role](ref); err == nil {
		return s.findRole(ctx, q, r, "")
	}
	return s.findRoleByName(ctx, q, ref, "")
}

// Create makes a role. It needs PermWrite and every permission that it grants.
func (s *Service) Create(ctx context.Context, by actor.Actor, d Draft) (Role, error) {
	if err := by.Require(PermWrite); err != nil {
		return Role{}, err
	}
	if err := d.check(s.catalogue); err != nil {
		return Role{}, err
	}
	if !by.Covers(d.Permissions) {
		return Role{}, actor.ErrForbidden
	}
	return idempotency.Do(ctx, s.idempotency, by, string(RoleCreated), d, func(tx *db.Tx) (Role, error) {
		r := Role{
			ID: id.New[Role](tx.Now()), Name: d.Name, Description: d.Description,
			Permissions: set(slices.Clone(d.Permissions)), Epoch: 1, Version: 1, CreatedAt: tx.Now(), UpdatedAt: tx.Now(),
		}
		if err := insertRole(ctx, tx, r); err != nil {
			return Role{}, err
		}
		return r, s.log.Append(ctx, tx, by, audit.Event{
			Action: RoleCreated, Outcome: audit.Success, Target: target(r), Changes: changes(Role{}, r),
		})
	})
}

// Update replaces what may be edited. version is the one that the client saw,
// 0 for any. It needs PermWrite and every permission that is added or taken
// away. It returns ErrSystem for what is fixed, ErrNameTaken or ErrChanged.
func (s *Service) Update(ctx context.Context, by actor.Actor, r RoleID, version int64, d Draft) (Role, error) {
	if err := by.Require(PermWrite); err != nil {
		return Role{}, err
	}
	if err := d.check(s.catalogue); err != nil {
		return Role{}, err
	}
	var after Role
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		before, err := s.lock(ctx, tx, r, version)
		if err != nil {
			return err
		}
		after = before
		after.Name, after.Description, after.Permissions = d.Name, d.Description, set(slices.Clone(d.Permissions))
		if err := mayBecome(by, before, after); err != nil {
			return err
		}
		if after.UserCount, err = s.count(ctx, tx, before); err != nil {
			return err
		}
		return s.write(ctx, tx, by, before, &after)
	})
	return after, err
}

// mayBecome checks what is fixed, and that nobody grants or takes away what
// they lack.
func mayBecome(by actor.Actor, before, after Role) error {
	moved := difference(before.Permissions, after.Permissions)
	switch {
	case before.System && before.Name != after.Name, (before.is(Admin) || before.is(User)) && len(moved) > 0:
		return ErrSystem
	case !by.Covers(moved):
		return actor.ErrForbidden
	}
	return nil
}

// write stores what differs. A change of what sessions know of a role, its
// name and permissions, raises its epoch.
func (s *Service) write(ctx context.Context, tx *db.Tx, by actor.Actor, before Role, after *Role) error {
	changed := changes(before, *after)
	if len(changed) == 0 {
		return nil
	}
	after.Version++
	after.UpdatedAt = tx.Now()
	if before.Name != after.Name || !slices.Equal(before.Permissions, after.Permissions) {
		after.Epoch++
		epoch.Bump(tx, after.ID, after.Epoch)
	}
	if err := updateRole(ctx, tx, *after); err != nil {
		return err
	}
	return s.log.Append(ctx, tx, by, audit.Event{
		Action: RoleUpdated, Outcome: audit.Success, Target: target(*after), Changes: changed,
	})
}

// Delete removes a role, with force also from those who hold it. version is
// as in Update. It needs PermWrite and every permission of the role, and
// returns ErrSystem, ErrInUse or ErrChanged.
func (s *Service) Delete(ctx context.Context, by actor.Actor, r RoleID, version int64, force bool) error {
	if err := by.Require(PermWrite); err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		role, err := s.lock(ctx, tx, r, version)
		if err != nil {
			return err
		}
		switch {
		case role.System:
			return ErrSystem
		case !by.Covers(role.Permissions):
			return actor.ErrForbidden
		}
		n, err := countHolders(ctx, tx, r, tx.Now())
		if err != nil {
			return err
		}
		if n > 0 && !force {
			return ErrInUse
		}
		if err := s.mayStrip(ctx, tx, by, role); err != nil {
			return err
		}
		if err := deleteRole(ctx, tx, r); err != nil {
			return err
		}
		epoch.Bump(tx, r, role.Epoch+1)
		return s.log.Append(ctx, tx, by, audit.Event{
			Action: RoleDeleted, Outcome: audit.Success, Target: target(role), Changes: changes(role, Role{}),
		})
	})
}

// mayStrip refuses to take a role from the actor, or from anyone who holds a
// permission that the actor lacks: what Unassign would refuse for each (RBAC-4).
func (s *Service) mayStrip(ctx context.Context, tx *db.Tx, by actor.Actor, r Role) error {
	if by.Type == actor.System {
		return nil
	}
	own, err := holds(ctx, tx, by.UserID, r.ID)
	if err != nil {
		return err
	}
	beside, err := s.besides(ctx, tx, r.ID)
	if err != nil {
		return err
	}
	if own {
		return actor.ErrForbidden
	}
	for _, other := range beside {
		if !by.Covers(other.Permissions) {
			return actor.ErrForbidden
		}
	}
	return nil
}

func (s *Service) lock(ctx context.Context, tx *db.Tx, r RoleID, version int64) (Role, error) {
	role, err := s.findRole(ctx, tx, r, tx.ForUpdate())
	if err == nil && version != 0 && version != role.Version {
		return Role{}, ErrChanged
	}
	return role, err
}

func target(r Role) audit.Target { return audit.Thing("role", r.ID) }

// changes lists what differs between two states of a role.
func changes(before, after Role) map[string]audit.Change {
	list := map[string]audit.Change{}
	if before.Name != after.Name {
		list["name"] = audit.Change{From: before.Name, To: after.Name}
	}
	if before.Description != after.Description {
		list["description"] = audit.Change{From: before.Description, To: after.Description}
	}
	if !slices.Equal(before.Permissions, after.Permissions) {
		list["permissions"] = audit.Change{From: before.Permissions, To: after.Permissions}
	}
	return list
}
