package account

import (
	"context"
	"fmt"

	"gatehouse/internal/actor"
	"gatehouse/internal/audit"
	"gatehouse/internal/idempotency"
	"gatehouse/internal/identity"
	"gatehouse/internal/password"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/rbac"
	"gatehouse/internal/session"
)

// The permissions that this package checks.
const (
	PermRead   actor.Permission = "users:read"
	PermWrite  actor.Permission = "users:write"
	PermDelete actor.Permission = "users:delete"
)

// Permissions returns the catalogue's part of this package.
func Permissions() []rbac.Permission {
	return []rbac.Permission{
		{Name: PermRead, Description: "See people; phone numbers are masked"},
		{Name: PermWrite, Description: "Create, change, suspend and restore people, and see their phone numbers"},
		{Name: PermDelete, Description: "Delete people; they can be restored"},
	}
}

// The actions of this package in the log.
const (
	UserCreated   audit.Action = "user.created"
	UserUpdated   audit.Action = "user.updated"
	UserSuspended audit.Action = "user.suspended"
	UserActivated audit.Action = "user.activated"
	UserDeleted   audit.Action = "user.deleted"
	UserRestored  audit.Action = "user.restored"
)

// Deps is what a Service needs. Every field is required.
type Deps struct {
	DB          *db.DB
	Users       *identity.Service
	Passwords   *password.Service
	Roles       *rbac.Service
	Sessions    *session.Service
	Log         *audit.Log
	Idempotency *idempotency.Store
}

// Service holds the use cases. It is safe for concurrent use.
type Service struct {
	db          *db.DB
	users       *identity.Service
	passwords   *password.Service
	roles       *rbac.Service
	sessions    *session.Service
	log         *audit.Log
	idempotency *idempotency.Store
}

// New returns a Service.
func New(d Deps) *Service {
	return &Service{
		db: d.DB, users: d.Users, passwords: d.Passwords, roles: d.Roles, sessions: d.Sessions, log: d.Log, idempotency: d.Idempotency,
	}
}

// Person is a user with the names of the roles they hold, in order.
type Person struct {
	identity.User
	Roles []string
}

// Query says which people to list.
type Query struct {
	identity.Query
	Role string // name of a role; "" is any
}

// Page is a part of a listing.
type Page struct {
	People []Person
	Next   *identity.Cursor // nil after the last page
	Total  int64            // where asked for
}

// Find returns a person, also a deleted one. It needs PermRead.
func (s *Service) Find(ctx context.Context, by actor.Actor, u identity.UserID) (Person, error) {
	if err := by.Require(PermRead); err != nil {
		return Person{}, err
	}
	found, err := s.users.Find(ctx, s.db, u)
	if err != nil {
		return Person{}, err
	}
	return s.person(ctx, s.db, by, found)
}

// List returns a page of people. It needs PermRead.
func (s *Service) List(ctx context.Context, by actor.Actor, q Query) (Page, error) {
	if err := by.Require(PermRead); err != nil {
		return Page{}, err
	}
	if q.Role != "" {
		q.Among = s.roles.Members(q.Role)
	}
	found, err := s.users.List(ctx, q.Query)
	if err != nil {
		return Page{}, fmt.Errorf("list people: %w", err)
	}
	ids := make([]identity.UserID, len(found.Users))
	for i, u := range found.Users {
		ids[i] = u.ID
	}
	roles, err := s.roles.NamesOf(ctx, s.db, ids)
	if err != nil {
		return Page{}, fmt.Errorf("list roles of people: %w", err)
	}
	page := Page{People: make([]Person, len(ids)), Next: found.Next, Total: found.Total}
	for i, u := range found.Users {
		page.People[i] = shown(by, Person{User: u, Roles: roles[u.ID]})
	}
	return page, nil
}

// person adds the roles to a user, as the actor may see them.
func (s *Service) person(ctx context.Context, q db.Querier, by actor.Actor, u identity.User) (Person, error) {
	roles, err := s.roles.NamesOf(ctx, q, []identity.UserID{u.ID})
	if err != nil {
		return Person{}, fmt.Errorf("find roles of a person: %w", err)
	}
	return shown(by, Person{User: u, Roles: roles[u.ID]}), nil
}

// shown masks the phone number for those who may only read (IN-10).
func shown(by actor.Actor, p Person) Person {
	if p.ID != by.UserID && !by.Has(PermWrite) {
		p.Phone = mask(p.Phone)
	}
	return p
}

// mask leaves the last two digits of a phone number.
func mask(phone string) string {
	masked := []byte(phone)
	for i := 1; i < len(masked)-2; i++ {
		masked[i] = '*'
	}
	return string(masked)
}
