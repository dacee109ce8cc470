package rbac

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/internal/actor"
	"gatehouse/internal/identity"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/id"
)

// The permissions that this package checks.
const (
	PermRead   actor.Permission = "roles:read"
	PermWrite  actor.Permission = "roles:write"
	PermAssign actor.Permission = "roles:assign"
)

// Permissions returns the catalogue's part of this package.
func Permissions() []Permission {
	return []Permission{
		{PermRead, "See roles and what they permit"},
		{PermWrite, "Create, change and delete roles"},
		{PermAssign, "Give roles to people and take them away"},
	}
}

// RoleID identifies a role.
type RoleID = id.ID[Role]

// Role is a named set of permissions.
type Role struct {
	ID          RoleID
	Name        string
	Description string
	Permissions []actor.Permission // sorted
	System      bool               // built in: can't be renamed or deleted
	UserCount   int64              // only from List and Find
	Epoch       int64
	Version     int64
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// The names of the built-in roles that rules speak of.
const (
	Admin = "admin" // holds every permission of the catalogue, always
	User  = "user"  // everyone has it
)

// builtIn are the roles of a new installation. Of a permission that the
// catalogue does not list yet they say that it is meant to be theirs.
func builtIn() []Role {
	return []Role{
		{Name: Admin, Description: "May do everything"},
		{Name: "auditor", Description: "Sees everything, changes nothing", Permissions: []actor.Permission{
			"analytics:read", "audit:read", "config:read", "roles:read", "users:read",
		}},
		{Name: "support", Description: "Helps people with their accounts", Permissions: []actor.Permission{
			"sessions:read", "sessions:revoke", "users:read", "users:write",
		}},
		{Name: User, Description: "Everyone"},
	}
}

// What callers branch on.
var (
	ErrNotFound  = errs.New(errs.NotFound, "not_found", "There is no such role.")
	ErrNameTaken = errs.New(errs.Conflict, "role_name_taken", "Another role has this name.")
	ErrInUse     = errs.New(errs.Conflict, "role_in_use", "People hold this role.")
	ErrSystem    = errs.New(errs.Conflict, "system_role", "This is fixed for a built-in role.")
	ErrLastAdmin = errs.New(errs.Conflict, "last_admin", "Nobody else could sign in as an administrator.")
	ErrChanged   = errs.New(errs.PreconditionFailed, "precondition_failed", "The role was changed in the meantime.")
)

const (
	maxName        = 50
	maxDescription = 500
)

var nameForm = regexp.MustCompile(`^[A-Za-z0-9](?:[ ._:-]?[A-Za-z0-9])*$`)

// Draft is what an administrator says about a role.
type Draft struct {
	Name        string
	Description string
	Permissions []actor.Permission
}

// check returns every fault at once, or nil.
func (d Draft) check(c Catalogue) error {
	var faults []errs.Field
	if len(d.Name) > maxName || !nameForm.MatchString(d.Name) || isID(d.Name) {
		faults = append(faults, errs.Field{
			Field: "name", Code: "invalid",
			Message: "must be 1 to 50 letters a to z and digits, with single spaces or . _ : - between them, and not look like an id",
		})
	}
	if utf8.RuneCountInString(d.Description) > maxDescription || !identity.IsText(d.Description) {
		faults = append(faults, errs.Field{
			Field: "description", Code: "invalid", Message: "must be at most 500 characters of text without control characters",
		})
	}
	if slices.ContainsFunc(d.Permissions, func(p actor.Permission) bool { return !c.Has(p) }) {
		faults = append(faults, errs.Field{
			Field: "permissions", Code: "unknown_permission", Message: "must be permissions of the catalogue",
		})
	}
	if faults != nil {
		return errs.InvalidFields(faults...)
	}
	return nil
}

func isID(s string) bool {
	_, err := id.Parse[Role](strings.ToLower(s))
	return err == nil
}

// canonical is the form of a name by which a role is unique.
func canonical(name string) string { return strings.ToLower(name) }

func (r Role) is(name string) bool { return r.System && r.Name == name }

// difference returns what is in exactly one of two sorted sets.
func difference(a, b []actor.Permission) []actor.Permission {
	var only []actor.Permission
	for _, p := range set(slices.Concat(a, b)) {
		if slices.Contains(a, p) != slices.Contains(b, p) {
			only = append(only, p)
		}
	}
	return only
}
