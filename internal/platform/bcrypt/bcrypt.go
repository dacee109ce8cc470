// Package bcrypt hashes passwords up to three at a time. One bcrypt is a chain
// of dependent table reads that leaves most of a core idle, so the hashes of
// independent passwords are computed interleaved in one goroutine: three take
// about a third longer than one (design.md section 5).
//
// Sum computes; Pool bounds how much of the machine that may take and refuses
// at once what would wait too long (PW-7). The results agree bit for bit with
// golang.org/x/crypto/bcrypt, which the tests compare them with.
package bcrypt

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"
)

const (
	// MinCost and MaxCost bound the logarithm of the rounds that a hash takes.
	MinCost = 4
	MaxCost = 31
	// MaxPassword is the longest password in bytes: bcrypt would silently
	// ignore what comes after.
	MaxPassword = 72
	// Lanes is how many passwords Sum takes at once.
	Lanes = 3

	saltSize = 16
	sumSize  = 23 // the last of 24 bytes has always been left out
	textSize = 60
	saltText = 22
	alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	plain    = "OrpheanBeholderScryDoubt"
)

var (
	// ErrFormat is returned by Parse for text that is not a bcrypt hash.
	ErrFormat = errors.New("bcrypt: not a bcrypt hash")
	// ErrPassword is returned for a password of more than MaxPassword bytes.
	ErrPassword = errors.New("bcrypt: password longer than 72 bytes")
	// ErrCost is returned for a cost outside MinCost to MaxCost.
	ErrCost = errors.New("bcrypt: cost out of range")
)

// Hash is a bcrypt hash: cost, salt and sum. The zero value matches nothing.
type Hash struct {
	cost int
	salt [saltSize]byte
	sum  [sumSize]byte
}

// Parse reads a hash of the form $2a$, $2b$ or $2y$, which are the same for
// passwords without NUL of at most MaxPassword bytes. It returns ErrFormat for
// everything else.
func Parse(s string) (Hash, error) {
	var h Hash
	if len(s) != textSize || s[0] != '$' || s[1] != '2' || !strings.Contains("aby", s[2:3]) ||
		s[3] != '$' || !isDigit(s[4]) || !isDigit(s[5]) || s[6] != '$' {
		return Hash{}, ErrFormat
	}
	h.cost = int(s[4]-'0')*10 + int(s[5]-'0')
	// The decoder skips line breaks, which would shift what follows them.
	if h.cost < MinCost || h.cost > MaxCost || strings.ContainsAny(s, "\r\n") {
		return Hash{}, ErrFormat
	}
	// Other programs leave noise in the unused bits of the salt and agree on
	// ignoring it; noise in those of the sum makes a hash that never matches.
	if _, err := encoding().Decode(h.salt[:], []byte(s[7:7+saltText])); err != nil {
		return Hash{}, ErrFormat
	}
	if _, err := encoding().Strict().Decode(h.sum[:], []byte(s[7+saltText:])); err != nil {
		return Hash{}, ErrFormat
	}
	return h, nil
}

// Cost returns the logarithm of the rounds that the hash takes.
func (h Hash) Cost() int { return h.cost }

// String returns the hash in the form $2b$.
func (h Hash) String() string {
	return fmt.Sprintf("$2b$%02d$%s%s", h.cost, encoding().EncodeToString(h.salt[:]), encoding().EncodeToString(h.sum[:]))
}

// Equal compares two hashes in constant time.
func (h Hash) Equal(other Hash) bool {
	return h.cost != 0 && h.cost == other.cost &&
		subtle.ConstantTimeCompare(h.salt[:], other.salt[:])&subtle.ConstantTimeCompare(h.sum[:], other.sum[:]) == 1
}

// Input is one password with the salt to hash it with.
type Input struct {
	Password []byte
	Salt     [saltSize]byte
}

// Sum hashes one to Lanes passwords at once, in the order given, and yields to
// other goroutines every few milliseconds. It returns ErrCost or ErrPassword;
// more inputs than Lanes are a programmer's mistake and panic.
func Sum(cost int, inputs ...Input) ([]Hash, error) {
	if cost < MinCost || cost > MaxCost {
		return nil, ErrCost
	}
	if len(inputs) == 0 || len(inputs) > Lanes {
		panic("bcrypt: Sum takes one to three passwords")
	}
	lanes := make([]lane, len(inputs))
	for i, in := range inputs {
		if len(in.Password) > MaxPassword {
			return nil, ErrPassword
		}
		lanes[i] = newLane(in)
	}
	expand(lanes, 1<<cost)
	hashes := make([]Hash, len(inputs))
	for i := range lanes {
		hashes[i] = Hash{cost: cost, salt: inputs[i].Salt, sum: lanes[i].sum()}
	}
	return hashes, nil
}

// Time returns how long one core takes for so many passwords at once. It fails
// as Sum does.
func Time(cost, lanes int) (time.Duration, error) {
	start := time.Now()
	_, err := Sum(cost, make([]Input, lanes)...)
	return time.Since(start), err
}

// lane is the state of one password's hash.
type lane struct {
	table          *table
	password, salt schedule
}

func newLane(in Input) lane {
	key := make([]byte, 0, MaxPassword+1)
	key = append(append(key, in.Password...), 0) // the C string's end is part of the key
	l := lane{password: newSchedule(key), salt: newSchedule(in.Salt[:])}
	l.table = newTable(&l.password, &l.salt)
	return l
}

// quantum is how many rounds pass between two yields: two to three milliseconds,
// so that a request waits shortly for a core while the pool is full.
const quantum = 32

// expand mixes each lane's password and salt into its table, rounds times.
func expand(lanes []lane, rounds int) {
	for done := 0; done < rounds; done += quantum {
		n := min(quantum, rounds-done)
		switch len(lanes) {
		case 1:
			expandLane(&lanes[0], n)
		case 2:
			expandLanes2(&lanes[0], &lanes[1], n)
		case 3:
			expandLanes3(&lanes[0], &lanes[1], &lanes[2], n)
		}
		runtime.Gosched()
	}
}

func expandLane(a *lane, rounds int) {
	for range rounds {
		expand1(a.table, &a.password)
		expand1(a.table, &a.salt)
	}
}

func expandLanes2(a, b *lane, rounds int) {
	for range rounds {
		expand2(a.table, b.table, &a.password, &b.password)
		expand2(a.table, b.table, &a.salt, &b.salt)
	}
}

func expandLanes3(a, b, c *lane, rounds int) {
	for range rounds {
		expand3(a.table, b.table, c.table, &a.password, &b.password, &c.password)
		expand3(a.table, b.table, c.table, &a.salt, &b.salt, &c.salt)
	}
}

// sum encrypts the constant text 64 times under the finished table.
func (l *lane) sum() (out [sumSize]byte) {
	var text [len(plain)]byte
	for i := 0; i < len(plain); i += 8 {
		left := binary.BigEndian.Uint32([]byte(plain[i:]))
		right := binary.BigEndian.Uint32([]byte(plain[i+4:]))
		for range 64 {
			left, right = l.table.encrypt(left, right)
		}
		binary.BigEndian.PutUint32(text[i:], left)
		binary.BigEndian.PutUint32(text[i+4:], right)
	}
	copy(out[:], text[:])
	return out
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// encoding is bcrypt's own base64.
func encoding() *base64.Encoding {
	return base64.NewEncoding(alphabet).WithPadding(base64.NoPadding)
}
