package account

import (
	"gatehouse/internal/audit"
	"gatehouse/internal/identity"
)

// ProfileChange is what people change about themselves. nil leaves a field as
// it is, "" clears it.
type ProfileChange struct {
	Username  *string
	FirstName *string
	LastName  *string
	Phone     *string
}

// UserChange is what administrators change about people. nil leaves a field
// as it is.
type UserChange struct {
	ProfileChange
	Email         *string
	EmailVerified *bool
	Status        *identity.Status // Active or Suspended, or what it is already
}

func (c ProfileChange) apply(u identity.User) identity.User {
	set(&u.Username, c.Username)
	set(&u.FirstName, c.FirstName)
	set(&u.LastName, c.LastName)
	set(&u.Phone, c.Phone)
	return u
}

// apply returns the user as they would be, but for the status. A new address
// is not verified unless the administrator says so.
func (c UserChange) apply(u identity.User) identity.User {
	old, _ := identity.CanonicalEmail(u.Email)
	u = c.ProfileChange.apply(u)
	set(&u.Email, c.Email)
	if now, _ := identity.CanonicalEmail(u.Email); now != old {
		u.EmailVerified = false
	}
	set(&u.EmailVerified, c.EmailVerified)
	return u
}

// mayLockOut reports whether the change may keep somebody from signing in.
func (c UserChange) mayLockOut() bool {
	return c.Email != nil || c.EmailVerified != nil || c.Status != nil
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// changes lists what differs between two states of a person, under the names
// that clients know.
func changes(before, after identity.User) map[string]audit.Change {
	list := map[string]audit.Change{}
	text := func(name, from, to string) {
		if from != to {
			list[name] = audit.Change{From: orNone(from), To: orNone(to)}
		}
	}
	text("email", before.Email, after.Email)
	text("username", before.Username, after.Username)
	text("first_name", before.FirstName, after.FirstName)
	text("last_name", before.LastName, after.LastName)
	text("phone", before.Phone, after.Phone)
	if before.EmailVerified != after.EmailVerified {
		list["email_verified"] = audit.Change{From: before.EmailVerified, To: after.EmailVerified}
	}
	return list
}

func orNone(s string) any {
	if s == "" {
		return nil
	}
	return s
}
