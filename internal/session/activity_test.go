package session_test

import (
	"context"
	"testing"
	"time"

	"gatehouse/internal/session"
)

func TestTouch_IsWrittenInBatches(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, b node) {
		user := mustUser(t, a)
		first, _ := a.start(t, user)
		second, _ := a.start(t, user)
		start := a.clock.now()
		a.Touch(first.ID, start.Add(2*time.Second))
		a.Touch(first.ID, start.Add(time.Second))
		a.Touch(second.ID, start.Add(3*time.Second))
		b.Touch(second.ID, start.Add(time.Second))
		if got := a.mustFind(t, first.ID).LastActivityAt; !got.Equal(start) {
			t.Errorf("written at once: %v", got)
		}
		for _, n := range []node{a, b} {
			if err := n.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		for id, want := range map[session.ID]time.Duration{first.ID: 2 * time.Second, second.ID: 3 * time.Second} {
			if got := a.mustFind(t, id).LastActivityAt.Sub(start); got != want {
				t.Errorf("active after %v, want %v", got, want)
			}
		}
	})
}

func TestRun_WritesActivityWhenItStops(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node) {
		s, _ := a.start(t, mustUser(t, a))
		at := a.clock.now().Add(time.Second)
		a.Touch(s.ID, at)
		ctx, stop := context.WithCancel(context.Background())
		stop()
		if err := a.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if got := a.mustFind(t, s.ID).LastActivityAt; !got.Equal(at) {
			t.Errorf("active at %v, want %v", got, at)
		}
	})
}
