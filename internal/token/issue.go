package token

import (
	"encoding/base64"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/id"
	"gatehouse/internal/platform/secret"
)

// typ is the header of the kind of token that this package makes (RFC 9068).
const typ = "at+jwt"

// Issuer makes access tokens. It is safe for concurrent use.
type Issuer struct {
	keys *keyring.Keyring
	cfg  Config
	now  func() time.Time
}

// NewIssuer returns an Issuer, or an error if cfg is not usable.
func NewIssuer(keys *keyring.Keyring, cfg Config, now func() time.Time) (*Issuer, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Issuer{keys: keys, cfg: cfg, now: now}, nil
}

// Issue signs a token that says g with the active key, and returns it with
// what it says.
func (i *Issuer) Issue(g Grant) (secret.String, Claims, error) {
	key, err := i.keys.Signing(keyring.AccessToken)
	if err != nil {
		return "", Claims{}, err
	}
	now := i.now()
	issued := now.UTC().Truncate(time.Second)
	c := Claims{
		Grant: g, ID: id.New[Label](now), Issuer: i.cfg.Issuer, Audience: i.cfg.Audience,
		IssuedAt: issued, ExpiresAt: issued.Add(i.cfg.TTL),
	}
	raw, err := sign(key, c)
	if err != nil {
		return "", Claims{}, fmt.Errorf("sign an access token: %w", err)
	}
	return secret.String(raw), c, nil
}

func sign(key keyring.SigningKey, c Claims) (string, error) {
	body, err := c.encode()
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{
			Algorithm: jose.SignatureAlgorithm(key.Algorithm),
			Key:       jose.JSONWebKey{Key: key.Signer, KeyID: key.ID},
		},
		(&jose.SignerOptions{}).WithType(typ))
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(body)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// header is the first part of every token that key signs.
func header(key keyring.SigningKey) string {
	return base64.RawURLEncoding.EncodeToString(
		[]byte(`{"alg":"` + string(key.Algorithm) + `","kid":"` + key.ID + `","typ":"` + typ + `"}`))
}
