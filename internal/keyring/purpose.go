package keyring

import (
	"fmt"
	"time"

	"gatehouse/internal/platform/errs"
)

// Purpose is what a key is for. A key of one purpose serves no other.
type Purpose string

// The purposes of signing keys.
const (
	AccessToken Purpose = "access_token" // published as JWKS
	AuditHead   Purpose = "audit_head"   // heads of the log; every public half is kept
)

// The purposes of symmetric keys.
const (
	Pepper      Purpose = "pepper"       // keyed pre-hash of passwords; retired ones are kept
	CSRF        Purpose = "csrf"         // CSRF values of sessions
	CacheMAC    Purpose = "cache_mac"    // authenticity of cache entries
	AuditDigest Purpose = "audit_digest" // searchable digests of addresses in the log
	AuditMonth  Purpose = "audit_month"  // entries of the log about nobody known; one each month, kept
	Mail        Purpose = "mail"         // mails that wait to be sent
	Idempotency Purpose = "idempotency"  // remembered answers
	Pseudonym   Purpose = "pseudonym"    // names of people in logs, metrics and traces
	Cursor      Purpose = "cursor"       // paging cursors
)

// ErrUnknownPurpose is returned for a purpose that is not in Purposes.
var ErrUnknownPurpose = errs.New(errs.Invalid, "unknown_key_purpose", "There are no keys of this purpose.")

// Purposes returns every purpose.
func Purposes() []Purpose {
	return []Purpose{
		AccessToken, AuditHead,
		Pepper, CSRF, CacheMAC, AuditDigest, AuditMonth, Mail, Idempotency, Pseudonym, Cursor,
	}
}

const (
	day = 24 * time.Hour
	// learn is how long a symmetric next key waits before it becomes active:
	// many times what a node needs to hear of it.
	learn = 2 * time.Minute
	// publish is the same for a published key: twice what others may cache
	// the JWKS document, so that every verifier has fetched it.
	publish = 2 * JWKSMaxAge
	// outlive covers an access token of the longest life (15 min), the leeway
	// of verification (30 s) and the time a node needs to hear of a rotation.
	outlive = 17 * time.Minute
	// early is how long before its use Upkeep makes a next key.
	early = day
)

// JWKSMaxAge is how long others may cache the published keys.
const JWKSMaxAge = 5 * time.Minute

// policy is how keys of a purpose live.
type policy struct {
	spec   Spec          // of the first key; later ones are like the one before
	period time.Duration // how long a key is active; 0: until someone rotates it
	months bool          // a key is active for a calendar month (UTC) instead
	ahead  time.Duration // how long a next key is known before it becomes active
	spare  bool          // a next key always stands ready
	keep   time.Duration // how long a retired key serves; 0: for good
}

func (p Purpose) policy() (policy, error) {
	symmetric := Spec{Algorithm: A256}
	switch p {
	case AccessToken:
		return policy{
			spec: Spec{Algorithm: RS256}, period: 90 * day, ahead: publish, spare: true, keep: outlive,
		}, nil
	case AuditHead:
		return policy{spec: Spec{Algorithm: EdDSA}, ahead: learn}, nil
	case Pepper:
		return policy{spec: symmetric, ahead: learn}, nil
	case CSRF: // lives no longer than a session
		return policy{spec: symmetric, ahead: learn, keep: 8 * day}, nil
	case AuditDigest: // 15 days in use and 15 more for the filter: it lives 30
		return policy{spec: symmetric, ahead: learn, period: 15 * day, keep: 15 * day}, nil
	case AuditMonth:
		return policy{spec: symmetric, ahead: learn, months: true}, nil
	case Mail: // dead mails are kept 30 days
		return policy{spec: symmetric, ahead: learn, keep: 31 * day}, nil
	case CacheMAC, Idempotency, Pseudonym, Cursor:
		return policy{spec: symmetric, ahead: learn, keep: 2 * day}, nil
	}
	return policy{}, fmt.Errorf("keyring: %q: %w", p, ErrUnknownPurpose)
}

// end returns when a key that became active at from should be followed by the
// next one; the zero time when that is left to people.
func (p policy) end(from time.Time) time.Time {
	switch {
	case p.months:
		from = from.UTC()
		return time.Date(from.Year(), from.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	case p.period > 0:
		return from.Add(p.period)
	}
	return time.Time{}
}
