// Package link owns the one-time tokens that travel in mailed links: they
// prove that somebody reads the mail of an address, or sits at the terminal
// where the program printed one.
//
// A link works once, for its purpose, until it expires. The row is deleted by
// the statement that uses it, so of parallel uses one succeeds (TOK-5). A link
// may carry a password, which comes into force with its use: so what a stranger
// chose in somebody's name stays with the stranger's link (REC-6).
package link

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/secret"
)

// ErrInvalid is returned for a link that is wrong, used or out of date.
var ErrInvalid = errs.New(errs.Malformed, "invalid_link",
	"This link is wrong, was used already, or is out of date. Ask for a new one.")

// Purpose is what a link is good for.
type Purpose string

// The purposes.
const (
	VerifyEmail Purpose = "verify_email"
	Setup       Purpose = "setup" // make the first administrator (PW-9)
)

// TTL returns how long a link of the purpose works.
func (p Purpose) TTL() time.Duration {
	return 24 * time.Hour
}

// prefix makes the tokens of one purpose useless for another (TOK-3).
func (p Purpose) prefix() string {
	if p == Setup {
		return "ghs_"
	}
	return "ghv_"
}

// Link is what a token stands for.
type Link struct {
	UserID actor.UserID // zero: of nobody
	Email  string       // canonical, as it was when the link was made
	// PasswordHash is the password that using the link puts in force; "": none.
	PasswordHash secret.String
}

// IssueTx makes a link. Older ones go on working; see VoidTx.
func IssueTx(tx *db.Tx, p Purpose, l Link) (token secret.String, expires time.Time) {
	token = secret.NewToken(p.prefix())
	expires = tx.Now().Add(p.TTL())
	tx.Queue(`INSERT INTO links (hash, purpose, user_id, email, password_hash, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		secret.Hash(token), string(p), l.UserID, l.Email, l.PasswordHash.Reveal(), tx.Now(), expires)
	return token, expires
}

// VoidTx makes every link of the person and purpose useless.
func VoidTx(tx *db.Tx, p Purpose, u actor.UserID) {
	tx.Queue(`DELETE FROM links WHERE purpose = $1 AND user_id IS NOT DISTINCT FROM $2`, string(p), u)
}

// UseTx uses a link up, or returns ErrInvalid.
func UseTx(ctx context.Context, tx *db.Tx, p Purpose, token secret.String) (Link, error) {
	if !secret.IsToken(p.prefix(), token.Reveal()) {
		return Link{}, ErrInvalid
	}
	l, err := scan(tx.QueryRow(ctx, `DELETE FROM links WHERE hash = $1 AND purpose = $2 AND expires_at > $3
		RETURNING user_id, email, COALESCE(password_hash, '')`, secret.Hash(token), string(p), tx.Now()))
	if errors.Is(err, db.ErrNoRows) {
		return Link{}, ErrInvalid
	}
	if err != nil {
		return Link{}, fmt.Errorf("use a link: %w", err)
	}
	return l, nil
}

// Require returns ErrInvalid unless the link could be used now. It uses
// nothing up: it keeps those who have no link from costing more.
func Require(ctx context.Context, q db.Querier, p Purpose, token secret.String, now time.Time) error {
	if !secret.IsToken(p.prefix(), token.Reveal()) {
		return ErrInvalid
	}
	var one int
	err := q.QueryRow(ctx, `SELECT 1 FROM links WHERE hash = $1 AND purpose = $2 AND expires_at > $3`,
		secret.Hash(token), string(p), now).Scan(&one)
	if errors.Is(err, db.ErrNoRows) {
		return ErrInvalid
	}
	return err
}

// Newest returns what the newest link of a person and purpose stands for, or
// ErrInvalid if none works any more.
func Newest(ctx context.Context, tx *db.Tx, p Purpose, u actor.UserID) (Link, error) {
	l, err := scan(tx.QueryRow(ctx, `SELECT user_id, email, COALESCE(password_hash, '') FROM links
		WHERE user_id = $1 AND purpose = $2 AND expires_at > $3 ORDER BY created_at DESC LIMIT 1`, u, string(p), tx.Now()))
	if errors.Is(err, db.ErrNoRows) {
		return Link{}, ErrInvalid
	}
	return l, err
}

func scan(row *db.Row) (Link, error) {
	var l Link
	var hash string
	err := row.Scan(&l.UserID, &l.Email, &hash)
	l.PasswordHash = secret.String(hash)
	return l, err
}

// Purge deletes links that expired.
func Purge(ctx context.Context, d *db.DB) error {
	return d.Tx(ctx, func(tx *db.Tx) error {
		tx.Queue(`DELETE FROM links WHERE expires_at < $1`, tx.Now())
		return nil
	})
}
