// Package id makes and parses identifiers: UUIDs of version 7 (RFC 9562), so
// that rows made together lie together in an index. An identifier is never a
// secret.
package id

import (
	"crypto/rand"
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// ErrSyntax is returned for text that is not a UUID in its canonical form.
var ErrSyntax = errors.New("id: not a UUID in lower-case canonical form")

// ID is an identifier of a T. Two identifiers of different T are different
// types; ID[A](b) converts where that is meant. The zero value is "none" and
// is stored as NULL.
type ID[T any] [16]byte

// New returns a fresh identifier for the instant at.
func New[T any](at time.Time) ID[T] {
	var u ID[T]
	// rand.Read never fails: it ends the process when there is no entropy.
	_, _ = rand.Read(u[6:])
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(at.UnixMilli()))
	copy(u[:6], ms[2:])
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	return u
}

// Parse reads the canonical lower-case form of 36 characters, of any UUID
// version. It returns ErrSyntax for everything else.
func Parse[T any](s string) (ID[T], error) {
	var u ID[T]
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return u, ErrSyntax
	}
	var digits [32]byte
	n := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			continue
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f':
			digits[n] = c
			n++
		default:
			return u, ErrSyntax
		}
	}
	if _, err := hex.Decode(u[:], digits[:]); err != nil {
		return ID[T]{}, ErrSyntax
	}
	return u, nil
}

// IsZero reports whether u is "none".
func (u ID[T]) IsZero() bool { return u == ID[T]{} }

// String returns the canonical form.
func (u ID[T]) String() string {
	var b [36]byte
	u.encode(b[:])
	return string(b[:])
}

func (u ID[T]) encode(b []byte) {
	hex.Encode(b[0:8], u[0:4])
	b[8] = '-'
	hex.Encode(b[9:13], u[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], u[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], u[8:10])
	b[23] = '-'
	hex.Encode(b[24:36], u[10:16])
}

// MarshalText returns the canonical form.
func (u ID[T]) MarshalText() ([]byte, error) {
	b := make([]byte, 36)
	u.encode(b)
	return b, nil
}

// UnmarshalText is Parse.
func (u *ID[T]) UnmarshalText(b []byte) error {
	parsed, err := Parse[T](string(b))
	if err != nil {
		return err
	}
	*u = parsed
	return nil
}

// Value stores the canonical form, or NULL for "none".
func (u ID[T]) Value() (driver.Value, error) {
	if u.IsZero() {
		return nil, nil
	}
	return u.String(), nil
}

// Scan reads what Value stored, or the 16 bytes of a binary protocol.
func (u *ID[T]) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*u = ID[T]{}
		return nil
	case string:
		return u.UnmarshalText([]byte(v))
	case []byte:
		if len(v) == len(u) {
			copy(u[:], v)
			return nil
		}
		return u.UnmarshalText(v)
	case [16]byte:
		*u = v
		return nil
	}
	return fmt.Errorf("id: cannot scan %T", src)
}

// SetBytes sets the 16 bytes, for a database driver that has them in binary.
func (u *ID[T]) SetBytes(b [16]byte) { *u = b }

// Bytes returns the 16 bytes and whether they are an identifier at all.
func (u ID[T]) Bytes() (b [16]byte, ok bool) { return u, !u.IsZero() }
