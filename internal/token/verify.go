package token

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/maypok86/otter/v2"

	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/id"
)

const (
	// maxLen is the longest token that is looked at.
	maxLen = 4 << 10
	// memory bounds what a Verifier remembers, in bytes, about.
	memory = 16 << 20
)

// Verifier checks access tokens. It remembers those that were right, so that a
// signature is computed once. It is safe for concurrent use.
type Verifier struct {
	keys     *keyring.Keyring
	cfg      Config
	now      func() time.Time
	verified *otter.Cache[[sha256.Size]byte, verified]
}

// verified is a token whose signature and form are right.
type verified struct {
	claims Claims
	key    string // the kid: once it is withdrawn, the token is refused
}

// NewVerifier returns a Verifier, or an error if cfg is not usable.
func NewVerifier(keys *keyring.Keyring, cfg Config, now func() time.Time) (*Verifier, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	cache, err := otter.New(&otter.Options[[sha256.Size]byte, verified]{
		MaximumWeight: memory,
		Weigher:       weigh,
	})
	if err != nil {
		return nil, fmt.Errorf("token: memory for verified tokens: %w", err)
	}
	return &Verifier{keys: keys, cfg: cfg, now: now, verified: cache}, nil
}

// weigh returns about how many bytes an entry takes.
func weigh(_ [sha256.Size]byte, v verified) uint32 {
	const fixed, text = 640, 16
	n := fixed + len(v.claims.Scope) + len(v.claims.ClientID)
	for _, s := range v.claims.Roles {
		n += text + len(s)
	}
	for _, s := range v.claims.AMR {
		n += text + len(s)
	}
	return uint32(n) // far below 2³²: a token has at most maxLen bytes
}

// Verify returns what raw says if this installation issued it for itself and
// its time is not over. It returns ErrInvalid or ErrExpired, or the error that
// kept it from knowing which keys are withdrawn.
func (v *Verifier) Verify(ctx context.Context, raw string) (Claims, error) {
	if len(raw) > maxLen {
		return Claims{}, ErrInvalid
	}
	sum := sha256.Sum256([]byte(raw))
	if t, ok := v.verified.GetIfPresent(sum); ok {
		return v.recheck(ctx, sum, t)
	}
	head, ok := wellFormed(raw)
	if !ok {
		return Claims{}, ErrInvalid
	}
	key, err := v.key(ctx, head)
	if err != nil {
		return Claims{}, err
	}
	claims, err := v.open(raw, key)
	if err != nil {
		return Claims{}, err
	}
	if err := claims.check(v.now()); err != nil {
		return Claims{}, err
	}
	v.verified.Set(sum, verified{claims: claims, key: key.ID})
	return claims, nil
}

// recheck asks again what may have changed since the signature was computed.
func (v *Verifier) recheck(ctx context.Context, sum [sha256.Size]byte, t verified) (Claims, error) {
	err := t.claims.check(v.now())
	if err == nil {
		_, err = v.find(ctx, t.key)
	}
	if err != nil {
		v.verified.Invalidate(sum)
		return Claims{}, err
	}
	return t.claims, nil
}

// wellFormed returns the first of exactly three parts in the alphabet of
// base64url, which decoders read more generously than RFC 7515 allows.
func wellFormed(raw string) (head string, ok bool) {
	dots := 0
	for i := range len(raw) {
		switch c := raw[i]; {
		case c == '.':
			dots++
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return "", false
		}
	}
	head, _, _ = strings.Cut(raw, ".")
	return head, dots == 2
}

// key returns the key that head names, if head is what Gatehouse writes for it.
func (v *Verifier) key(ctx context.Context, head string) (keyring.SigningKey, error) {
	text, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return keyring.SigningKey{}, ErrInvalid
	}
	var h struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
		Type      string `json:"typ"`
	}
	if err := json.Unmarshal(text, &h, json.RejectUnknownMembers(true)); err != nil {
		return keyring.SigningKey{}, ErrInvalid
	}
	// An unknown kid makes the keyring look in the database, so it must at
	// least be one that could exist.
	if _, err := id.Parse[keyring.Label](h.KeyID); err != nil || h.Type != typ {
		return keyring.SigningKey{}, ErrInvalid
	}
	key, err := v.find(ctx, h.KeyID)
	if err != nil {
		return keyring.SigningKey{}, err
	}
	if head != header(key) {
		return keyring.SigningKey{}, ErrInvalid
	}
	return key, nil
}

func (v *Verifier) find(ctx context.Context, kid string) (keyring.SigningKey, error) {
	key, err := v.keys.Find(ctx, keyring.AccessToken, kid)
	if errors.Is(err, keyring.ErrNoKey) {
		return key, ErrInvalid
	}
	return key, err
}

// open checks the signature and reads the claims.
func (v *Verifier) open(raw string, key keyring.SigningKey) (Claims, error) {
	signed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(key.Algorithm)})
	if err != nil {
		return Claims{}, ErrInvalid
	}
	body, err := signed.Verify(key.Public)
	if err != nil {
		return Claims{}, ErrInvalid
	}
	return decode(body, v.cfg)
}
