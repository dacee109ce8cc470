package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/audit"
	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
	"gatehouse/internal/platform/id"
	"gatehouse/internal/platform/secret"
	"gatehouse/internal/session"
)

// clock is a time that tests move. It stands still otherwise.
type clock struct{ micros atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.micros.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMicro())
	return c
}

func (c *clock) now() time.Time          { return time.UnixMicro(c.micros.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.micros.Add(d.Microseconds()) }

// node is one process on the database that all nodes of a test share.
type node struct {
	*session.Service
	db    *db.DB
	clock *clock
}

// each runs fn on each engine with two nodes on one database.
func each(t *testing.T, fn func(t *testing.T, a, b node)) {
	t.Helper()
	for _, engine := range dbtest.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url, c, master := dbtest.URL(t, engine), newClock(), secret.NewKey()
			fn(t, mustNode(t, url, c, master), mustNode(t, url, c, master))
		})
	}
}

func (n node) tx(fn func(tx *db.Tx) error) error { return n.db.Tx(context.Background(), fn) }

// start signs the person in and returns the session and its refresh token.
func (n node) start(tb testing.TB, user actor.UserID, change ...func(*session.NewSession)) (session.Session, secret.String) {
	tb.Helper()
	in := session.NewSession{
		UserID: user, ClientID: "gatehouse", Delivery: session.ByCookie, IP: netip.MustParseAddr("192.0.2.7"),
		UserAgent: "test", AMR: []string{"pwd", "otp"},
	}
	for _, c := range change {
		c(&in)
	}
	var started session.Session
	var token secret.String
	err := n.tx(func(tx *db.Tx) (err error) {
		started, token, err = n.StartTx(context.Background(), tx, in)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return started, token
}

func privileged(in *session.NewSession) { in.Privileged = true }
func byBody(in *session.NewSession)     { in.Delivery = session.ByBody }

// rotate presents the token as the browser does.
func (n node) rotate(token secret.String) (session.Rotation, error) {
	return n.rotateVia(token, session.ByCookie)
}

func (n node) rotateVia(token secret.String, via session.Delivery) (session.Rotation, error) {
	var r session.Rotation
	err := n.tx(func(tx *db.Tx) (err error) {
		r, err = n.RotateTx(context.Background(), tx, token, via)
		return err
	})
	return r, err
}

func (n node) mustRotate(tb testing.TB, token secret.String) session.Rotation {
	tb.Helper()
	r, err := n.rotate(token)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func (n node) mustFind(tb testing.TB, id session.ID) session.Session {
	tb.Helper()
	s, err := n.Find(context.Background(), n.db, id)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func (n node) live(tb testing.TB, user actor.UserID) []session.ID {
	tb.Helper()
	list, err := n.List(context.Background(), actor.Actor{Type: actor.User, UserID: user}, user)
	if err != nil {
		tb.Fatal(err)
	}
	ids := make([]session.ID, len(list))
	for i, s := range list {
		ids[i] = s.ID
	}
	return ids
}

func (n node) count(tb testing.TB, what string, args ...any) int {
	tb.Helper()
	var rows int
	if err := n.db.QueryRow(context.Background(), `SELECT COUNT(*) FROM `+what, args...).Scan(&rows); err != nil {
		tb.Fatal(err)
	}
	return rows
}

// mustUser makes the person that a session belongs to.
func mustUser(tb testing.TB, n node) actor.UserID {
	tb.Helper()
	user := id.New[actor.Subject](n.clock.now())
	err := n.tx(func(tx *db.Tx) error {
		email := user.String() + "@example.com"
		tx.Queue(`INSERT INTO users (id, email, canonical_email, password_hash, search_text, created_at, updated_at)
			VALUES ($1, $2, $3, '!', '', $4, $4)`, user, email, email, tx.Now())
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return user
}

func as(user actor.UserID, current session.ID, permissions ...actor.Permission) actor.Actor {
	return actor.Actor{Type: actor.User, UserID: user, SessionID: current, Permissions: permissions}
}

func TestStart_StoresTheHashOnly(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node) {
		s, token := a.start(t, mustUser(t, a))
		var stored []byte
		row := a.db.QueryRow(context.Background(), `SELECT refresh_token FROM sessions WHERE id = $1`, s.ID)
		if err := row.Scan(&stored); err != nil {
			t.Fatal(err)
		}
		if !secret.Equal(stored, secret.Hash(token)) {
			t.Errorf("stored %x", stored)
		}
		if diff := diffSession(s, a.mustFind(t, s.ID)); diff != "" {
			t.Error(diff)
		}
		if claimed, err := session.Claimed(token); err != nil || claimed != s.ID {
			t.Errorf("the token claims %v, %v", claimed, err)
		}
	})
}

func TestStart_KeepsAnyUserAgent(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node) {
		user := mustUser(t, a)
		for given, want := range map[string]string{
			"":                              "",
			"a\x00b\r\nc\xff":               "abc",
			strings.Repeat("ä", 256) + "bc": strings.Repeat("ä", 256),
			"x" + strings.Repeat("ä", 256):  "x" + strings.Repeat("ä", 255),
		} {
			s, _ := a.start(t, user, func(in *session.NewSession) { in.UserAgent, in.IP = given, netip.Addr{} })
			if got := a.mustFind(t, s.ID).UserAgent; got != want {
				t.Errorf("%q is kept as %q", given, got)
			}
		}
	})
}

func TestStart_EndsTheOldestBeyondTen(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node) {
		user, other := mustUser(t, a), mustUser(t, a)
		a.start(t, other)
		var started []session.ID
		for range session.PerUser + 2 {
			s, _ := a.start(t, user)
			started = append([]session.ID{s.ID}, started...)
			a.clock.advance(time.Second)
		}
		if got := a.live(t, user); fmt.Sprint(got) != fmt.Sprint(started[:session.PerUser]) {
			t.Errorf("live are %v\nof %v", got, started)
		}
		oldest := a.mustFind(t, started[session.PerUser])
		if oldest.RevokeReason != session.Superseded || oldest.Epoch != 2 {
			t.Errorf("the oldest ended as %+v", oldest)
		}
		if n := len(a.live(t, other)); n != 1 {
			t.Errorf("another person has %d sessions, want 1", n)
		}
	})
}

func TestStart_ManyAtOnceLeaveTen(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, b node) {
		user := mustUser(t, a)
		parallel(32, func(i int) { []node{a, b}[i%2].start(t, user) })
		if n := len(a.live(t, user)); n != session.PerUser {
			t.Errorf("%d live sessions, want %d", n, session.PerUser)
		}
	})
}

func TestRequireLive(t *testing.T) {
	t.Parallel()
	start := newClock().now()
	ended := start
	plain := session.Session{CreatedAt: start, ExpiresAt: start.Add(session.Absolute)}
	for name, c := range map[string]struct {
		s          session.Session
		after      time.Duration
		privileged bool
		want       error
	}{
		"plain":                {plain, session.Absolute - 1, false, nil},
		"plain, over":          {plain, session.Absolute, false, session.ErrExpired},
		"granted a role":       {plain, session.PrivilegedAbsolute - 1, true, nil},
		"granted a role, over": {plain, session.PrivilegedAbsolute, true, session.ErrExpired},
		"revoked":              {session.Session{CreatedAt: start, ExpiresAt: start.Add(time.Hour), RevokedAt: &ended}, 0, false, session.ErrRevoked},
	} {
		if err := c.s.RequireLive(start.Add(c.after), c.privileged); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestEnd_OwnSessionsOnly(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node) {
		ada, bob := mustUser(t, a), mustUser(t, a)
		current, _ := a.start(t, ada)
		old, _ := a.start(t, ada)
		foreign, _ := a.start(t, bob)
		by := as(ada, current.ID)
		for _, target := range []session.ID{foreign.ID, id.New[actor.Login](a.clock.now()), {}} {
			if err := a.End(context.Background(), by, target); !errors.Is(err, session.ErrNotFound) {
				t.Errorf("%v: %v, want ErrNotFound", target, err)
			}
		}
		if err := a.End(context.Background(), by, old.ID); err != nil {
			t.Fatal(err)
		}
		if err := a.End(context.Background(), by, old.ID); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("twice: %v, want ErrNotFound", err)
		}
		if got := a.live(t, ada); len(got) != 1 || got[0] != current.ID {
			t.Errorf("live are %v", got)
		}
		if n := len(a.live(t, bob)); n != 1 {
			t.Errorf("%d foreign sessions live, want 1", n)
		}
		if n := a.count(t, `epoch_changes WHERE subject = $1 AND epoch = 2`, old.ID); n != 1 {
			t.Errorf("%d announcements, want 1", n)
		}
		if n := a.count(t, `audit_logs WHERE action = $1 AND target_id = $2`, string(session.Revoked), ada); n != 1 {
			t.Errorf("%d entries of the log, want 1", n)
		}
	})
}

func TestSignOut_EndsOneOrAll(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node) {
		user := mustUser(t, a)
		first, _ := a.start(t, user)
		a.start(t, user)
		a.start(t, user)
		for _, want := range []struct {
			everywhere bool
			left       int
		}{{false, 2}, {false, 2}, {true, 0}, {true, 0}} {
			if err := a.SignOut(context.Background(), as(user, first.ID), want.everywhere); err != nil {
				t.Fatal(err)
			}
			if n := len(a.live(t, user)); n != want.left {
				t.Errorf("%+v: %d live", want, n)
			}
		}
		// The second and the fourth changed nothing, so they log nothing.
		if n := a.count(t, `audit_logs WHERE action = $1`, string(session.Revoked)); n != 2 {
			t.Errorf("%d entries of the log, want 2", n)
		}
	})
}

func TestRevokeAll_SparesOne(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node) {
		user := mustUser(t, a)
		kept, _ := a.start(t, user)
		for range 3 {
			a.start(t, user)
		}
		for _, c := range []struct {
			except session.ID
			want   int
		}{{kept.ID, 3}, {kept.ID, 0}, {session.ID{}, 1}} {
			var n int
			err := a.tx(func(tx *db.Tx) (err error) {
				n, err = a.RevokeAllTx(context.Background(), tx, user, c.except, session.PasswordChanged)
				return err
			})
			if err != nil || n != c.want {
				t.Errorf("except %v: %d, %v, want %d", c.except, n, err, c.want)
			}
		}
	})
}

func TestList_OfOthersNeedsThePermission(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node) {
		ada, bob := mustUser(t, a), mustUser(t, a)
		a.start(t, ada)
		if _, err := a.List(context.Background(), as(bob, session.ID{}), ada); !errors.Is(err, actor.ErrForbidden) {
			t.Errorf("%v, want ErrForbidden", err)
		}
		if _, err := a.List(context.Background(), actor.Actor{}, actor.UserID{}); !errors.Is(err, actor.ErrForbidden) {
			t.Errorf("nobody: %v, want ErrForbidden", err)
		}
		list, err := a.List(context.Background(), as(bob, session.ID{}, session.PermRead), ada)
		if err != nil || len(list) != 1 {
			t.Errorf("%v, %v", list, err)
		}
	})
}

func TestCSRF_BelongsToOneSession(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, b node) {
		user := mustUser(t, a)
		s, token := a.start(t, user)
		_, other := a.start(t, user)
		csrf, err := a.CSRFToken(s.ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.VerifyCSRF(token, csrf); err != nil {
			t.Errorf("on another node: %v", err)
		}
		if err := a.VerifyCSRF(a.mustRotate(t, token).Token, csrf); err != nil {
			t.Errorf("after a rotation: %v", err)
		}
		for _, bad := range []string{"", ".", csrf[:len(csrf)-1], csrf + "A", "x" + csrf, strings.SplitAfter(csrf, ".")[0]} {
			if err := a.VerifyCSRF(token, bad); !errors.Is(err, session.ErrCSRF) {
				t.Errorf("%q: %v, want ErrCSRF", bad, err)
			}
		}
		if err := a.VerifyCSRF(other, csrf); !errors.Is(err, session.ErrCSRF) {
			t.Errorf("of another session: %v, want ErrCSRF", err)
		}
		if err := a.VerifyCSRF("rt_x", csrf); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("without a session: %v, want ErrInvalid", err)
		}
	})
}

func mustNode(tb testing.TB, url string, c *clock, master secret.Key) node {
	tb.Helper()
	d, err := db.Open(context.Background(), db.Config{URL: url, PoolSize: 8, CallTimeout: 30 * time.Second, Now: c.now})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(d.Close)
	quiet := slog.New(slog.DiscardHandler)
	keys, err := keyring.New(context.Background(), keyring.Deps{
		AccessToken: keyring.Spec{Algorithm: keyring.ES256},
		DB:          d, Master: []secret.Key{master}, Now: c.now, Logger: quiet,
	})
	if err != nil {
		tb.Fatal(err)
	}
	log := audit.New(audit.Deps{DB: d, Keys: keys, Now: c.now, Log: quiet})
	svc := session.New(session.Deps{DB: d, Keys: keys, Audit: log, Now: c.now, Logger: quiet})
	return node{Service: svc, db: d, clock: c}
}
