// Package access turns an access token into an actor, at every request.
//
// The token proves who signed in; whether the session still lives and what the
// person may do now is looked up, not read from the token. The answer is kept
// in the process, and beside it in a cache that nodes share, together with the
// epochs it was read under. It counts only while the epoch feed knows of
// nothing newer, so a warm check costs no query and no round trip, and a
// change acts at once here and as fast as the feed elsewhere. A shared entry is
// authenticated and bound to its session; one that is stale, forged, replayed
// or garbage is read again from the database (CK-4, TOK-9).
package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"gatehouse/internal/actor"
	"gatehouse/internal/epoch"
	"gatehouse/internal/identity"
	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/cache"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/rbac"
	"gatehouse/internal/session"
	"gatehouse/internal/token"
)

// ErrSuspended and ErrDeactivated end the access of a person whose account is
// not active.
var (
	ErrSuspended   = identity.ErrSuspended
	ErrDeactivated = identity.ErrDeactivated
)

// maxPrincipals bounds the sessions that a node remembers.
const maxPrincipals = 50_000

// askAgain is how long a node that found the database away goes on without
// asking it at each check.
const askAgain = time.Second

// Deps are what the check needs.
type Deps struct {
	DB       *db.DB
	Verifier *token.Verifier
	Sessions *session.Service
	Users    *identity.Service
	Roles    *rbac.Service
	Feed     *epoch.Feed
	Keys     *keyring.Keyring
	Shared   cache.Cache // nil: nodes share nothing
	Now      func() time.Time
	Log      *slog.Logger
}

// Checker authenticates requests. It is safe for concurrent use.
type Checker struct {
	db       *db.DB
	verifier *token.Verifier
	sessions *session.Service
	users    *identity.Service
	roles    *rbac.Service
	feed     *epoch.Feed
	shared   shared
	now      func() time.Time
	log      *slog.Logger
	known    *otter.Cache[session.ID, *principal]

	hits, misses atomic.Uint64
	missed       atomic.Int64 // when the database was last found away, in nanoseconds since 1970
}

// New returns a Checker.
func New(d Deps) (*Checker, error) {
	known, err := otter.New(&otter.Options[session.ID, *principal]{MaximumSize: maxPrincipals})
	if err != nil {
		return nil, fmt.Errorf("memory of sessions: %w", err)
	}
	return &Checker{
		db: d.DB, verifier: d.Verifier, sessions: d.Sessions, users: d.Users, roles: d.Roles, feed: d.Feed,
		shared: shared{d.Shared, d.Keys}, now: d.Now, log: d.Log, known: known,
	}, nil
}

// principal is what is known about a session and its person.
type principal struct {
	Session     sessionView
	UserEpoch   int64
	Status      identity.Status
	MustChange  bool // owes a new password
	Roles       []roleView
	Permissions []actor.Permission
	GrantsEndAt time.Time // zero: no grant ends by itself
	ReadAt      time.Time // before it was read
	refs        []epoch.Ref
}

type sessionView struct {
	ID        session.ID
	UserID    actor.UserID
	AMR       []string
	AuthTime  time.Time
	CreatedAt time.Time
	ExpiresAt time.Time
	Revoked   bool
	Epoch     int64
}

type roleView struct {
	ID    rbac.RoleID
	Name  string
	Epoch int64
}

// Authenticate returns who the bearer of an access token is. It returns
// token.ErrInvalid, token.ErrExpired, session.ErrRevoked, session.ErrExpired,
// ErrSuspended or ErrDeactivated, or db.ErrUnavailable when it can't know.
func (c *Checker) Authenticate(ctx context.Context, raw string, from actor.Origin) (actor.Actor, error) {
	claims, err := c.verifier.Verify(ctx, raw)
	if err != nil {
		return actor.Actor{}, err
	}
	p, err := c.find(ctx, claims.SessionID)
	if err != nil {
		return actor.Actor{}, err
	}
	if p.Session.UserID != claims.UserID {
		return actor.Actor{}, token.ErrInvalid
	}
	now := c.now()
	if err := p.require(now); err != nil {
		return actor.Actor{}, err
	}
	c.sessions.Touch(p.Session.ID, now)
	return actor.Actor{
		Type: actor.User, UserID: p.Session.UserID, SessionID: p.Session.ID, Roles: p.roleNames(),
		Permissions: p.Permissions, AMR: p.Session.AMR, AuthTime: p.Session.AuthTime,
		MustChangePassword: p.MustChange, Origin: from,
	}, nil
}

// require returns why the principal may not go on, if so.
func (p *principal) require(now time.Time) error {
	live := session.Session{CreatedAt: p.Session.CreatedAt, ExpiresAt: p.Session.ExpiresAt}
	if p.Session.Revoked {
		return session.ErrRevoked
	}
	if err := p.Status.RequireActive(); err != nil {
		return err
	}
	return live.RequireLive(now, len(p.Permissions) > 0)
}

func (p *principal) roleNames() []string {
	names := make([]string, len(p.Roles))
	for i, r := range p.Roles {
		names[i] = r.Name
	}
	return names
}

// find returns the principal of a session from memory, from the shared cache
// or from the database, whichever may be believed first.
func (c *Checker) find(ctx context.Context, id session.ID) (*principal, error) {
	trust := c.feed.Trust()
	p, known := c.known.GetIfPresent(id)
	if known && trust == epoch.Fresh && c.counts(p) {
		c.hits.Add(1)
		return p, nil
	}
	c.misses.Add(1)
	if !known && trust == epoch.Fresh {
		if p, ok := c.shared.get(ctx, id); ok && c.counts(p) {
			c.known.Set(id, p)
			return p, nil
		}
	}
	away := known && trust != epoch.Lost && c.counts(p)
	if away && c.now().Sub(time.Unix(0, c.missed.Load())) < askAgain {
		return p, nil
	}
	fresh, err := c.read(ctx, id)
	switch {
	case err == nil:
		c.known.Set(id, fresh)
		c.shared.set(ctx, fresh)
		return fresh, nil
	case errors.Is(err, db.ErrUnavailable) && away:
		// The database is away, and was seen within the minute: reads go on.
		c.missed.Store(c.now().UnixNano())
		return p, nil
	}
	return nil, err
}

// Stats returns how many checks were answered from memory and how many not.
func (c *Checker) Stats() (hits, misses uint64) { return c.hits.Load(), c.misses.Load() }

// counts reports whether a remembered principal is still the latest.
func (c *Checker) counts(p *principal) bool {
	return c.feed.Counts(p.ReadAt, p.refs...) && (p.GrantsEndAt.IsZero() || c.now().Before(p.GrantsEndAt))
}

// read asks the database. The person's epoch is read before their grants, so
// that grants are never newer than the epoch they are kept under says.
func (c *Checker) read(ctx context.Context, id session.ID) (*principal, error) {
	at := c.now()
	s, err := c.sessions.Find(ctx, c.db, id)
	if errors.Is(err, session.ErrNotFound) {
		return nil, session.ErrRevoked // it was live when the token was signed
	}
	if err != nil {
		return nil, fmt.Errorf("read session: %w", err)
	}
	u, err := c.users.Find(ctx, c.db, s.UserID)
	if err != nil {
		return nil, fmt.Errorf("read the person of a session: %w", err)
	}
	grants, err := c.roles.RolesOf(ctx, c.db, s.UserID)
	if err != nil {
		return nil, fmt.Errorf("read the roles of a session: %w", err)
	}
	p := &principal{
		Session: sessionView{
			ID: s.ID, UserID: s.UserID, AMR: s.AMR, AuthTime: s.AuthTime, CreatedAt: s.CreatedAt, ExpiresAt: s.ExpiresAt,
			Revoked: s.RevokedAt != nil, Epoch: s.Epoch,
		},
		UserEpoch: u.Epoch, Status: u.Status, MustChange: u.PasswordChangeRequired,
		Permissions: slices.Clip(grants.Permissions), GrantsEndAt: grants.ValidUntil, ReadAt: at,
	}
	if u.IsDeleted() {
		p.Session.Revoked = true
	}
	for _, g := range grants.Roles {
		p.Roles = append(p.Roles, roleView{g.Role, g.Name, g.Epoch})
	}
	p.index()
	return p, nil
}

// index lists what the principal depends on.
func (p *principal) index() {
	p.refs = append(p.refs[:0], epoch.Ref{Subject: p.Session.ID, Epoch: p.Session.Epoch},
		epoch.Ref{Subject: p.Session.UserID, Epoch: p.UserEpoch})
	for _, r := range p.Roles {
		if !r.ID.IsZero() {
			p.refs = append(p.refs, epoch.Ref{Subject: r.ID, Epoch: r.Epoch})
		}
	}
}
