package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/audit"
	"gatehouse/internal/epoch"
	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/id"
	"gatehouse/internal/platform/secret"
)

// Revoked is the log's action for the end of one session, or of all sessions
// of a person.
const Revoked audit.Action = "session.revoked"

// Deps is what a Service needs. Every field is required.
type Deps struct {
	DB     *db.DB
	Keys   *keyring.Keyring
	Audit  *audit.Log
	Now    func() time.Time
	Logger *slog.Logger
}

// Service holds the use cases of sessions. It is safe for concurrent use.
type Service struct {
	db       *db.DB
	keys     *keyring.Keyring
	audit    *audit.Log
	now      func() time.Time
	log      *slog.Logger
	activity activity
}

// New returns a Service. Run writes what Touch notes.
func New(d Deps) *Service {
	return &Service{db: d.DB, keys: d.Keys, audit: d.Audit, now: d.Now, log: d.Logger}
}

// StartTx starts a session and returns it with its first refresh token. Where
// the person has ten live sessions already, the oldest end.
func (s *Service) StartTx(ctx context.Context, tx *db.Tx, in NewSession) (Session, secret.String, error) {
	now := tx.Now()
	ended, err := endOldest(ctx, tx, in.UserID, PerUser-1)
	if err != nil {
		return Session{}, "", fmt.Errorf("end surplus sessions: %w", err)
	}
	bump(tx, ended)
	started := Session{
		ID: id.New[actor.Login](now), UserID: in.UserID, ClientID: in.ClientID, Delivery: in.Delivery,
		IP: in.IP, UserAgent: storedAgent(in.UserAgent), AMR: in.AMR, AuthTime: now,
		CreatedAt: now, LastActivityAt: now, ExpiresAt: now.Add(lifetime(in.Privileged)),
		Privileged: in.Privileged, Epoch: 1,
	}
	token := newRefreshToken(started.ID)
	insert(tx, started, token.hash())
	return started, token.text, nil
}

// Find returns the session, also one that has ended, or ErrNotFound.
func (s *Service) Find(ctx context.Context, q db.Querier, id ID) (Session, error) {
	found, err := find(ctx, q, id)
	if errors.Is(err, db.ErrNoRows) {
		return Session{}, ErrNotFound
	}
	if err != nil {
		return Session{}, fmt.Errorf("find session: %w", err)
	}
	return found, nil
}

// Verify returns the live session whose valid refresh token this is, and uses
// nothing up. Any other token is ErrInvalid, whatever it once was.
func (s *Service) Verify(ctx context.Context, refresh secret.String, via Delivery) (Session, error) {
	token, err := parseRefreshToken(refresh)
	if err != nil {
		return Session{}, err
	}
	found, err := findByToken(ctx, s.db, s.now(), token, via)
	if errors.Is(err, db.ErrNoRows) {
		return Session{}, ErrInvalid
	}
	if err != nil {
		return Session{}, fmt.Errorf("verify refresh token: %w", err)
	}
	return found, nil
}

// List returns the live sessions of a person, the newest first. It needs
// PermRead, except for one's own.
func (s *Service) List(ctx context.Context, by actor.Actor, user actor.UserID) ([]Session, error) {
	if by.UserID != user || user.IsZero() {
		if err := by.Require(PermRead); err != nil {
			return nil, err
		}
	}
	list, err := listLive(ctx, s.db, s.now(), user)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return list, nil
}

// End ends one of the actor's own sessions. Another person's session is
// ErrNotFound, as is one that does not exist or has ended.
func (s *Service) End(ctx context.Context, by actor.Actor, id ID) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		ended, err := revoke(ctx, tx, EndedByUser, own(by.UserID, id))
		if err != nil {
			return fmt.Errorf("end session: %w", err)
		}
		if len(ended) == 0 {
			return ErrNotFound
		}
		return s.record(ctx, tx, by, ended, EndedByUser)
	})
}

// SignOut ends the actor's session, or everywhere all of the actor's sessions.
// It does nothing where they have ended already.
func (s *Service) SignOut(ctx context.Context, by actor.Actor, everywhere bool) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		which := own(by.UserID, by.SessionID)
		if everywhere {
			which = all(by.UserID, ID{})
		}
		ended, err := revoke(ctx, tx, SignedOut, which)
		if err != nil {
			return fmt.Errorf("sign out: %w", err)
		}
		return s.record(ctx, tx, by, ended, SignedOut)
	})
}

// RevokeTx ends a session and reports whether it had not ended before.
func (s *Service) RevokeTx(ctx context.Context, tx *db.Tx, id ID, reason Reason) (bool, error) {
	ended, err := revoke(ctx, tx, reason, one(id))
	if err != nil {
		return false, fmt.Errorf("revoke session: %w", err)
	}
	bump(tx, ended)
	return len(ended) > 0, nil
}

// RevokeAllTx ends every session of a person but except, and returns how
// many those were. A zero except spares none.
func (s *Service) RevokeAllTx(ctx context.Context, tx *db.Tx, user actor.UserID, except ID, reason Reason) (int, error) {
	ended, err := revoke(ctx, tx, reason, all(user, except))
	if err != nil {
		return 0, fmt.Errorf("revoke sessions: %w", err)
	}
	bump(tx, ended)
	return len(ended), nil
}

// record announces the end of the actor's own sessions and logs it once.
func (s *Service) record(ctx context.Context, tx *db.Tx, by actor.Actor, ended []epochOf, reason Reason) error {
	if len(ended) == 0 {
		return nil
	}
	bump(tx, ended)
	e := audit.Event{
		Action: Revoked, Target: audit.Person(by.UserID), Reason: string(reason), Count: int64(len(ended)),
	}
	if len(ended) == 1 {
		e.SessionID = ended[0].id
	}
	return s.audit.Append(ctx, tx, by, e)
}

// bump announces the new epochs of sessions that ended.
func bump(tx *db.Tx, ended []epochOf) {
	for _, e := range ended {
		epoch.Bump(tx, e.id, e.epoch)
	}
}
