package audit

import (
	"net/netip"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/platform/id"
)

// Action is what was done, of the form "object.past_tense". The package that
// does it declares the constant.
type Action string

// Outcome is how it ended.
type Outcome string

// The outcomes. Denied means that a signed-in actor lacked the right.
const (
	Success Outcome = "success"
	Failure Outcome = "failure"
	Denied  Outcome = "denied"
)

type tag struct{}

// AnyID is the identifier of anything that can be a target.
type AnyID = id.ID[tag]

// Target is to whom or to what it was done.
type Target struct {
	Type string
	ID   AnyID
}

// person is the type of a target that has a data key of its own.
const person = "user"

// Person is the target for what happens to somebody.
func Person(u actor.UserID) Target { return Target{Type: person, ID: AnyID(u)} }

// Thing is the target for what happens to anything else.
func Thing[T any](kind string, of id.ID[T]) Target { return Target{Type: kind, ID: AnyID(of)} }

// Change is a field before and after. It never holds a secret.
type Change struct {
	From any `json:"from"`
	To   any `json:"to"`
}

// Event is what a use case tells the log.
type Event struct {
	Action    Action
	Outcome   Outcome // empty means Success
	Target    Target
	Reason    string          // a stable word
	SessionID actor.SessionID // zero: the actor's own
	Changes   map[string]Change
	Count     int64 // of equal events that this one stands for; 0 means 1
}

// Principal is who did it.
type Principal struct {
	Type actor.Type
	ID   actor.UserID
}

// Entry is an event as the log shows it. IP, UserAgent and Changes are empty
// once the person they concern is erased.
type Entry struct {
	ID         id.ID[Entry]
	Position   int64 // 0: not sealed yet
	OccurredAt time.Time
	Action     Action
	Outcome    Outcome
	Actor      Principal
	Target     Target
	IP         netip.Addr
	UserAgent  string
	RequestID  string
	SessionID  actor.SessionID
	Reason     string
	Count      int64
	Changes    map[string]Change
}
