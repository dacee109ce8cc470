// Package notify writes to people. A message joins the transaction of what it
// tells about: it is queued as a job, so it goes out exactly if that change
// committed, once the mail server takes it, at least once. While it waits, its
// address and its link are sealed under the keyring's Mail key. Messages hold
// no text that a user typed, so nobody can write to strangers through them;
// links carry their token in the fragment, which no server sees (TOK-12), and
// begin with the configured public URL (REC-2).
package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/job"
	"gatehouse/internal/platform/mail"
	"gatehouse/internal/platform/secret"
)

// Deps is what a Notifier needs. All fields are required.
type Deps struct {
	Keys   *keyring.Keyring
	Sender mail.Sender
	Logger *slog.Logger
	Now    func() time.Time
}

// Config says what messages look like.
type Config struct {
	PublicURL *url.URL // base of every link; required
	Product   string   // what the installation calls itself; empty: Gatehouse
}

// Notifier queues messages and sends them. It is safe for concurrent use.
type Notifier struct {
	keys   *keyring.Keyring
	sender mail.Sender
	log    *slog.Logger
	now    func() time.Time
	base   *url.URL
	name   string
	texts  texts
}

// New returns a Notifier.
func New(d Deps, c Config) (*Notifier, error) {
	t, err := parseTexts()
	if err != nil {
		return nil, fmt.Errorf("parse mail texts: %w", err)
	}
	if c.Product == "" {
		c.Product = "Gatehouse"
	}
	return &Notifier{keys: d.Keys, sender: d.Sender, log: d.Logger, now: d.Now, base: c.PublicURL, name: c.Product, texts: t}, nil
}

// Person is who is written to.
type Person struct {
	Email  string // the stored address, never one that was just typed (REC-1)
	Locale string // BCP 47; what is not German is English
}

// Verification asks for proof of an address. The message is dropped if the
// link has expired before it could be sent.
func (n *Notifier) Verification(tx *db.Tx, to Person, token secret.String, expires time.Time) error {
	return n.enqueue(tx, letter{Kind: verification, Path: "/verify-email", Token: token.Reveal(), Expires: expires}, to)
}

// AccountExists answers a registration with an address that has an account:
// only its owner learns that it has (LIM-6).
func (n *Notifier) AccountExists(tx *db.Tx, to Person) error {
	return n.enqueue(tx, letter{Kind: accountExists, Path: "/"}, to)
}

// PasswordChanged tells of a new password (PW-8).
func (n *Notifier) PasswordChanged(tx *db.Tx, to Person) error {
	return n.enqueue(tx, letter{Kind: passwordChanged, Path: "/"}, to)
}

// RefreshTokenReused tells that a session was ended because its refresh token
// was used twice (TOK-7, REC-8).
func (n *Notifier) RefreshTokenReused(tx *db.Tx, to Person) error {
	return n.enqueue(tx, letter{Kind: refreshTokenReused, Path: "/"}, to)
}

// jobKind is the kind of the jobs of this package.
const jobKind = "notify.mail"

// letter is the sealed part of a job's payload.
type letter struct {
	Kind    kind      `json:"kind"`
	To      string    `json:"to"`
	Locale  string    `json:"locale,omitempty"`
	Path    string    `json:"path"`
	Token   string    `json:"token,omitempty"`
	At      time.Time `json:"at"`
	Expires time.Time `json:"expires,omitzero"`
}

// sealed is a job's payload.
type sealed struct {
	Key    string `json:"key"` // id of the keyring's Mail key
	Letter []byte `json:"letter"`
}

// aad binds a sealed letter to its column.
const aad = "jobs.payload " + jobKind

func (n *Notifier) enqueue(tx *db.Tx, l letter, to Person) error {
	l.To, l.Locale, l.At = to.Email, to.Locale, tx.Now()
	plain, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("queue %s: %w", l.Kind, err)
	}
	key, err := n.keys.Current(keyring.Mail)
	if err != nil {
		return fmt.Errorf("queue %s: %w", l.Kind, err)
	}
	payload, err := json.Marshal(sealed{Key: key.ID, Letter: key.Key.Seal(plain, []byte(aad))})
	if err != nil {
		return fmt.Errorf("queue %s: %w", l.Kind, err)
	}
	return job.Enqueue(tx, jobKind, payload, job.Options{})
}

// Register makes r send the queued messages. Call it before r runs.
func (n *Notifier) Register(r *job.Runner) { r.Handle(jobKind, n.send) }

func (n *Notifier) send(ctx context.Context, j job.Job) error {
	l, err := n.open(j.Payload)
	if err != nil {
		return err
	}
	if !l.Expires.IsZero() && !n.now().Before(l.Expires) {
		n.log.InfoContext(ctx, "mail dropped, its link has expired", "job", j.ID, "letter", string(l.Kind))
		return nil
	}
	m, err := n.render(l)
	if err != nil {
		return err
	}
	m.ID = j.ID.String()
	err = n.sender.Send(ctx, m)
	if errors.Is(err, mail.ErrRejected) || errors.Is(err, mail.ErrInvalid) {
		return errors.Join(job.ErrAbandon, err)
	}
	return err
}

func (n *Notifier) open(payload []byte) (letter, error) {
	var s sealed
	var l letter
	if err := json.Unmarshal(payload, &s); err != nil {
		return l, errors.Join(job.ErrAbandon, errors.New("notify: unreadable payload"))
	}
	// A key that this node has not heard of yet may be known at the next try.
	key, err := n.keys.ByID(keyring.Mail, s.Key)
	if err != nil {
		return l, fmt.Errorf("open mail: %w", err)
	}
	plain, err := key.Open(s.Letter, []byte(aad))
	if err != nil {
		return l, errors.Join(job.ErrAbandon, fmt.Errorf("open mail: %w", err))
	}
	if err := json.Unmarshal(plain, &l); err != nil {
		return l, errors.Join(job.ErrAbandon, errors.New("notify: unreadable letter"))
	}
	return l, nil
}
