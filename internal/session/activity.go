package session

import (
	"context"
	"fmt"
	"sync"
	"time"

	"gatehouse/internal/platform/db"
)

const (
	flushEvery   = time.Minute
	flushBatch   = 500             // sessions a statement
	flushTimeout = 5 * time.Second // of the last one, when stopping
)

// activity is what Touch noted since the last Flush.
type activity struct {
	mu   sync.Mutex
	last map[ID]time.Time
}

// Touch notes that the session was used at the given instant. It costs no
// query: Run writes it within a minute, and a crash may lose that minute.
func (s *Service) Touch(id ID, at time.Time) { s.activity.note(id, at) }

func (a *activity) note(id ID, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.last == nil {
		a.last = map[ID]time.Time{}
	}
	if at.After(a.last[id]) {
		a.last[id] = at
	}
}

func (a *activity) take() map[ID]time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	last := a.last
	a.last = nil
	return last
}

// Run writes the noted activity once a minute, and once more when ctx ends.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := s.Flush(ctx); err != nil {
				s.log.WarnContext(ctx, "session activity not written", "error", err)
			}
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
			defer cancel()
			return s.Flush(last)
		}
	}
}

// Flush writes the noted activity, in one transaction. What it can't write is
// kept for the next time.
func (s *Service) Flush(ctx context.Context) error {
	noted := s.activity.take()
	if len(noted) == 0 {
		return nil
	}
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		batch := make([]touched, 0, min(len(noted), flushBatch))
		for id, at := range noted {
			if batch = append(batch, touched{id, at}); len(batch) == flushBatch {
				updateActivity(tx, batch)
				batch = batch[:0]
			}
		}
		if len(batch) > 0 {
			updateActivity(tx, batch)
		}
		return nil
	})
	if err != nil {
		for id, at := range noted {
			s.Touch(id, at)
		}
		return fmt.Errorf("write session activity: %w", err)
	}
	return nil
}
