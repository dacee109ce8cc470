package session_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/session"
)

func TestSuccessor_OpensForNobodyElseAndGoes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node) {
		ctx := context.Background()
		_, token := a.start(t, mustUser(t, a))
		next := a.mustRotate(t, token).Token
		var sealed []byte
		if err := a.db.QueryRow(ctx, `SELECT successor FROM sessions`).Scan(&sealed); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(sealed), next.Reveal()) {
			t.Error("stored in clear")
		}
		a.clock.advance(session.RepeatWindow)
		purge(t, a)
		if n := a.count(t, `sessions WHERE successor IS NOT NULL`); n != 1 {
			t.Error("wiped within the window")
		}
		a.clock.advance(time.Second)
		purge(t, a)
		if n := a.count(t, `sessions WHERE successor IS NOT NULL`); n != 0 {
			t.Error("kept past the window")
		}
		a.mustRotate(t, next)
	})
}

func purge(tb testing.TB, n node) int64 {
	tb.Helper()
	deleted, err := n.Purge(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	return deleted
}

func TestPurge_DeletesAWeekAfterTheEnd(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node) {
		user := mustUser(t, a)
		revoked, _ := a.start(t, user)
		_, token := a.start(t, user)
		a.mustRotate(t, token)
		if err := a.End(context.Background(), as(user, revoked.ID), revoked.ID); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			advance time.Duration
			deleted int64
			spent   int
		}{
			{7 * 24 * time.Hour, 0, 1},
			{time.Second, 1, 1},        // the revoked one
			{7 * 24 * time.Hour, 1, 0}, // the expired one
		} {
			a.clock.advance(step.advance)
			if n := purge(t, a); n != step.deleted {
				t.Errorf("%+v: deleted %d", step, n)
			}
			if n := a.count(t, `spent_refresh_tokens`); n != step.spent {
				t.Errorf("%+v: %d spent tokens", step, n)
			}
		}
	})
}
