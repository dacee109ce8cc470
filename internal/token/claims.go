package token

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"gatehouse/internal/actor"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/id"
)

const (
	// MaxTTL is the life of a token, and the longest that may be configured (TOK-1).
	MaxTTL = 15 * time.Minute
	// Leeway is by how much the clocks of two nodes may differ (TOK-2).
	Leeway = 30 * time.Second
)

var (
	// ErrInvalid is returned for what is not a token of this installation. It
	// never says why, so that nobody can feel their way to one.
	ErrInvalid = errs.New(errs.Unauthenticated, "token_invalid", "The access token is not valid.")
	// ErrExpired is returned for a genuine token whose time is over.
	ErrExpired = errs.New(errs.Unauthenticated, "token_expired", "The access token has expired.")
)

// Config is what an operator sets. Issuer is required.
type Config struct {
	Issuer   string        // the public URL
	Audience string        // default: Issuer
	TTL      time.Duration // default and most: MaxTTL
}

func (c Config) withDefaults() (Config, error) {
	if c.Issuer == "" {
		return c, fmt.Errorf("token: no issuer is configured")
	}
	if c.Audience == "" {
		c.Audience = c.Issuer
	}
	if c.TTL == 0 {
		c.TTL = MaxTTL
	}
	if c.TTL < time.Minute || c.TTL > MaxTTL {
		return c, fmt.Errorf("token: the life of a token must be between %s and %s", time.Minute, MaxTTL)
	}
	return c, nil
}

// Label tags the identifiers of tokens.
type Label struct{}

// ID identifies a token. It is the claim `jti`.
type ID = id.ID[Label]

// Grant is what a token is asked to say.
type Grant struct {
	UserID    actor.UserID
	SessionID actor.SessionID
	ClientID  string
	Roles     []string // a hint for others; Gatehouse decides by the database
	Scope     string
	AMR       []string
	AuthTime  time.Time
	Epoch     int64 // of the person, when the token was issued
}

// Claims is what a token says. Its slices must not be changed.
type Claims struct {
	Grant
	ID        ID
	Issuer    string
	Audience  string
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// payload is the form of Claims in a token.
type payload struct {
	Issuer    string          `json:"iss"`
	Subject   actor.UserID    `json:"sub"`
	Audience  string          `json:"aud"`
	ExpiresAt int64           `json:"exp"`
	NotBefore int64           `json:"nbf"`
	IssuedAt  int64           `json:"iat"`
	ID        ID              `json:"jti"`
	SessionID actor.SessionID `json:"sid"`
	ClientID  string          `json:"client_id"`
	Roles     []string        `json:"roles"`
	Scope     string          `json:"scope"`
	AMR       []string        `json:"amr"`
	AuthTime  int64           `json:"auth_time"`
	Epoch     int64           `json:"epoch"`
}

func (c Claims) encode() ([]byte, error) {
	b, err := json.Marshal(payload{
		Issuer: c.Issuer, Subject: c.UserID, Audience: c.Audience,
		ExpiresAt: c.ExpiresAt.Unix(), NotBefore: c.IssuedAt.Unix(), IssuedAt: c.IssuedAt.Unix(),
		ID: c.ID, SessionID: c.SessionID, ClientID: c.ClientID,
		Roles: c.Roles, Scope: c.Scope, AMR: c.AMR, AuthTime: c.AuthTime.Unix(), Epoch: c.Epoch,
	})
	if err != nil {
		return nil, fmt.Errorf("encode claims: %w", err)
	}
	return b, nil
}

// decode reads the claims of a token whose signature is right. Claims that it
// does not know are left alone, so that a newer version may add some.
func decode(b []byte, cfg Config) (Claims, error) {
	var p payload
	if err := json.Unmarshal(b, &p); err != nil {
		return Claims{}, ErrInvalid
	}
	life := p.ExpiresAt - p.IssuedAt
	if p.Issuer != cfg.Issuer || p.Audience != cfg.Audience ||
		p.Subject.IsZero() || p.SessionID.IsZero() || p.ID.IsZero() ||
		p.IssuedAt <= 0 || p.NotBefore != p.IssuedAt || life <= 0 || life > int64(MaxTTL/time.Second) {
		return Claims{}, ErrInvalid
	}
	return Claims{
		Grant: Grant{
			UserID: p.Subject, SessionID: p.SessionID, ClientID: p.ClientID,
			Roles: p.Roles, Scope: p.Scope, AMR: p.AMR, AuthTime: time.Unix(p.AuthTime, 0).UTC(), Epoch: p.Epoch,
		},
		ID: p.ID, Issuer: p.Issuer, Audience: p.Audience,
		IssuedAt: time.Unix(p.IssuedAt, 0).UTC(), ExpiresAt: time.Unix(p.ExpiresAt, 0).UTC(),
	}, nil
}

// check refuses a token outside its time.
func (c Claims) check(now time.Time) error {
	switch {
	case now.Before(c.IssuedAt.Add(-Leeway)):
		return ErrInvalid
	case !now.Before(c.ExpiresAt.Add(Leeway)):
		return ErrExpired
	}
	return nil
}
