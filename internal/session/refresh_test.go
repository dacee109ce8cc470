package session_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/secret"
	"gatehouse/internal/session"
)

func diffSession(want, got session.Session) string {
	return cmp.Diff(want, got, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }), cmp.Comparer(
		func(a, b interface{ Is4() bool }) bool { return a == b }))
}

// parallel runs fn n times at once and waits for all.
func parallel(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}

func TestRotate_GivesASuccessorAndKeepsTheLimit(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, b node) {
		started, token := a.start(t, mustUser(t, a))
		for range 6 {
			a.clock.advance(24 * time.Hour)
			r := b.mustRotate(t, token)
			if r.Outcome != session.Rotated || r.Token == token || r.Session.ID != started.ID {
				t.Fatalf("%+v", r)
			}
			if !r.Session.ExpiresAt.Equal(started.ExpiresAt) || !r.Session.LastActivityAt.Equal(a.clock.now()) {
				t.Errorf("expires %v, active %v", r.Session.ExpiresAt, r.Session.LastActivityAt)
			}
			token = r.Token
		}
		a.clock.advance(24 * time.Hour)
		if _, err := a.rotate(token); !errors.Is(err, session.ErrExpired) {
			t.Errorf("after seven days: %v, want ErrExpired", err)
		}
	})
}

func TestRotate_RepeatWithinTheWindowGetsTheSameSuccessor(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, b node) {
		_, token := a.start(t, mustUser(t, a))
		first := a.mustRotate(t, token)
		a.clock.advance(session.RepeatWindow)
		for _, n := range []node{a, b} {
			r := n.mustRotate(t, token)
			if r.Outcome != session.Repeated || r.Token != first.Token {
				t.Errorf("outcome %d, same successor: %v", r.Outcome, r.Token == first.Token)
			}
		}
		if r := a.mustRotate(t, first.Token); r.Outcome != session.Rotated {
			t.Errorf("the successor: outcome %d", r.Outcome)
		}
	})
}

func TestRotate_RepeatAfterTheSuccessorWasUsedIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node) {
		s, token := a.start(t, mustUser(t, a))
		second := a.mustRotate(t, token).Token
		third := a.mustRotate(t, second).Token
		if _, err := a.rotate(token); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("%v, want ErrInvalid", err)
		}
		if got := a.mustFind(t, s.ID); got.RevokedAt != nil || got.Epoch != 1 {
			t.Errorf("revoked %v, epoch %d", got.RevokedAt, got.Epoch)
		}
		a.mustRotate(t, third)
	})
}

func TestRotate_ReuseRevokesTheSession(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, b node) {
		user := mustUser(t, a)
		s, token := a.start(t, user)
		untouched, _ := a.start(t, user)
		second := a.mustRotate(t, token).Token
		a.clock.advance(session.RepeatWindow + time.Microsecond)

		r := b.mustRotate(t, token)
		if r.Outcome != session.Reused || r.Token != "" || r.Session.UserID != user {
			t.Errorf("%+v", r)
		}
		stored := a.mustFind(t, s.ID)
		if stored.RevokeReason != session.TokenReused || stored.Epoch != 2 {
			t.Errorf("stored %+v", stored)
		}
		if diff := diffSession(stored, r.Session); diff != "" {
			t.Error(diff)
		}
		if n := a.count(t, `epoch_changes WHERE subject = $1 AND epoch = 2`, s.ID); n != 1 {
			t.Errorf("%d announcements, want 1", n)
		}
		for name, token := range map[string]secret.String{"spent": token, "successor": second} {
			if _, err := a.rotate(token); !errors.Is(err, session.ErrRevoked) {
				t.Errorf("%s: %v, want ErrRevoked", name, err)
			}
		}
		if got := a.live(t, user); len(got) != 1 || got[0] != untouched.ID {
			t.Errorf("live are %v", got)
		}
	})
}

func TestRotate_ReuseOfAnyAncestorRevokes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node) {
		s, token := a.start(t, mustUser(t, a))
		next := token
		for range 3 {
			a.clock.advance(time.Minute)
			next = a.mustRotate(t, next).Token
		}
		if r := a.mustRotate(t, token); r.Outcome != session.Reused || r.Session.ID != s.ID {
			t.Errorf("%+v", r)
		}
	})
}

func TestRotate_AClockSetBackDoesNotReopenTheWindow(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node) {
		_, token := a.start(t, mustUser(t, a))
		a.mustRotate(t, token)
		a.clock.advance(-time.Hour)
		if r := a.mustRotate(t, token); r.Outcome != session.Reused {
			t.Errorf("outcome %d, want Reused", r.Outcome)
		}
	})
}

func TestRotate_ManyAtOnceYieldOneSuccessor(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, b node) {
		_, token := a.start(t, mustUser(t, a))
		const uses = 32
		answers, faults := make([]session.Rotation, uses), make([]error, uses)
		parallel(uses, func(i int) { answers[i], faults[i] = []node{a, b}[i%2].rotate(token) })
		rotated, successors := 0, map[secret.String]bool{}
		for i, r := range answers {
			if faults[i] != nil {
				t.Fatal(faults[i])
			}
			if r.Outcome == session.Rotated {
				rotated++
			}
			successors[r.Token] = true
		}
		if rotated != 1 || len(successors) != 1 {
			t.Errorf("%d rotations to %d successors, want 1 to 1", rotated, len(successors))
		}
		if n := a.count(t, `spent_refresh_tokens`); n != 1 {
			t.Errorf("%d spent tokens, want 1", n)
		}
	})
}

func TestRotate_ManyReusesAtOnceAreReportedOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, b node) {
		_, token := a.start(t, mustUser(t, a))
		a.mustRotate(t, token)
		a.clock.advance(time.Minute)
		const uses = 32
		answers, faults := make([]session.Rotation, uses), make([]error, uses)
		parallel(uses, func(i int) { answers[i], faults[i] = []node{a, b}[i%2].rotate(token) })
		reported := 0
		for i, r := range answers {
			switch {
			case faults[i] == nil && r.Outcome == session.Reused:
				reported++
			case !errors.Is(faults[i], session.ErrRevoked):
				t.Errorf("%+v, %v", r, faults[i])
			}
		}
		if reported != 1 {
			t.Errorf("reported %d times, want once", reported)
		}
	})
}

func TestRotate_UnknownTokenRevokesNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node) {
		s, token := a.start(t, mustUser(t, a))
		_, body := a.start(t, mustUser(t, a), byBody)
		forged := token[:len(token)-8] + secret.String(strings.Repeat("A", 8))
		a.clock.advance(time.Minute)
		for name, try := range map[string]struct {
			token secret.String
			via   session.Delivery
		}{
			"never issued":     {forged, session.ByCookie},
			"no such session":  {"rt_" + secret.String(strings.Repeat("B", 64)), session.ByCookie},
			"malformed":        {"rt_", session.ByCookie},
			"cookie in a body": {token, session.ByBody},
			"body in a cookie": {body, session.ByCookie},
		} {
			if _, err := a.rotateVia(try.token, try.via); !errors.Is(err, session.ErrInvalid) {
				t.Errorf("%s: %v, want ErrInvalid", name, err)
			}
		}
		if got := a.mustFind(t, s.ID); got.RevokedAt != nil {
			t.Errorf("revoked at %v", got.RevokedAt)
		}
		a.mustRotate(t, token)
	})
}

func TestRotate_RefusedByTheCallerKeepsTheToken(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node) {
		_, token := a.start(t, mustUser(t, a))
		suspended := errors.New("suspended")
		err := a.tx(func(tx *db.Tx) error {
			if _, err := a.RotateTx(context.Background(), tx, token, session.ByCookie); err != nil {
				return err
			}
			return suspended
		})
		if !errors.Is(err, suspended) {
			t.Fatal(err)
		}
		if r := a.mustRotate(t, token); r.Outcome != session.Rotated {
			t.Errorf("outcome %d, want Rotated", r.Outcome)
		}
	})
}

func TestRotate_RevokedSessionIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, b node) {
		user := mustUser(t, a)
		s, token := a.start(t, user)
		if err := a.End(context.Background(), as(user, s.ID), s.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := b.rotate(token); !errors.Is(err, session.ErrRevoked) {
			t.Errorf("%v, want ErrRevoked", err)
		}
		if _, err := b.Verify(context.Background(), token, session.ByCookie); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("verify: %v, want ErrInvalid", err)
		}
	})
}

func TestRotate_PrivilegedLimits(t *testing.T) {
	t.Parallel()
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		each(t, func(t *testing.T, a, _ node) {
			user := mustUser(t, a)
			_, token := a.start(t, user, privileged)
			a.clock.advance(session.PrivilegedIdle - time.Second)
			token = a.mustRotate(t, token).Token
			a.clock.advance(session.PrivilegedIdle)
			if _, err := a.rotate(token); !errors.Is(err, session.ErrExpired) {
				t.Errorf("%v, want ErrExpired", err)
			}
			if n := len(a.live(t, user)); n != 0 {
				t.Errorf("%d listed as live", n)
			}
		})
	})
	t.Run("absolute", func(t *testing.T) {
		t.Parallel()
		each(t, func(t *testing.T, a, _ node) {
			_, token := a.start(t, mustUser(t, a), privileged)
			const step = 50 * time.Minute
			for range int(session.PrivilegedAbsolute / step) {
				a.clock.advance(step)
				token = a.mustRotate(t, token).Token
			}
			a.clock.advance(step)
			if _, err := a.rotate(token); !errors.Is(err, session.ErrExpired) {
				t.Errorf("%v, want ErrExpired", err)
			}
		})
	})
}

func TestConfine_HoldsAGrantedRoleToTheLimits(t *testing.T) {
	t.Parallel()
	renew := func(n node, token secret.String) (session.Session, secret.String, error) {
		var s session.Session
		var r session.Rotation
		err := n.tx(func(tx *db.Tx) (err error) {
			if r, err = n.RotateTx(context.Background(), tx, token, session.ByCookie); err != nil {
				return err
			}
			s, err = n.ConfineTx(tx, r)
			return err
		})
		return s, r.Token, err
	}
	each(t, func(t *testing.T, a, _ node) {
		user := mustUser(t, a)
		t.Run("OK", func(t *testing.T) {
			started, token := a.start(t, user)
			a.clock.advance(session.PrivilegedIdle - time.Second)
			s, token, err := renew(a, token)
			if err != nil || !s.ExpiresAt.Equal(started.CreatedAt.Add(session.PrivilegedAbsolute)) {
				t.Fatalf("%+v, %v", s, err)
			}
			if diff := diffSession(s, a.mustFind(t, s.ID)); diff != "" {
				t.Error(diff)
			}
			a.clock.advance(session.PrivilegedIdle)
			if _, err := a.rotate(token); !errors.Is(err, session.ErrExpired) {
				t.Errorf("idle since: %v, want ErrExpired", err)
			}
		})
		t.Run("Idle", func(t *testing.T) {
			_, token := a.start(t, user)
			a.clock.advance(session.PrivilegedIdle)
			if _, _, err := renew(a, token); !errors.Is(err, session.ErrExpired) {
				t.Errorf("%v, want ErrExpired", err)
			}
			a.mustRotate(t, token) // undone, so a person without permission goes on
		})
		t.Run("Old", func(t *testing.T) {
			_, token := a.start(t, user)
			a.clock.advance(session.PrivilegedAbsolute - time.Minute)
			token = a.mustRotate(t, token).Token
			a.clock.advance(time.Minute)
			if _, _, err := renew(a, token); !errors.Is(err, session.ErrExpired) {
				t.Errorf("%v, want ErrExpired", err)
			}
		})
	})
}

func TestVerify_UsesNothingUp(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, b node) {
		s, token := a.start(t, mustUser(t, a))
		ctx := context.Background()
		for _, n := range []node{a, b} {
			if got, err := n.Verify(ctx, token, session.ByCookie); err != nil || got.ID != s.ID {
				t.Errorf("%v, %v", got.ID, err)
			}
		}
		if _, err := a.Verify(ctx, token, session.ByBody); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("by the other way: %v, want ErrInvalid", err)
		}
		a.mustRotate(t, token)
		if _, err := a.Verify(ctx, token, session.ByCookie); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("spent: %v, want ErrInvalid", err)
		}
	})
}
