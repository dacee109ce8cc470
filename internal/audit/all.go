package audit

import (
	"context"
	"iter"

	"gatehouse/internal/actor"
)

// Cursor is the place of the entry in a listing.
func (e Entry) Cursor() Cursor { return Cursor{OccurredAt: e.OccurredAt, ID: e.ID} }

// All yields every entry that List would, page after page, newest first. It
// ends with the first error.
func (l *Log) All(ctx context.Context, by actor.Actor, f Filter) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		var after Cursor
		for {
			page, err := l.List(ctx, by, f, after, MaxPage, false)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for _, e := range page.Entries {
				if !yield(e, nil) {
					return
				}
				after = e.Cursor()
			}
			if !page.More {
				return
			}
		}
	}
}
