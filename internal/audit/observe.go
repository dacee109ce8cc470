package audit

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/platform/db"
)

const (
	repeatWindow = time.Minute
	flushEvery   = 5 * time.Second
	maxRepeats   = 10_000
)

// repeats counts equal failures from one source within a minute, so that a
// flood of attempts is not a flood of writes (AUD-2).
type repeats struct {
	mu   sync.Mutex
	seen map[repeat]*tally
}

type repeat struct {
	action  Action
	outcome Outcome
	actor   actor.UserID
	target  AnyID
	ip      netip.Addr
	reason  string
}

type tally struct {
	by    actor.Actor
	event Event
	since time.Time
	more  int64 // beyond the one written at once
}

func newRepeats() repeats { return repeats{seen: map[repeat]*tally{}} }

// Observe writes an attempt that changed nothing, in a transaction of its own.
// The first of its kind is written at once; equal ones within a minute become
// one summary with a count, which a crash may lose.
func (l *Log) Observe(ctx context.Context, by actor.Actor, e Event) error {
	key := repeat{e.Action, e.Outcome, by.UserID, e.Target.ID, by.Origin.IP, e.Reason}
	l.repeats.mu.Lock()
	t, known := l.repeats.seen[key]
	switch {
	case known && l.now().Sub(t.since) < repeatWindow:
		t.more++
		l.repeats.mu.Unlock()
		return nil
	case known:
		e.Count = t.more // those of the window that ended, and this one
		e.Count++
	case len(l.repeats.seen) >= maxRepeats:
		l.repeats.mu.Unlock()
		return l.write(ctx, by, e)
	}
	first := &tally{by: by, event: e, since: l.now()}
	l.repeats.seen[key] = first
	l.repeats.mu.Unlock()
	err := l.write(ctx, by, e)
	if err != nil {
		// What was not written must not hide the next one.
		l.repeats.mu.Lock()
		if l.repeats.seen[key] == first {
			delete(l.repeats.seen, key)
		}
		l.repeats.mu.Unlock()
	}
	return err
}

// FlushRepeats writes the summaries of the windows that ended, or of all.
func (l *Log) FlushRepeats(ctx context.Context, all bool) error {
	var due []*tally
	l.repeats.mu.Lock()
	for key, t := range l.repeats.seen {
		if !all && l.now().Sub(t.since) < repeatWindow {
			continue
		}
		delete(l.repeats.seen, key)
		if t.more > 0 {
			due = append(due, t)
		}
	}
	l.repeats.mu.Unlock()
	if len(due) == 0 {
		return nil
	}
	return l.db.Tx(ctx, func(tx *db.Tx) error {
		for _, t := range due {
			e := t.event
			e.Count = t.more
			if err := l.Append(ctx, tx, t.by, e); err != nil {
				return err
			}
		}
		return nil
	})
}

func (l *Log) write(ctx context.Context, by actor.Actor, e Event) error {
	return l.db.Tx(ctx, func(tx *db.Tx) error { return l.Append(ctx, tx, by, e) })
}
