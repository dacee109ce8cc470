// Package actor says who is asking, with which rights, and from where. Every
// use case that writes or is restricted takes an Actor and asks it first.
package actor

import (
	"net/netip"
	"slices"
	"time"

	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/id"
)

// ErrForbidden is returned to a signed-in actor who lacks a permission.
var ErrForbidden = errs.New(errs.Forbidden, "forbidden", "You do not have the permission that this needs.")

// Type is the kind of an actor, as the log shows it.
type Type string

// The kinds of actors.
const (
	Anonymous Type = "anonymous"
	User      Type = "user"
	System    Type = "system"
)

// Subject tags the identifiers of people.
type Subject struct{}

// UserID identifies a person. Package identity, which owns users, uses it too.
type UserID = id.ID[Subject]

// Login tags the identifiers of sessions.
type Login struct{}

// SessionID identifies a session. Package session, which owns them, uses it too.
type SessionID = id.ID[Login]

// Permission is a right of the form "resource:action", from a closed list.
type Permission string

// Origin is where a request came from.
type Origin struct {
	RequestID      string
	IP             netip.Addr // the client, after trusted proxies (LIM-2)
	UserAgent      string
	IdempotencyKey string // of the Idempotency-Key header; empty: none
}

// Actor is who asks. The zero value is anonymous and may do nothing.
type Actor struct {
	Type        Type
	Name        string // of a system actor: the job or command
	UserID      UserID
	SessionID   SessionID
	Roles       []string
	Permissions []Permission // sorted
	AMR         []string     // how the person signed in (RFC 8176)
	AuthTime    time.Time    // when they did
	// MustChangePassword holds for a person who was given a password by
	// somebody else: until they choose their own, nothing else is open.
	MustChangePassword bool
	Origin             Origin
}

// Of returns an anonymous actor with the given origin.
func Of(o Origin) Actor { return Actor{Type: Anonymous, Origin: o} }

// ForSystem returns the actor of a job or a command. It holds every
// permission: what runs on the host is not restricted by roles.
func ForSystem(name string) Actor { return Actor{Type: System, Name: name} }

// Has reports whether the actor holds p.
func (a Actor) Has(p Permission) bool {
	if a.Type == System {
		return true
	}
	_, ok := slices.BinarySearch(a.Permissions, p)
	return ok
}

// Require returns ErrForbidden if the actor lacks p.
func (a Actor) Require(p Permission) error {
	if !a.Has(p) {
		return ErrForbidden
	}
	return nil
}

// Covers reports whether the actor holds all of ps. Nobody grants, or acts
// on an account that holds, what they lack (RBAC-4).
func (a Actor) Covers(ps []Permission) bool {
	for _, p := range ps {
		if !a.Has(p) {
			return false
		}
	}
	return true
}
