package session

import (
	"encoding/base64"
	"strings"

	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/secret"
)

// CSRFToken returns the companion of the session's refresh cookie: the key's
// id and the HMAC of the session's id (CK-5). It lives as long as the session.
func (s *Service) CSRFToken(id ID) (string, error) {
	key, err := s.keys.Current(keyring.CSRF)
	if err != nil {
		return "", err
	}
	return csrfToken(key.ID, key.Key, id), nil
}

// VerifyCSRF returns ErrCSRF unless token is the companion of the session that
// the refresh token claims. It reads and writes nothing, so a refused request
// rotates nothing; a forged claim ends at RotateTx or Verify.
func (s *Service) VerifyCSRF(refresh secret.String, token string) error {
	id, err := Claimed(refresh)
	if err != nil {
		return err
	}
	keyID, _, ok := strings.Cut(token, ".")
	if !ok {
		return ErrCSRF
	}
	key, err := s.keys.ByID(keyring.CSRF, keyID)
	if err != nil {
		return ErrCSRF.With(err)
	}
	if !secret.Equal([]byte(token), []byte(csrfToken(keyID, key, id))) {
		return ErrCSRF
	}
	return nil
}

func csrfToken(keyID string, key secret.Key, id ID) string {
	mac := key.MAC([]byte("csrf"), id[:])
	return keyID + "." + base64.RawURLEncoding.EncodeToString(mac[:])
}
