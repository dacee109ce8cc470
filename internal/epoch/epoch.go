// Package epoch tells every node which users, roles and sessions have changed
// their rights, so that what a node has cached about them stops counting.
//
// Each of them carries an epoch. Whoever changes one raises its epoch and
// calls Bump in the same transaction. A node keeps the changes of the last
// quarter of an hour in memory, fed by the database alone: notes where it
// sends them, and a poll in any case. A cached entry states when it was read
// and under which epochs; it counts only while the feed knows of nothing
// newer. So an entry that is stale, replayed or forged grants nothing, and a
// lost cache or a lost note costs time at most.
package epoch

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/platform/db"
)

const (
	channel = "gatehouse_epoch"

	// horizon is how long a change stays in memory. An entry read before it
	// can't be judged and is read again.
	horizon = 15 * time.Minute
	// skew bounds how far the clocks of two nodes differ, and how long a
	// transaction may take to commit after it took its time.
	skew = time.Minute
	// kept is how long a change stays in the database.
	kept = time.Hour

	// fresh is how long after the last look at the database the feed may be
	// trusted alone.
	fresh = 2 * time.Second
	// tolerable is how long reads go on while the database is down.
	tolerable = time.Minute
)

// Ref is a subject as an entry knew it.
type Ref struct {
	Subject [16]byte
	Epoch   int64
}

// Trust says how far the feed may be relied on.
type Trust uint8

// The levels of trust.
const (
	// Lost: the database was last seen more than a minute ago.
	Lost Trust = iota
	// Behind: seen within the minute. Read the database, and rely on the feed
	// only where that is down.
	Behind
	// Fresh: seen within 2 s. The feed alone decides.
	Fresh
)

// Feed is one node's memory of recent changes. It is safe for concurrent use.
type Feed struct {
	db  *db.DB
	now func() time.Time
	log *slog.Logger

	mu        sync.RWMutex
	changes   map[[16]byte]change
	since     time.Time // complete from here on
	confirmed time.Time // when the last successful look at the database began
}

type change struct {
	epoch int64
	at    time.Time // seen by this node
}

// New returns the feed of d. It trusts nothing until Run has looked.
func New(d *db.DB, now func() time.Time, log *slog.Logger) *Feed {
	f := &Feed{db: d, now: now, log: log, changes: map[[16]byte]change{}}
	d.Listen(channel, f.hear)
	return f
}

// Bump makes everything cached about subject under an older epoch stale: on
// this node before the transaction returns, elsewhere as the note arrives.
func Bump(tx *db.Tx, subject [16]byte, epoch int64) {
	tx.Queue(`INSERT INTO epoch_changes (subject, epoch, changed_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
		ref(subject), epoch, tx.Now())
	tx.Notify(channel, hex.EncodeToString(subject[:])+":"+strconv.FormatInt(epoch, 10))
}

// Trust returns how far the feed may be relied on now.
func (f *Feed) Trust() Trust {
	f.mu.RLock()
	confirmed := f.confirmed
	f.mu.RUnlock()
	switch age := f.now().Sub(confirmed); {
	case age <= fresh:
		return Fresh
	case age <= tolerable:
		return Behind
	}
	return Lost
}

// Counts reports whether an entry, read from the database at or after readAt
// and describing refs, is still the latest as far as this node knows.
func (f *Feed) Counts(readAt time.Time, refs ...Ref) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.since.IsZero() || readAt.Before(f.since.Add(skew)) || readAt.After(f.now().Add(skew)) {
		return false
	}
	for _, r := range refs {
		if c, ok := f.changes[r.Subject]; ok && c.epoch > r.Epoch {
			return false
		}
	}
	return true
}

// Run follows the database until ctx ends.
func (f *Feed) Run(ctx context.Context) error {
	tick := time.NewTicker(f.db.PollInterval())
	defer tick.Stop()
	var version int64
	for {
		if err := f.look(ctx, &version); err != nil && ctx.Err() == nil {
			f.log.WarnContext(ctx, "epoch feed is behind", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Load reads the recent changes once, so that the feed is fresh before the
// first request.
func (f *Feed) Load(ctx context.Context) error {
	var version int64
	return f.look(ctx, &version)
}

// Purge deletes the changes that no node can need any more.
func (f *Feed) Purge(ctx context.Context) error {
	return f.db.Tx(ctx, func(tx *db.Tx) error {
		tx.Queue(`DELETE FROM epoch_changes WHERE changed_at < $1`, tx.Now().Add(-kept))
		return nil
	})
}

// look asks the database for what changed since the last look.
func (f *Feed) look(ctx context.Context, version *int64) error {
	began := f.now()
	moved, err := f.db.Changed(ctx, version)
	if err != nil {
		*version = -1
		return err
	}
	f.mu.RLock()
	from, first := f.confirmed.Add(-2*skew), f.since.IsZero()
	gap := began.Sub(f.confirmed) > horizon
	f.mu.RUnlock()
	if first || gap {
		from = began.Add(-horizon - skew)
	}
	if moved || first {
		changes, err := db.List(ctx, f.db, scanRef,
			`SELECT subject, epoch FROM epoch_changes WHERE changed_at > $1`, from)
		if err != nil {
			*version = -1 // look again although nothing moves
			return err
		}
		f.learn(began, changes)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if first || gap {
		f.since = began.Add(-horizon)
	}
	f.confirmed = began
	f.forget(began)
	return nil
}

func (f *Feed) learn(at time.Time, refs []Ref) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range refs {
		if known, ok := f.changes[r.Subject]; !ok || known.epoch < r.Epoch {
			f.changes[r.Subject] = change{r.Epoch, at}
		}
	}
}

// forget drops what is beyond the horizon. The caller holds mu.
func (f *Feed) forget(now time.Time) {
	limit := now.Add(-horizon)
	if !limit.After(f.since.Add(time.Minute)) {
		return // at most once a minute
	}
	for subject, c := range f.changes {
		if c.at.Before(limit) {
			delete(f.changes, subject)
		}
	}
	f.since = limit
}

func (f *Feed) hear(payload string) {
	r, err := parse(payload)
	if err != nil {
		f.log.Warn("unreadable epoch note", "error", err)
		return
	}
	f.learn(f.now(), []Ref{r})
}

func parse(payload string) (Ref, error) {
	var r Ref
	subject, number, ok := strings.Cut(payload, ":")
	if !ok || len(subject) != hex.EncodedLen(len(r.Subject)) {
		return r, fmt.Errorf("epoch note of %d bytes", len(payload))
	}
	if _, err := hex.Decode(r.Subject[:], []byte(subject)); err != nil {
		return r, err
	}
	var err error
	r.Epoch, err = strconv.ParseInt(number, 10, 64)
	return r, err
}
