package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/platform/db"
)

const (
	followEvery = 250 * time.Millisecond
	followBatch = 500
	// followLag is how old an unsealed entry may be before followers must
	// assume that they miss something.
	followLag = 2 * time.Second
)

// Followed is what a follower learns of an entry.
type Followed struct {
	Position int64
	Action   Action
	Outcome  Outcome
	Target   Target
}

// Follower reacts to the log, in order, at least once.
type Follower struct {
	// Handle takes the next entries. After an error it gets them again.
	Handle func(ctx context.Context, entries []Followed) error
	// Behind hears whether entries exist that Handle did not get in time:
	// nobody seals, or the database is away. It is called at every look.
	Behind func(behind bool)
}

// FollowNew hands a follower every entry that is sealed from now on, until ctx
// ends. It is for what lives in memory and so needs nothing from before.
func (l *Log) FollowNew(ctx context.Context, f Follower) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	var at, version int64 = -1, -1
	f.Behind(true)
	for {
		next, err := l.follow(ctx, f, at, &version)
		if err != nil && ctx.Err() == nil {
			l.log.WarnContext(ctx, "follow the log", "error", err)
			f.Behind(true)
			version = -1
		}
		at = next
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// follow takes one look and returns the position that was handled last.
func (l *Log) follow(ctx context.Context, f Follower, at int64, version *int64) (int64, error) {
	if at < 0 {
		last, err := findLastSeal(ctx, l.db)
		if err != nil {
			return at, err
		}
		at = last.position
	}
	if moved, err := l.db.Changed(ctx, version); err != nil || !moved {
		return at, err
	}
	waiting, err := l.waitsSince(ctx)
	if err != nil {
		return at, err
	}
	for {
		entries, err := listFollowed(ctx, l.db, at, followBatch)
		if err != nil {
			return at, err
		}
		if len(entries) > 0 {
			if err := f.Handle(ctx, entries); err != nil {
				return at, fmt.Errorf("handle entries: %w", err)
			}
			at = entries[len(entries)-1].Position
		}
		if len(entries) < followBatch {
			break
		}
	}
	behind := !waiting.IsZero() && l.now().Sub(waiting) > followLag
	if behind {
		*version = -1 // look again although nothing moves
	}
	f.Behind(behind)
	return at, nil
}

// waitsSince returns the instant of the oldest unsealed entry, or zero.
func (l *Log) waitsSince(ctx context.Context) (since time.Time, err error) {
	err = l.db.QueryRow(ctx, `SELECT occurred_at FROM audit_queue ORDER BY occurred_at LIMIT 1`).Scan(&since)
	if errors.Is(err, db.ErrNoRows) {
		return time.Time{}, nil
	}
	return since, err
}

func listFollowed(ctx context.Context, q db.Querier, after int64, limit int) ([]Followed, error) {
	return db.List(ctx, q, func(s db.Scanner) (Followed, error) {
		var v Followed
		return v, s.Scan(&v.Position, &v.Action, &v.Outcome, &v.Target.Type, &v.Target.ID)
	}, `SELECT s.position, l.action, l.outcome, l.target_type, l.target_id FROM audit_seals AS s
		JOIN audit_logs AS l ON l.occurred_at = s.occurred_at AND l.id = s.entry_id
		WHERE s.position > $1 ORDER BY s.position LIMIT $2`, after, limit)
}
