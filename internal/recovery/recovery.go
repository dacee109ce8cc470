// Package recovery is the journey of a person who replaces a proof of who they
// are: today, their password by knowing the old one.
//
// A new password ends every other session, and its owner is told by mail
// (PW-8).
package recovery

import (
	"context"
	"fmt"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/audit"
	"gatehouse/internal/identity"
	"gatehouse/internal/notify"
	"gatehouse/internal/password"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/secret"
	"gatehouse/internal/session"
	"gatehouse/internal/throttle"
)

// ErrCredentials is returned where the current password is wrong.
var ErrCredentials = errs.New(errs.Unauthenticated, "invalid_credentials", "The current password is wrong.")

// ErrSame is returned where the new password is the current one.
var ErrSame = errs.InvalidField("new_password", "unchanged", "must differ from the current password")

// failures is how many wrong current passwords a person may submit.
func failures() throttle.Limit { return throttle.Limit{Max: 10, Window: 15 * time.Minute} }

// Digests turns the name of an account into a key that tells nothing.
type Digests interface {
	AccountDigest(identifier string) ([32]byte, error)
}

// Deps are what the journey needs.
type Deps struct {
	DB        *db.DB
	Users     *identity.Service
	Passwords *password.Service
	Sessions  *session.Service
	Audit     *audit.Log
	Notify    *notify.Notifier
	Limits    *throttle.Limiter
	Digests   Digests
}

// Service replaces proofs. It is safe for concurrent use.
type Service struct{ Deps }

// New returns the journey.
func New(d Deps) *Service { return &Service{d} }

// ChangePassword replaces the actor's own password. The session it is done in
// goes on. It returns ErrCredentials, ErrSame, what the policy refuses, or
// throttle.ErrLimited.
func (s *Service) ChangePassword(ctx context.Context, by actor.Actor, current, next secret.String) error {
	// The same place in which wrong passwords at the sign-in are counted.
	digest, err := s.Digests.AccountDigest(by.UserID.String())
	if err != nil {
		return err
	}
	key := throttle.ByAccount(digest, "login")
	if err := s.Limits.Allow(ctx, key, failures()).Err(); err != nil {
		return err
	}
	known, err := s.Users.FindLoginByID(ctx, s.DB, by.UserID)
	if err != nil {
		return fmt.Errorf("find whose password it is: %w", err)
	}
	if err := s.Passwords.Check(ctx, next, password.Context{Email: known.Email, Username: known.Username}); err != nil {
		return err
	}
	match, _, err := s.Passwords.Verify(ctx, known.PasswordHash.Reveal(), current)
	if err != nil {
		return err
	}
	if !match {
		return s.refuse(ctx, by)
	}
	s.Limits.Reset(ctx, key)
	if current == next {
		return ErrSame
	}
	hash, err := s.Passwords.Hash(ctx, next)
	if err != nil {
		return err
	}
	defer s.Users.Forget(known.ID)
	return s.DB.Tx(ctx, func(tx *db.Tx) error {
		// The epoch decides that nobody changed it in the meantime.
		if err := s.Users.ConfirmEpoch(ctx, tx, known.ID, known.Epoch); err != nil {
			return err
		}
		if err := s.Users.SetPassword(ctx, tx, known.ID, secret.String(hash), false); err != nil {
			return fmt.Errorf("set the password: %w", err)
		}
		if _, err := s.Sessions.RevokeAllTx(ctx, tx, known.ID, by.SessionID, session.PasswordChanged); err != nil {
			return err
		}
		if err := s.Notify.PasswordChanged(tx, notify.Person{Email: known.Email}); err != nil {
			return err
		}
		return s.Audit.Append(ctx, tx, by, audit.Event{Action: password.Changed, Target: audit.Person(known.ID)})
	})
}

func (s *Service) refuse(ctx context.Context, by actor.Actor) error {
	err := s.Audit.Observe(ctx, by, audit.Event{
		Action: password.Changed, Outcome: audit.Failure, Target: audit.Person(by.UserID), Reason: ErrCredentials.Code,
	})
	if err != nil {
		return fmt.Errorf("log a refused change of password: %w", err)
	}
	return ErrCredentials
}
