package session

import (
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/actor"
	"gatehouse/internal/platform/errs"
)

// ID identifies a session.
type ID = actor.SessionID

// The permissions over other people's sessions.
const (
	PermRead   actor.Permission = "sessions:read"
	PermRevoke actor.Permission = "sessions:revoke"
)

// The limits of a session (CK-3). They are caps: nothing may raise them. The
// idle limit of a session without permissions is its absolute one.
const (
	Absolute           = 7 * 24 * time.Hour
	PrivilegedAbsolute = 24 * time.Hour
	PrivilegedIdle     = time.Hour
	PerUser            = 10
)

// RepeatWindow is how long a spent refresh token still answers with its
// successor, provided that nobody has used that (TOK-7).
const RepeatWindow = 10 * time.Second

// The refusals that callers branch on.
var (
	ErrInvalid  = errs.New(errs.Unauthenticated, "token_invalid", "The token is not valid.")
	ErrExpired  = errs.New(errs.Unauthenticated, "token_expired", "The session has ended. Sign in again.")
	ErrRevoked  = errs.New(errs.Unauthenticated, "session_revoked", "The session was ended. Sign in again.")
	ErrNotFound = errs.New(errs.NotFound, "not_found", "There is no such session.")
	ErrCSRF     = errs.New(errs.Forbidden, "csrf_failed", "The CSRF token is missing or wrong.")
)

// Delivery is how a client receives and presents its refresh token.
type Delivery string

// The two ways. A token is refused when it arrives by the other one.
const (
	ByCookie Delivery = "cookie"
	ByBody   Delivery = "body"
)

// Reason says why a session was revoked.
type Reason string

// The reasons.
const (
	SignedOut       Reason = "signed_out"
	EndedByUser     Reason = "ended_by_user"
	EndedByAdmin    Reason = "ended_by_admin"
	Superseded      Reason = "too_many_sessions"
	TokenReused     Reason = "token_reused"
	PasswordChanged Reason = "password_changed"
	AccountDisabled Reason = "account_disabled"
	AccountDeleted  Reason = "account_deleted"
)

// Session is one sign-in of a person on one client.
type Session struct {
	ID             ID
	UserID         actor.UserID
	ClientID       string
	Delivery       Delivery
	IP             netip.Addr
	UserAgent      string
	AMR            []string // how the person signed in (RFC 8176)
	AuthTime       time.Time
	CreatedAt      time.Time
	LastActivityAt time.Time // at most a minute behind
	ExpiresAt      time.Time // the absolute limit
	Privileged     bool      // the person held a permission at the sign-in or at a renewal
	RevokedAt      *time.Time
	RevokeReason   Reason
	Epoch          int64 // grows when the session ends
}

// NewSession is what a sign-in knows about the session it starts.
type NewSession struct {
	UserID     actor.UserID
	ClientID   string
	Delivery   Delivery
	IP         netip.Addr
	UserAgent  string
	AMR        []string
	Privileged bool // the person holds a permission
}

// Expiry returns the absolute limit of the session for a person who does or
// doesn't hold a permission now.
func (s Session) Expiry(privileged bool) time.Time {
	if limit := s.CreatedAt.Add(PrivilegedAbsolute); privileged && limit.Before(s.ExpiresAt) {
		return limit
	}
	return s.ExpiresAt
}

// RequireLive returns ErrRevoked or ErrExpired for a session that has ended by
// now; privileged says whether its person holds a permission at present. It
// does not look at idle time: an access token ends before the shortest idle
// limit, and RotateTx checks that.
func (s Session) RequireLive(now time.Time, privileged bool) error {
	if s.RevokedAt != nil {
		return ErrRevoked
	}
	if !now.Before(s.Expiry(privileged)) {
		return ErrExpired
	}
	return nil
}

// lifetime returns the absolute limit for a session that starts now.
func lifetime(privileged bool) time.Duration {
	if privileged {
		return PrivilegedAbsolute
	}
	return Absolute
}

// maxAgent is how much of a User-Agent header is kept.
const maxAgent = 512

// storedAgent returns the User-Agent header as text that every engine stores:
// cut to a bounded length, without control characters and broken UTF-8, such as
// the cut may leave.
func storedAgent(header string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, header[:min(len(header), maxAgent)])
}
