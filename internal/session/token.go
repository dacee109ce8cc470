package session

import (
	"crypto/rand"
	"encoding/base64"

	"gatehouse/internal/platform/secret"
)

// A refresh token is the prefix and, in base64url, the 16 bytes of the
// session's id followed by 32 random ones: 64 characters without padding. The
// id lets the CSRF token be checked before the database is asked, and it can't
// be exchanged, since what is stored is the hash of the whole text.
const (
	refreshPrefix = "rt_"
	refreshLen    = len(refreshPrefix) + 64
)

// refreshToken is the parsed form.
type refreshToken struct {
	text      secret.String
	sessionID ID
	random    secret.Key
}

func newRefreshToken(id ID) refreshToken {
	var random secret.Key
	_, _ = rand.Read(random[:])
	raw := append(id[:], random[:]...)
	text := refreshPrefix + base64.RawURLEncoding.EncodeToString(raw)
	return refreshToken{text: secret.String(text), sessionID: id, random: random}
}

// parseRefreshToken returns ErrInvalid for text that newRefreshToken can't
// have made.
func parseRefreshToken(text secret.String) (refreshToken, error) {
	s := text.Reveal()
	if len(s) != refreshLen || s[:len(refreshPrefix)] != refreshPrefix {
		return refreshToken{}, ErrInvalid
	}
	t := refreshToken{text: text}
	raw, err := base64.RawURLEncoding.DecodeString(s[len(refreshPrefix):])
	// The decoder passes over line breaks, so the length counts as well.
	if err != nil || len(raw) != len(t.sessionID)+len(t.random) {
		return refreshToken{}, ErrInvalid
	}
	copy(t.sessionID[:], raw)
	copy(t.random[:], raw[len(t.sessionID):])
	if t.sessionID.IsZero() {
		return refreshToken{}, ErrInvalid
	}
	return t, nil
}

func (t refreshToken) hash() []byte { return secret.Hash(t.text) }

// sealSuccessor seals the token that takes t's place so that only t opens it.
func (t refreshToken) sealSuccessor(next refreshToken) []byte {
	return t.successorKey().Seal([]byte(next.text), t.successorAAD())
}

// openSuccessor returns what sealSuccessor sealed under t, or secret.ErrOpen
// where another token's successor, or none, is stored.
func (t refreshToken) openSuccessor(sealed []byte) (secret.String, error) {
	plain, err := t.successorKey().Open(sealed, t.successorAAD())
	return secret.String(plain), err
}

func (t refreshToken) successorKey() secret.Key {
	return t.random.Derive("gatehouse refresh token successor")
}

func (t refreshToken) successorAAD() []byte {
	return append([]byte("sessions.successor:"), t.sessionID[:]...)
}

// Claimed returns the session that a refresh token claims to belong to, or
// ErrInvalid for what has not the form of one. Nothing proves the claim until
// RotateTx or Verify has seen the token: it is good for limits and for
// VerifyCSRF.
func Claimed(refresh secret.String) (ID, error) {
	t, err := parseRefreshToken(refresh)
	return t.sessionID, err
}
