package token

import (
	"encoding/json"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/internal/keyring"
)

// JWKSMaxAge is how long others may cache what JWKS returns: the `max-age` of
// its Cache-Control. A next key is published at least twice as long before its use.
const JWKSMaxAge = keyring.JWKSMaxAge

// JWKSType is the media type of what JWKS returns (RFC 7517, section 8.5).
const JWKSType = "application/jwk-set+json"

// JWKS returns the document of the keys that verify access tokens, the next
// one among them (RFC 7517).
func JWKS(keys *keyring.Keyring) ([]byte, error) {
	published := keys.Published(keyring.AccessToken)
	set := jose.JSONWebKeySet{Keys: make([]jose.JSONWebKey, 0, len(published))}
	for _, k := range published {
		set.Keys = append(set.Keys, jose.JSONWebKey{
			Key: k.Public, KeyID: k.ID, Algorithm: string(k.Algorithm), Use: "sig",
		})
	}
	doc, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("render the published keys: %w", err)
	}
	return doc, nil
}
