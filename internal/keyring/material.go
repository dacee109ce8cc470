package keyring

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/secret"
)

// Algorithm is how a key is used: a signature algorithm of RFC 7518 or 8037,
// or A256 for a symmetric key.
type Algorithm string

// The algorithms.
const (
	RS256 Algorithm = "RS256"
	PS256 Algorithm = "PS256"
	ES256 Algorithm = "ES256"
	EdDSA Algorithm = "EdDSA"
	A256  Algorithm = "A256"
)

// ErrSpec is returned for an algorithm or a key size that cannot be chosen.
var ErrSpec = errs.New(errs.Invalid, "unknown_key_algorithm",
	"The algorithm must be RS256, PS256, ES256 or EdDSA; RS256/3072 and PS256/3072 choose the longer RSA key.")

// Spec says which kind of key to make. The zero value means: like the active one.
type Spec struct {
	Algorithm Algorithm
	Bits      int // of an RSA modulus, 2048 or 3072; 0 means 2048
}

// ParseSpec reads the form in which operators write a Spec, such as "ES256" or
// "RS256/3072". It returns ErrSpec for anything else.
func ParseSpec(s string) (Spec, error) {
	name, bits, long := strings.Cut(s, "/")
	spec := Spec{Algorithm: Algorithm(name)}
	if long {
		if spec.Algorithm != RS256 && spec.Algorithm != PS256 {
			return Spec{}, ErrSpec
		}
		n, err := strconv.Atoi(bits)
		if err != nil || n != 2048 && n != 3072 {
			return Spec{}, ErrSpec
		}
		spec.Bits = n
	}
	if !spec.signs() {
		return Spec{}, ErrSpec
	}
	return spec, nil
}

// signs reports whether keys of this kind sign.
func (s Spec) signs() bool {
	switch s.Algorithm {
	case RS256, PS256, ES256, EdDSA:
		return true
	case A256:
	}
	return false
}

// normal fills in what may be left out, so that equal kinds are equal values.
func (s Spec) normal() Spec {
	if (s.Algorithm == RS256 || s.Algorithm == PS256) && s.Bits == 0 {
		s.Bits = 2048
	}
	return s
}

// material is a key in a form that computes. One of symmetric and public is set.
type material struct {
	symmetric *secret.Key
	signer    crypto.Signer // nil once the private half is destroyed
	public    crypto.PublicKey
}

// newMaterial makes a key: an RSA one takes a good part of a second.
func newMaterial(s Spec) (material, error) {
	var signer crypto.Signer
	var err error
	switch s.Algorithm {
	case RS256, PS256:
		signer, err = rsa.GenerateKey(rand.Reader, s.normal().Bits)
	case ES256:
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	case A256:
		k := secret.NewKey()
		return material{symmetric: &k}, nil
	default:
		return material{}, ErrSpec
	}
	if err != nil {
		return material{}, fmt.Errorf("keyring: make a key of %s: %w", s.Algorithm, err)
	}
	return material{signer: signer, public: signer.Public()}, nil
}

// encode returns the two halves as they are stored, the first in the clear.
func (m material) encode() (private, public []byte, err error) {
	if m.symmetric != nil {
		return m.symmetric[:], []byte{}, nil
	}
	if private, err = x509.MarshalPKCS8PrivateKey(m.signer); err != nil {
		return nil, nil, fmt.Errorf("keyring: encode a private key: %w", err)
	}
	if public, err = x509.MarshalPKIXPublicKey(m.public); err != nil {
		return nil, nil, fmt.Errorf("keyring: encode a public key: %w", err)
	}
	return private, public, nil
}

var errMaterial = errors.New("keyring: a stored key does not have the form of its algorithm")

// decodePrivate reads the secret half of a key of algorithm a.
func decodePrivate(a Algorithm, private []byte) (material, error) {
	if a == A256 {
		if len(private) != len(secret.Key{}) {
			return material{}, errMaterial
		}
		k := secret.Key(private)
		return material{symmetric: &k}, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(private)
	if err != nil {
		return material{}, errMaterial // the parser's words may describe the secret
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok || !fits(a, signer.Public()) {
		return material{}, errMaterial
	}
	return material{signer: signer, public: signer.Public()}, nil
}

// decodePublic reads the public half of a signing key of algorithm a.
func decodePublic(a Algorithm, public []byte) (material, error) {
	parsed, err := x509.ParsePKIXPublicKey(public)
	if err != nil || !fits(a, parsed) {
		return material{}, errMaterial
	}
	return material{public: parsed}, nil
}

func fits(a Algorithm, public crypto.PublicKey) bool {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return a == RS256 || a == PS256
	case *ecdsa.PublicKey:
		return a == ES256 && k.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return a == EdDSA
	}
	return false
}

// specOf returns the kind of a key that exists.
func specOf(a Algorithm, m material) Spec {
	if k, ok := m.public.(*rsa.PublicKey); ok {
		return Spec{Algorithm: a, Bits: k.N.BitLen()}
	}
	return Spec{Algorithm: a}
}
