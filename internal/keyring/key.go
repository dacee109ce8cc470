package keyring

import (
	"crypto"
	"errors"
	"time"

	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/id"
	"gatehouse/internal/platform/secret"
)

// Label tags the identifiers of keys.
type Label struct{}

// ID identifies a key. In a token it is the `kid`.
type ID = id.ID[Label]

// Status is where a key stands in its life.
type Status string

// The statuses, in the order of a life. Withdrawn ends it early.
const (
	Next      Status = "next"      // known and published, not yet used
	Active    Status = "active"    // signs or seals
	Retired   Status = "retired"   // still verifies or opens
	Withdrawn Status = "withdrawn" // refused
)

var (
	// ErrNoKey is returned where no such key serves: it never was, it was
	// withdrawn, or it is destroyed.
	ErrNoKey = errors.New("keyring: no such key")
	// ErrChanged is returned when another node was quicker to make a change;
	// plan it again.
	ErrChanged = errs.New(errs.Conflict, "keys_changed", "The keys have changed meanwhile. Look again and repeat.")
)

// Key is what may be shown of a key.
type Key struct {
	ID         ID
	Purpose    Purpose
	Algorithm  Algorithm
	Status     Status
	MasterKey  string // id of the master key that wraps it
	Public     []byte // PKIX; empty for a symmetric key
	CreatedAt  time.Time
	ActiveFrom time.Time // planned of a next key, zero if nobody planned it
	RetiredAt  time.Time
	DestroyAt  time.Time // of a retired key; zero: never
}

// Named is a symmetric key with the id to find it by later.
type Named struct {
	ID  string
	Key secret.Key
}

// SigningKey is a key that signs or verifies.
type SigningKey struct {
	ID        string
	Algorithm Algorithm
	Status    Status
	Signer    crypto.Signer // nil unless the key is active or next
	Public    crypto.PublicKey
}
