package signup

import (
	"context"
	"fmt"

	"gatehouse/internal/actor"
	"gatehouse/internal/audit"
	"gatehouse/internal/identity"
	"gatehouse/internal/link"
	"gatehouse/internal/password"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/secret"
	"gatehouse/internal/rbac"
)

const setupLock = "gatehouse first administrator"

// SetupLink makes the one-time secret with which the first administrator is
// made, or returns none where there is one. It voids the one before.
func (s *Service) SetupLink(ctx context.Context) (token secret.String, err error) {
	err = s.DB.Tx(ctx, func(tx *db.Tx) error {
		token = ""
		has, err := s.Roles.HasAdministrator(ctx, tx)
		if err != nil || has {
			return err
		}
		link.VoidTx(tx, link.Setup, actor.UserID{})
		token, _ = link.IssueTx(tx, link.Setup, link.Link{})
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("make the set-up link: %w", err)
	}
	return token, nil
}

// Setup makes the first administrator with the one-time secret (PW-9). It
// returns link.ErrInvalid where that was used, or what is wrong with the
// submitted fields, which uses nothing up.
func (s *Service) Setup(ctx context.Context, by actor.Actor, token secret.String, email string, pw secret.String) error {
	// Only the holder of the secret may cost us a hash.
	if err := link.Require(ctx, s.DB, link.Setup, token, s.Now()); err != nil {
		return err
	}
	n, err := s.administrator(ctx, email, pw)
	if err != nil {
		return err
	}
	return s.DB.Tx(ctx, func(tx *db.Tx) error {
		if _, err := link.UseTx(ctx, tx, link.Setup, token); err != nil {
			return err
		}
		made, err := s.makeFirst(ctx, tx, by, n, "setup_link")
		if err == nil && !made {
			return link.ErrInvalid
		}
		return err
	})
}

// EnsureAdministrator makes the administrator that the environment names, where
// there is none. Of nodes that start at once, one does.
func (s *Service) EnsureAdministrator(ctx context.Context, email string, pw secret.String) (made bool, err error) {
	if has, err := s.Roles.HasAdministrator(ctx, s.DB); err != nil || has {
		return false, err
	}
	n, err := s.administrator(ctx, email, pw)
	if err != nil {
		return false, err
	}
	err = s.DB.Tx(ctx, func(tx *db.Tx) error {
		made, err = s.makeFirst(ctx, tx, actor.ForSystem("first start"), n, "environment")
		return err
	})
	return made, err
}

func (s *Service) administrator(ctx context.Context, email string, pw secret.String) (identity.NewUser, error) {
	n := identity.NewUser{Email: email, EmailVerified: true, PasswordHash: "pending"}
	if err := n.Check(); err != nil {
		return n, err
	}
	if err := s.Passwords.Check(ctx, pw, password.Context{Email: email}); err != nil {
		return n, err
	}
	hash, err := s.Passwords.Hash(ctx, pw)
	n.PasswordHash = secret.String(hash)
	return n, err
}

// makeFirst does nothing where there is an administrator already, or one is
// being made in this moment.
func (s *Service) makeFirst(
	ctx context.Context, tx *db.Tx, by actor.Actor, n identity.NewUser, reason string,
) (made bool, err error) {
	if mine, err := tx.TryLock(ctx, setupLock); err != nil || !mine {
		return false, err
	}
	if has, err := s.Roles.HasAdministrator(ctx, tx); err != nil || has {
		return false, err
	}
	u, err := s.Users.Insert(ctx, tx, n)
	if err != nil {
		return false, err
	}
	system := actor.ForSystem("first start")
	if _, err := s.Roles.GrantTx(ctx, tx, system, u.ID, "roles", []string{rbac.Admin}); err != nil {
		return false, fmt.Errorf("make the administrator: %w", err)
	}
	return true, s.Audit.Append(ctx, tx, by, audit.Event{
		Action: Registered, Target: audit.Person(u.ID), Reason: reason,
		Changes: map[string]audit.Change{"email": {To: u.Email}, "roles": {To: []string{rbac.Admin}}},
	})
}
