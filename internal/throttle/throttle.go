// Package throttle counts what somebody does and says when it is too much:
// requests of an address, failed sign-ins of an account, calls of a user
// (LIM-1 to LIM-5).
//
// Nodes count together in a store that they share. A node also counts by
// itself, always: what it alone has seen too much of is refused without asking,
// and while the store is away it goes on with its share of the limit, so that
// nothing is ever unlimited. Its own table is bounded and forgets what was
// touched longest ago, so that strangers can't make it grow.
package throttle

import (
	"time"

	"gatehouse/internal/platform/errs"
)

// ErrLimited is returned to a client who did too much. RetryAfter says when to
// come back.
var ErrLimited = errs.New(errs.RateLimited, "rate_limited", "Too many requests. Please try again later.")

// Limit allows Max events in any span of length Window. One that isn't
// positive in both allows nothing. Max is at most some thousands: every event
// of a window is remembered. Window is at most an hour where the key is an
// address, which is personal data (PRV-4).
type Limit struct {
	Max    int
	Window time.Duration
}

// Decision says whether one more event is allowed, and what to tell the client
// in the RateLimit fields.
type Decision struct {
	Allowed    bool
	Limit      int
	Remaining  int
	Reset      time.Duration // until Remaining grows next
	RetryAfter time.Duration // until an event is allowed again; 0 if one is now
}

// Err returns nil if the event is allowed, else ErrLimited with RetryAfter.
func (d Decision) Err() error {
	if d.Allowed {
		return nil
	}
	return ErrLimited.After(d.RetryAfter)
}

// And returns the decision of both limits: the one that refuses for longer or,
// if both allow, the one with less remaining.
func (d Decision) And(e Decision) Decision {
	switch {
	case d.Allowed && e.Allowed && e.Remaining < d.Remaining, d.Allowed && !e.Allowed, !e.Allowed && e.RetryAfter > d.RetryAfter:
		return e
	}
	return d
}

// mode says which events are counted.
type mode int64

const (
	modePeek   mode = iota // none
	modeTake               // an allowed one
	modeAlways             // also a refused one
)

// decide fills a Decision for limit of which used events are counted, where
// the next one is forgotten after wait.
func decide(limit Limit, allowed bool, used int, wait time.Duration) Decision {
	d := Decision{Allowed: allowed, Limit: limit.Max, Remaining: max(0, limit.Max-used), Reset: wait}
	if !allowed {
		d.RetryAfter = wait
	}
	return d
}
