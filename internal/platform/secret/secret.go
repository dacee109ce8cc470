// Package secret makes, hashes, seals and compares what must not be guessed
// or read: random tokens, symmetric keys and text that never prints.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"log/slog"
)

// ErrOpen is returned when a sealed value was not sealed with this key and
// this associated data, or was altered.
var ErrOpen = errors.New("secret: sealed value does not open")

// redacted stands wherever a secret would be printed.
const redacted = "[redacted]"

// String is text that prints, logs and marshals as "[redacted]".
type String string

// Reveal returns the text itself. Call it only where the text is used.
func (s String) Reveal() string { return string(s) }

// String returns "[redacted]".
func (String) String() string { return redacted }

// GoString returns "[redacted]".
func (String) GoString() string { return redacted }

// LogValue returns "[redacted]".
func (String) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]", so that no encoder writes the text.
func (String) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Key is a symmetric key of 256 bits.
type Key [32]byte

// NewKey returns a random key.
func NewKey() Key {
	var k Key
	_, _ = rand.Read(k[:])
	return k
}

// String returns "[redacted]".
func (Key) String() string { return redacted }

// GoString returns "[redacted]".
func (Key) GoString() string { return redacted }

// LogValue returns "[redacted]".
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]", so that no encoder writes the key.
func (Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Derive returns the key for one purpose (HKDF-SHA-256, RFC 5869).
func (k Key) Derive(purpose string) Key {
	out, err := hkdf.Key(sha256.New, k[:], nil, purpose, len(Key{}))
	if err != nil {
		panic("secret: hkdf: " + err.Error()) // only for an impossible length
	}
	return Key(out)
}

// MAC returns HMAC-SHA-256 of the parts, each preceded by its length so that
// no two lists of parts collide.
func (k Key) MAC(parts ...[]byte) [32]byte {
	m := hmac.New(sha256.New, k[:])
	var n [8]byte
	for _, p := range parts {
		for i := range n {
			n[i] = byte(len(p) >> (56 - 8*i))
		}
		m.Write(n[:])
		m.Write(p)
	}
	return [32]byte(m.Sum(nil))
}

// Seal encrypts with AES-256-GCM under a random nonce, which it puts in front.
// The same aad is needed to open it: name the table, column and row in it, so
// that a sealed value cannot be moved (PRV-1).
func (k Key) Seal(plaintext, aad []byte) []byte {
	aead := k.aead()
	out := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plaintext)+aead.Overhead())
	_, _ = rand.Read(out)
	return aead.Seal(out, out, plaintext, aad)
}

// Open decrypts what Seal returned, or returns ErrOpen.
func (k Key) Open(sealed, aad []byte) ([]byte, error) {
	aead := k.aead()
	if len(sealed) < aead.NonceSize() {
		return nil, ErrOpen
	}
	plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], aad)
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

func (k Key) aead() cipher.AEAD {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic("secret: aes: " + err.Error()) // only for an impossible key length
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("secret: gcm: " + err.Error()) // only for an impossible block size
	}
	return aead
}

// tokenLen is the length of 256 bits in base64url without padding.
const tokenLen = 43

// NewToken returns prefix and 256 random bits in base64url. The prefix names
// the kind of token, so that one kind is refused where another is wanted
// (TOK-3, TOK-4).
func NewToken(prefix string) String {
	k := NewKey()
	return String(prefix + base64.RawURLEncoding.EncodeToString(k[:]))
}

// IsToken reports whether s has the exact form that NewToken(prefix) makes.
func IsToken(prefix, s string) bool {
	if len(s) != len(prefix)+tokenLen || s[:len(prefix)] != prefix {
		return false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s[len(prefix):])
	return err == nil && len(raw) == len(Key{})
}

// Hash returns the SHA-256 of a token of high entropy, the only form in which
// one is stored.
func Hash(token String) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// Equal compares in constant time.
func Equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
