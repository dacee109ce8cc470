package password

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"strings"

	"gatehouse/internal/platform/bcrypt"
	"gatehouse/internal/platform/secret"
)

// NoPassword is stored for an account that has no password. It matches nothing.
const NoPassword = "!"

// scheme is the first field of the stored text: bcrypt over the base64 of
// HMAC-SHA-384 under a pepper.
const scheme = "gh1$"

// stored is the parsed form of what the user's row holds:
// gh1$<pepper id>$2b$<cost>$<salt and sum>.
type stored struct {
	pepper string // its id
	hash   bcrypt.Hash
}

// parse reads stored text. It reports false for everything that no password
// can match: nothing, NoPassword, another scheme, a broken hash, or one that
// costs more than MaxCost and is therefore never run (PW-5).
func parse(text string) (stored, bool) {
	rest, ok := strings.CutPrefix(text, scheme)
	if !ok {
		return stored{}, false
	}
	pepper, _, ok := strings.Cut(rest, "$")
	if !ok {
		return stored{}, false
	}
	hash, err := bcrypt.Parse(rest[len(pepper):])
	if err != nil || hash.Cost() > MaxCost {
		return stored{}, false
	}
	return stored{pepper: pepper, hash: hash}, true
}

// String returns the text to store; with an id of up to 190 bytes it fits the
// column.
func (s stored) String() string { return scheme + s.pepper + s.hash.String() }

// digest returns what bcrypt gets instead of the password: 64 ASCII characters
// that depend on all of it and on the pepper.
func digest(pepper secret.Key, password secret.String) []byte {
	mac := hmac.New(sha512.New384, pepper[:])
	mac.Write([]byte(password.Reveal()))
	return base64.StdEncoding.AppendEncode(nil, mac.Sum(nil))
}
