// Package signin is the journey from a proof of who somebody is to a session,
// and from one access token to the next.
//
// What a stranger may learn from a refused sign-in is that it was refused:
// unknown, password-less, suspended and existing accounts answer alike, after
// the same work (PW-6, LIM-6). The state of an account is told only after the
// right password.
package signin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/audit"
	"gatehouse/internal/identity"
	"gatehouse/internal/notify"
	"gatehouse/internal/password"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/secret"
	"gatehouse/internal/rbac"
	"gatehouse/internal/session"
	"gatehouse/internal/throttle"
	"gatehouse/internal/token"
)

// The actions of this package in the log.
const (
	Succeeded audit.Action = "login.succeeded"
	Failed    audit.Action = "login.failed"
	Refreshed audit.Action = "token.refreshed"
	Reused    audit.Action = "token.reused"
)

// ErrCredentials is the one answer to every sign-in that proves nothing.
var ErrCredentials = errs.New(errs.Unauthenticated, "invalid_credentials", "The name or the password is wrong.")

// failures is how many wrong passwords an account may see (LIM-3). The pause
// is as long as the window, so strangers never lock anybody out for good.
func failures() throttle.Limit { return throttle.Limit{Max: 10, Window: 15 * time.Minute} }

// Digests turns what strangers type into keys that tell nothing.
type Digests interface {
	AccountDigest(identifier string) ([32]byte, error)
}

// Outcomes counts sign-ins by outcome.
type Outcomes interface {
	SignIn(outcome string)
}

// Deps are what the journey needs.
type Deps struct {
	DB        *db.DB
	Users     *identity.Service
	Passwords *password.Service
	Sessions  *session.Service
	Roles     *rbac.Service
	Tokens    *token.Issuer
	Audit     *audit.Log
	Notify    *notify.Notifier
	Limits    *throttle.Limiter
	Digests   Digests
	Outcomes  Outcomes
	Log       *slog.Logger
}

// Service signs people in and renews their sessions. It is safe for
// concurrent use.
type Service struct{ Deps }

// New returns the journey.
func New(d Deps) *Service { return &Service{d} }

// Credentials are what somebody types.
type Credentials struct {
	Identifier string // e-mail address or username
	Password   secret.String
	ClientID   string
	Delivery   session.Delivery
}

// SignedIn is a session with the tokens that carry it.
type SignedIn struct {
	User         identity.User
	Roles        []string
	Session      session.Session
	AccessToken  secret.String
	ExpiresIn    time.Duration
	RefreshToken secret.String
	CSRFToken    string
}

// Login proves a password and starts a session. It returns ErrCredentials,
// the account's state after the right password, throttle.ErrLimited, or
// overloaded when too many wait for the hash.
func (s *Service) Login(ctx context.Context, by actor.Actor, c Credentials) (SignedIn, error) {
	signed, err := s.login(ctx, by, c)
	s.Outcomes.SignIn(outcome(err))
	return signed, err
}

func (s *Service) login(ctx context.Context, by actor.Actor, c Credentials) (SignedIn, error) {
	found, err := s.Users.FindLogin(ctx, s.DB, c.Identifier)
	if err != nil && !errors.Is(err, identity.ErrNotFound) {
		return SignedIn{}, fmt.Errorf("find who signs in: %w", err)
	}
	account, err := s.countUnder(found.ID, c.Identifier)
	if err != nil {
		return SignedIn{}, err
	}
	// Counted before the password is looked at, so that tries at once don't
	// slip past; one that succeeds wipes the count.
	if err := s.Limits.Allow(ctx, account, failures()).Err(); err != nil {
		return SignedIn{}, err
	}
	match, outdated, err := s.Passwords.Verify(ctx, found.PasswordHash.Reveal(), c.Password)
	if err != nil {
		return SignedIn{}, err
	}
	if !match {
		return SignedIn{}, s.refuse(ctx, by, c, found.User, ErrCredentials)
	}
	if err := requireAble(found.User); err != nil {
		return SignedIn{}, s.refuse(ctx, by, c, found.User, err)
	}
	var rehashed string
	if outdated {
		if rehashed, err = s.Passwords.Hash(ctx, c.Password); err != nil {
			return SignedIn{}, err
		}
	}
	s.Limits.Reset(ctx, account)
	return s.start(ctx, by, c, found, rehashed)
}

// countUnder is where tries are counted: one place for an account, by whichever
// of its names it is tried, and one for each name that nobody has (LIM-5).
func (s *Service) countUnder(u actor.UserID, identifier string) (throttle.Key, error) {
	name := identity.LimitKey(identifier)
	if canonical, ok := identity.CanonicalEmail(identifier); ok {
		name = canonical
	}
	if !u.IsZero() {
		name = u.String()
	}
	digest, err := s.Digests.AccountDigest(name)
	return throttle.ByAccount(digest, "login"), err
}

func requireAble(u identity.User) error {
	if err := u.Status.RequireActive(); err != nil {
		return err
	}
	if !u.EmailVerified {
		return identity.ErrEmailNotVerified
	}
	return nil
}

// refuse logs an attempt and returns why it failed.
func (s *Service) refuse(ctx context.Context, by actor.Actor, c Credentials, u identity.User, why error) error {
	e := audit.Event{Action: Failed, Outcome: audit.Failure, Target: audit.Person(u.ID), Reason: outcome(why)}
	if u.ID.IsZero() {
		target, err := s.Audit.Address(identity.LimitKey(c.Identifier))
		if err != nil {
			return err
		}
		e.Target = target
	}
	if err := s.Audit.Observe(ctx, by, e); err != nil {
		return fmt.Errorf("log a failed sign-in: %w", err)
	}
	return why
}

// start makes the session of a person who proved themselves.
func (s *Service) start(ctx context.Context, by actor.Actor, c Credentials, who identity.Login, rehashed string) (SignedIn, error) {
	signed := SignedIn{User: who.User}
	err := s.DB.Tx(ctx, func(tx *db.Tx) error {
		if err := s.Users.ConfirmLogin(ctx, tx, who.ID, who.Epoch); err != nil {
			return err
		}
		if rehashed != "" {
			s.Users.Rehash(tx, who.ID, who.PasswordHash, secret.String(rehashed))
		}
		grants, err := s.Roles.RolesOf(ctx, tx, who.ID)
		if err != nil {
			return fmt.Errorf("read roles: %w", err)
		}
		signed.Roles = grants.Names()
		signed.Session, signed.RefreshToken, err = s.Sessions.StartTx(ctx, tx, session.NewSession{
			UserID: who.ID, ClientID: c.ClientID, Delivery: c.Delivery, IP: by.Origin.IP, UserAgent: by.Origin.UserAgent,
			AMR: []string{"pwd"}, Privileged: len(grants.Permissions) > 0,
		})
		if err != nil {
			return err
		}
		signed.User.LastLoginAt = tx.Now()
		by := by
		by.Type, by.UserID = actor.User, who.ID
		return s.Audit.Append(ctx, tx, by, audit.Event{
			Action: Succeeded, Target: audit.Person(who.ID), SessionID: signed.Session.ID, Reason: "password",
		})
	})
	if errors.Is(err, identity.ErrChanged) {
		// Suspended, deleted or given another password while the hash ran.
		return SignedIn{}, s.refuse(ctx, by, c, who.User, ErrCredentials)
	}
	if err != nil {
		return SignedIn{}, fmt.Errorf("start a session: %w", err)
	}
	s.Users.Forget(who.ID) // the time of the last sign-in moved
	return s.issue(signed)
}

// issue signs the access token of a session.
func (s *Service) issue(signed SignedIn) (SignedIn, error) {
	raw, claims, err := s.Tokens.Issue(token.Grant{
		UserID: signed.User.ID, SessionID: signed.Session.ID, ClientID: signed.Session.ClientID, Roles: signed.Roles,
		AMR: signed.Session.AMR, AuthTime: signed.Session.AuthTime, Epoch: signed.User.Epoch,
	})
	if err != nil {
		return SignedIn{}, fmt.Errorf("issue an access token: %w", err)
	}
	signed.AccessToken, signed.ExpiresIn = raw, claims.ExpiresAt.Sub(claims.IssuedAt)
	if signed.CSRFToken, err = s.Sessions.CSRFToken(signed.Session.ID); err != nil {
		return SignedIn{}, fmt.Errorf("make a CSRF token: %w", err)
	}
	return signed, nil
}

// outcome names an error for the metric of sign-ins.
func outcome(err error) string {
	if err == nil {
		return "success"
	}
	if e, ok := errors.AsType[*errs.Error](err); ok {
		return e.Code
	}
	return "error"
}
