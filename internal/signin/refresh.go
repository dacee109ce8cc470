package signin

import (
	"context"
	"fmt"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/audit"
	"gatehouse/internal/identity"
	"gatehouse/internal/notify"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/secret"
	"gatehouse/internal/session"
	"gatehouse/internal/throttle"
)

// Renewals is how often a session may be renewed (LIM-3).
func Renewals() throttle.Limit { return throttle.Limit{Max: 30, Window: time.Minute} }

// RenewalsOf is where the renewals of a session are counted. Only those that
// happened are, so nobody who merely knows the id of a session can use its
// limit up.
func RenewalsOf(id session.ID) throttle.Key { return throttle.BySession(id, "/auth/refresh") }

// Refresh rotates a refresh token and issues the next access token. A token
// that was spent before the last ten seconds ends its session and is told to
// the person (TOK-7). It checks all that a sign-in would (TOK-8) and returns
// session.ErrInvalid, session.ErrRevoked, session.ErrExpired, or the state of
// the account. It counts under RenewalsOf; whoever calls it refuses what is
// beyond Renewals.
func (s *Service) Refresh(ctx context.Context, by actor.Actor, refresh secret.String, via session.Delivery) (SignedIn, error) {
	var signed SignedIn
	var reused bool
	err := s.DB.Tx(ctx, func(tx *db.Tx) error {
		signed, reused = SignedIn{}, false
		r, err := s.Sessions.RotateTx(ctx, tx, refresh, via)
		if err != nil {
			return err
		}
		by := by
		by.Type, by.UserID, by.SessionID = actor.User, r.Session.UserID, r.Session.ID
		if signed.User, err = s.Users.Find(ctx, tx, r.Session.UserID); err != nil {
			return fmt.Errorf("find whose session it is: %w", err)
		}
		if r.Outcome == session.Reused {
			reused = true
			return s.reportReuse(ctx, tx, by, signed.User)
		}
		if signed.User.IsDeleted() {
			return session.ErrRevoked
		}
		if err := requireAble(signed.User); err != nil {
			return err
		}
		grants, err := s.Roles.RolesOf(ctx, tx, r.Session.UserID)
		if err != nil {
			return fmt.Errorf("read roles: %w", err)
		}
		signed.Session, signed.RefreshToken, signed.Roles = r.Session, r.Token, grants.Names()
		if len(grants.Permissions) > 0 {
			if signed.Session, err = s.Sessions.ConfineTx(tx, r); err != nil {
				return err
			}
		}
		if r.Outcome == session.Repeated {
			return nil // the rotation that it repeats is in the log
		}
		return s.Audit.Append(ctx, tx, by, audit.Event{Action: Refreshed, Target: audit.Person(by.UserID)})
	})
	if err != nil {
		return SignedIn{}, fmt.Errorf("refresh: %w", err)
	}
	if reused {
		return SignedIn{}, session.ErrInvalid
	}
	s.Limits.Fail(ctx, RenewalsOf(signed.Session.ID), Renewals())
	return s.issue(signed)
}

func (s *Service) reportReuse(ctx context.Context, tx *db.Tx, by actor.Actor, u identity.User) error {
	if !u.IsDeleted() {
		if err := s.Notify.RefreshTokenReused(tx, notify.Person{Email: u.Email}); err != nil {
			return err
		}
	}
	return s.Audit.Append(ctx, tx, by, audit.Event{
		Action: Reused, Outcome: audit.Failure, Target: audit.Person(u.ID), Reason: string(session.TokenReused),
	})
}
