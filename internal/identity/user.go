package identity

import (
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/secret"
)

// UserID identifies a person.
type UserID = actor.UserID

// Status says where an account stands.
type Status string

// The states of an account. Deleted is never stored: it is what a row with
// deleted_at shows.
const (
	Active      Status = "active"
	Pending     Status = "pending"     // invited, no password yet
	Suspended   Status = "suspended"   // by an administrator
	Deactivated Status = "deactivated" // asked to be deleted, within the grace period
	Deleted     Status = "deleted"     // by an administrator, may be restored
)

// IsStatus reports whether s names a state.
func IsStatus(s string) bool {
	switch Status(s) {
	case Active, Pending, Suspended, Deactivated, Deleted:
		return true
	}
	return false
}

// NoPassword is the password_hash of an account without one. No password
// matches it.
const NoPassword secret.String = "!"

// What callers branch on.
var (
	ErrNotFound      = errs.New(errs.NotFound, "not_found", "There is no such user.")
	ErrEmailTaken    = errs.New(errs.Conflict, "email_taken", "Another account has this e-mail address.")
	ErrUsernameTaken = errs.New(errs.Conflict, "username_taken", "Another account has this username.")
	// ErrChanged tells that the person is no longer as the caller saw them.
	ErrChanged = errs.New(errs.PreconditionFailed, "precondition_failed", "The user was changed in the meantime.")
)

// User is a person. Empty text and zero instants mean "none".
type User struct {
	ID                     UserID
	Email                  string
	Username               string
	FirstName              string
	LastName               string
	Phone                  string
	AvatarURL              string
	EmailVerified          bool
	Status                 Status
	PasswordChangeRequired bool
	LastLoginAt            time.Time
	CreatedAt              time.Time
	UpdatedAt              time.Time
	DeletedAt              time.Time
	Epoch                  int64
	Version                int64
}

// IsDeleted reports whether the person is deleted and may be restored.
func (u User) IsDeleted() bool { return !u.DeletedAt.IsZero() }

// Login is what a sign-in needs to know of a person.
type Login struct {
	User
	PasswordHash secret.String
}

// NewUser is a person to be.
type NewUser struct {
	Email                  string
	Username               string
	FirstName              string
	LastName               string
	Phone                  string
	EmailVerified          bool
	PasswordHash           secret.String // "" makes a pending account
	PasswordChangeRequired bool
}

// Check returns every fault of the submitted fields at once, or nil.
func (n NewUser) Check() error { return n.user().Check() }

func (n NewUser) user() User {
	u := User{
		Email: n.Email, Username: n.Username, FirstName: n.FirstName, LastName: n.LastName, Phone: n.Phone,
		EmailVerified: n.EmailVerified, PasswordChangeRequired: n.PasswordChangeRequired,
		Status: Active, Epoch: 1, Version: 1,
	}
	if n.PasswordHash == "" {
		u.Status = Pending
	}
	return u
}

// Check returns every fault of what people submit about themselves at once,
// as one validation error, or nil. Nothing is corrected silently (IN-6).
func (u User) Check() error {
	var faults []errs.Field
	fault := func(ok bool, field, message string) {
		if !ok {
			faults = append(faults, errs.Field{Field: field, Code: "invalid", Message: message})
		}
	}
	_, ok := CanonicalEmail(u.Email)
	fault(ok, "email", "must be an e-mail address of at most 254 bytes")
	if u.Username != "" {
		_, ok = CanonicalUsername(u.Username)
		fault(ok, "username", "must be 1 to 50 letters a to z, digits, '.', '-' or '_', begin with a letter or digit and not look like an id")
	}
	const nameRule = "must be at most 100 characters of text in Unicode normal form C, without control characters"
	fault(u.FirstName == "" || isName(u.FirstName), "first_name", nameRule)
	fault(u.LastName == "" || isName(u.LastName), "last_name", nameRule)
	fault(u.Phone == "" || isPhone(u.Phone), "phone", "must be '+' and 6 to 18 digits")
	if faults != nil {
		return errs.InvalidFields(faults...)
	}
	return nil
}

// searchText is what a search looks into. A line break, which no fragment
// contains, keeps one from matching across two fields.
func (u User) searchText() string {
	return Fold(u.Email + "\n" + u.Username + "\n" + u.FirstName + "\n" + u.LastName)
}
