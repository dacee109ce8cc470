package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/secret"
)

// Outcome says what became of a refresh token that was presented.
type Outcome uint8

// The outcomes. Reused is a result and not an error, because the revocation
// must commit.
const (
	// Rotated: the token was valid and has a successor now.
	Rotated Outcome = iota
	// Repeated: the token was spent within the last 10 s; Token is the
	// successor it got then, which nobody has used.
	Repeated
	// Reused: the token was spent before that. The session is revoked; log
	// token.reused, tell the person, and answer ErrInvalid.
	Reused
)

// Rotation is the answer to a refresh token.
type Rotation struct {
	Outcome Outcome
	Session Session
	Token   secret.String // the valid refresh token; empty when Reused

	idleSince time.Time // the last activity before this one
}

// clockSkew is how far the clocks of two nodes may differ (DEP-8).
const clockSkew = 30 * time.Second

// RotateTx takes a refresh token, presented by the given way, and gives its
// successor. Of parallel calls with one token, one rotates; the others repeat
// its answer. A token that is unknown, malformed or came by the wrong way is
// ErrInvalid and changes nothing; the valid one of a session that has ended
// is ErrRevoked or ErrExpired.
//
// An error that the caller returns later undoes the rotation. Call ConfineTx
// in the same transaction when the person holds a permission.
func (s *Service) RotateTx(ctx context.Context, tx *db.Tx, refresh secret.String, via Delivery) (Rotation, error) {
	spent, err := parseRefreshToken(refresh)
	if err != nil {
		return Rotation{}, err
	}
	next := newRefreshToken(spent.sessionID)
	rotated, err := rotate(ctx, tx, spent, next, via)
	if errors.Is(err, db.ErrNoRows) {
		return s.repeatOrRefuse(ctx, tx, spent, via)
	}
	if err != nil {
		return Rotation{}, fmt.Errorf("rotate refresh token: %w", err)
	}
	insertSpent(tx, spent)
	rotated.Outcome, rotated.Token = Rotated, next.text
	return rotated, nil
}

// repeatOrRefuse answers a token that is not the valid one of a live session.
func (s *Service) repeatOrRefuse(ctx context.Context, tx *db.Tx, token refreshToken, via Delivery) (Rotation, error) {
	p, err := findPresented(ctx, tx, token)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return Rotation{}, ErrInvalid
	case err != nil:
		return Rotation{}, fmt.Errorf("look up refresh token: %w", err)
	case p.session.Delivery != via, p.spentAt.IsZero() && !p.valid:
		return Rotation{}, ErrInvalid
	case p.session.RevokedAt != nil:
		return Rotation{}, ErrRevoked
	case p.valid, !tx.Now().Before(p.session.ExpiresAt):
		return Rotation{}, ErrExpired // idle or past the absolute limit
	}
	if age := tx.Now().Sub(p.spentAt); age > RepeatWindow || age < -clockSkew {
		return s.endReused(ctx, tx, p.session)
	}
	successor, err := token.openSuccessor(p.successor)
	if err != nil {
		return Rotation{}, ErrInvalid // the successor was used, and is gone
	}
	return Rotation{Outcome: Repeated, Session: p.session, Token: successor, idleSince: p.idleSince}, nil
}

// endReused revokes the session of a token that came back too late. Of
// parallel calls one reports it.
func (s *Service) endReused(ctx context.Context, tx *db.Tx, reused Session) (Rotation, error) {
	live, err := s.RevokeTx(ctx, tx, reused.ID, TokenReused)
	if err != nil {
		return Rotation{}, err
	}
	if !live {
		return Rotation{}, ErrRevoked
	}
	now := tx.Now()
	reused.RevokedAt, reused.RevokeReason = &now, TokenReused
	reused.Epoch++
	return Rotation{Outcome: Reused, Session: reused}, nil
}

// ConfineTx holds a session that was just renewed to the limits for people
// who hold a permission, since one granted meanwhile keeps the session (CK-2).
// Past them it returns ErrExpired, which undoes the rotation. A session once
// confined stays so.
func (s *Service) ConfineTx(tx *db.Tx, r Rotation) (Session, error) {
	confined := r.Session
	if confined.Privileged {
		return confined, nil
	}
	now := tx.Now()
	confined.Privileged = true
	confined.ExpiresAt = confined.Expiry(true)
	if !now.Before(confined.ExpiresAt) || now.Sub(r.idleSince) >= PrivilegedIdle {
		return Session{}, ErrExpired
	}
	confine(tx, confined)
	return confined, nil
}
