// Package signup is the journey of a person who has no account yet: register,
// prove the address, and, on an empty installation, become its administrator.
//
// To a stranger every registration looks the same, whether or not the address
// has an account; only the mail that follows differs (LIM-6).
package signup

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/audit"
	"gatehouse/internal/identity"
	"gatehouse/internal/link"
	"gatehouse/internal/notify"
	"gatehouse/internal/password"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/secret"
	"gatehouse/internal/rbac"
	"gatehouse/internal/throttle"
)

// The actions of this package in the log.
const (
	Registered    audit.Action = "user.created"
	EmailVerified audit.Action = "email.verified"
)

// ErrClosed is returned where nobody may register.
var ErrClosed = errs.New(errs.Forbidden, "forbidden", "Registration is closed. Ask an administrator for an account.")

// mailsPerAddress is how many mails strangers can send to one address.
func mailsPerAddress() throttle.Limit { return throttle.Limit{Max: 3, Window: time.Hour} }

// Mode says who may register.
type Mode string

// The modes. With Closed only administrators make accounts.
const (
	Open   Mode = "open"
	Closed Mode = "closed"
)

// Config says how the journey behaves. Its zero value lets nobody register.
type Config struct {
	Registration Mode
}

// Digests turns what strangers type into keys that tell nothing.
type Digests interface {
	AccountDigest(identifier string) ([32]byte, error)
}

// Deps are what the journey needs.
type Deps struct {
	DB        *db.DB
	Users     *identity.Service
	Passwords *password.Service
	Roles     *rbac.Service
	Audit     *audit.Log
	Notify    *notify.Notifier
	Limits    *throttle.Limiter
	Digests   Digests
	Now       func() time.Time
}

// Service makes accounts. It is safe for concurrent use.
type Service struct {
	Deps
	cfg   Config
	setUp atomic.Bool // somebody administers this installation
}

// New returns the journey.
func New(d Deps, c Config) *Service { return &Service{Deps: d, cfg: c} }

// Registration is what somebody submits about themselves.
type Registration struct {
	Email     string
	Password  secret.String
	Username  string
	FirstName string
	LastName  string
}

// Register makes an account whose address is not proven and mails the link
// that proves it. If the address has an account, its owner is told by mail
// instead. It returns ErrClosed, also before there is an administrator, or what
// is wrong with the submitted fields; a taken username is told whatever the
// address, since it is public by nature.
func (s *Service) Register(ctx context.Context, by actor.Actor, r Registration) error {
	if err := s.requireOpen(ctx); err != nil {
		return err
	}
	n := identity.NewUser{
		Email: r.Email, Username: r.Username, FirstName: r.FirstName, LastName: r.LastName, PasswordHash: "pending",
	}
	if err := n.Check(); err != nil {
		return err
	}
	if err := s.Passwords.Check(ctx, r.Password, password.Context{Email: r.Email, Username: r.Username}); err != nil {
		return err
	}
	hash, err := s.Passwords.Hash(ctx, r.Password)
	if err != nil {
		return err
	}
	n.PasswordHash = secret.String(hash)
	mails, err := s.mayMail(ctx, r.Email)
	if err != nil {
		return err
	}
	err = s.DB.Tx(ctx, func(tx *db.Tx) error { return s.register(ctx, tx, by, n, mails) })
	if errors.Is(err, identity.ErrEmailTaken) {
		return nil // somebody registered it in the same moment, and gets the mail
	}
	return err
}

// requireOpen lets nobody register before there is an administrator, so that no
// stranger is the first on a fresh installation.
func (s *Service) requireOpen(ctx context.Context) error {
	if s.cfg.Registration != Open {
		return ErrClosed
	}
	if s.setUp.Load() {
		return nil
	}
	has, err := s.Roles.HasAdministrator(ctx, s.DB)
	if err != nil {
		return fmt.Errorf("look for an administrator: %w", err)
	}
	if !has {
		return ErrClosed
	}
	s.setUp.Store(true)
	return nil
}

// mayMail reports whether the address may be written to once more.
func (s *Service) mayMail(ctx context.Context, email string) (bool, error) {
	canonical, ok := identity.CanonicalEmail(email)
	if !ok {
		return false, nil
	}
	digest, err := s.Digests.AccountDigest(canonical)
	if err != nil {
		return false, err
	}
	return s.Limits.Allow(ctx, throttle.ByAccount(digest, "mail"), mailsPerAddress()).Allowed, nil
}

func (s *Service) register(ctx context.Context, tx *db.Tx, by actor.Actor, n identity.NewUser, mails bool) error {
	if n.Username != "" {
		switch _, err := s.Users.FindLogin(ctx, tx, n.Username); {
		case err == nil:
			return identity.ErrUsernameTaken
		case !errors.Is(err, identity.ErrNotFound):
			return fmt.Errorf("look for the username: %w", err)
		}
	}
	known, err := s.Users.FindLogin(ctx, tx, n.Email)
	switch {
	case err == nil && known.EmailVerified:
		if !mails {
			return nil
		}
		return s.Notify.AccountExists(tx, notify.Person{Email: known.Email})
	case err == nil:
		return s.registerAgain(tx, known.User, n, mails)
	case !errors.Is(err, identity.ErrNotFound):
		return fmt.Errorf("look for the address: %w", err)
	}
	u, err := s.Users.Insert(ctx, tx, n)
	if err != nil {
		return err
	}
	if err := s.sendLink(tx, u, n.PasswordHash, mails); err != nil {
		return err
	}
	return s.Audit.Append(ctx, tx, by, audit.Event{
		Action: Registered, Target: audit.Person(u.ID), Reason: "registration",
		Changes: map[string]audit.Change{"email": {To: u.Email}},
	})
}

// registerAgain mails a link that carries the new password, and changes nothing
// yet: which of several registrations of an unproven address is its owner's is
// decided by the link that the owner uses (REC-6).
func (s *Service) registerAgain(tx *db.Tx, known identity.User, n identity.NewUser, mails bool) error {
	if known.Status != identity.Active {
		return nil
	}
	return s.sendLink(tx, known, n.PasswordHash, mails)
}

func (s *Service) sendLink(tx *db.Tx, u identity.User, hash secret.String, mails bool) error {
	if !mails {
		return nil
	}
	canonical, _ := identity.CanonicalEmail(u.Email)
	token, expires := link.IssueTx(tx, link.VerifyEmail, link.Link{UserID: u.ID, Email: canonical, PasswordHash: hash})
	return s.Notify.Verification(tx, notify.Person{Email: u.Email}, token, expires)
}

// ResendVerification mails a new link to an address that waits for its proof,
// and nothing to any other. It tells nobody which of the two it was.
func (s *Service) ResendVerification(ctx context.Context, email string) error {
	mails, err := s.mayMail(ctx, email)
	if err != nil || !mails {
		return err
	}
	return s.DB.Tx(ctx, func(tx *db.Tx) error {
		known, err := s.Users.FindLogin(ctx, tx, email)
		if errors.Is(err, identity.ErrNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look for the address: %w", err)
		}
		if known.EmailVerified || known.Status != identity.Active {
			return nil
		}
		newest, err := link.Newest(ctx, tx, link.VerifyEmail, known.ID)
		if err != nil && !errors.Is(err, link.ErrInvalid) {
			return fmt.Errorf("look for the last link: %w", err)
		}
		return s.sendLink(tx, known.User, newest.PasswordHash, true)
	})
}

// VerifyEmail uses a mailed link up: the address is proven, the password of the
// link is in force, and every other link of the person is void. It returns
// link.ErrInvalid also when the address has changed since.
func (s *Service) VerifyEmail(ctx context.Context, by actor.Actor, token secret.String) error {
	var l link.Link
	err := s.DB.Tx(ctx, func(tx *db.Tx) (err error) {
		l, err = link.UseTx(ctx, tx, link.VerifyEmail, token)
		if err != nil {
			return err
		}
		changed, err := s.Users.VerifyEmail(ctx, tx, l.UserID, l.Email)
		if err != nil {
			return fmt.Errorf("mark the address as proven: %w", err)
		}
		if !changed {
			return link.ErrInvalid
		}
		link.VoidTx(tx, link.VerifyEmail, l.UserID)
		if l.PasswordHash != "" {
			if err := s.Users.SetPassword(ctx, tx, l.UserID, l.PasswordHash, false); err != nil {
				return fmt.Errorf("put the password of the link in force: %w", err)
			}
		}
		return s.Audit.Append(ctx, tx, by, audit.Event{
			Action: EmailVerified, Target: audit.Person(l.UserID),
			Changes: map[string]audit.Change{"email_verified": {From: false, To: true}},
		})
	})
	s.Users.Forget(l.UserID)
	return err
}
