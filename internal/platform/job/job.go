// Package job is a small durable queue in the application's own database.
//
// Enqueue joins the caller's transaction: a job exists exactly if that
// transaction committed. Runners, any number on any number of nodes, take due
// jobs under a lease. A handler that returns nil ends its job; one that fails
// is tried again later, with growing pauses; one whose process dies is tried
// again when the lease has run out. So a job runs at least once and handlers
// must be idempotent. At any instant at most one runner works on a job, as
// long as handlers obey their context and clocks differ by less than a minute.
// Order is not promised. Payloads are opaque bytes: seal what is secret.
package job

import (
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/id"
)

// ErrAbandon, wrapped in a handler's error, says that another try is
// pointless: the job is dead at once.
var ErrAbandon = errors.New("job: abandoned")

// ErrInvalid is returned by Enqueue for a kind, key or option out of bounds.
var ErrInvalid = errors.New("job: invalid")

// ID identifies a job. It stays the same at every try, so a handler can use
// it to recognise a repeat.
type ID = id.ID[Job]

// Job is a piece of work as its handler sees it.
type Job struct {
	ID        ID
	Kind      string
	Payload   []byte
	Attempt   int // 1 at the first try
	CreatedAt time.Time

	maxAttempts int
	lease       id.ID[lease]
}

type lease struct{}

// Options changes how a job is queued. The zero value runs it at once.
type Options struct {
	// At is when the job becomes due. Zero: now.
	At time.Time
	// Unique, if not empty, adds nothing while a job of this kind and key
	// waits to be taken for the first time.
	Unique string
	// MaxAttempts is how often the job is tried before it is dead. 0 means
	// 20, which with the pauses between takes about twelve hours.
	MaxAttempts int
}

const (
	defaultMaxAttempts = 20
	maxKind            = 64
	maxUnique          = 128
	channel            = "jobs"
)

// Enqueue adds a job when tx commits and wakes the runners. Any process may
// enqueue; it needs no handler of that kind.
func Enqueue(tx *db.Tx, kind string, payload []byte, o Options) error {
	if kind == "" || len(kind) > maxKind || len(o.Unique) > maxUnique || o.MaxAttempts < 0 {
		return fmt.Errorf("%w: kind %q", ErrInvalid, kind)
	}
	if o.MaxAttempts == 0 {
		o.MaxAttempts = defaultMaxAttempts
	}
	if o.At.IsZero() {
		o.At = tx.Now()
	}
	insert(tx, kind, payload, o)
	tx.Notify(channel, "")
	return nil
}
