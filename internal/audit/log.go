package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"
	"unicode/utf8"

	"gatehouse/internal/actor"
	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/id"
	"gatehouse/internal/platform/secret"
)

// maxAgent bounds the bytes of a User-Agent that are kept.
const maxAgent = 512

// Deps are what the log needs.
type Deps struct {
	DB      *db.DB
	Keys    *keyring.Keyring
	Now     func() time.Time
	Log     *slog.Logger
	Witness Witness // may be nil: then an old head that is played back can go unseen
}

// Log appends entries, seals them, lists them and proves them whole. It is
// safe for concurrent use.
type Log struct {
	db      *db.DB
	keys    *keyring.Keyring
	now     func() time.Time
	log     *slog.Logger
	witness Witness
	repeats repeats
}

// New returns the log. Run seals; without it entries stay unsealed.
func New(d Deps) *Log {
	return &Log{db: d.DB, keys: d.Keys, now: d.Now, log: d.Log, witness: d.Witness, repeats: newRepeats()}
}

// origin is what an entry seals of where a request came from.
type origin struct {
	IP        netip.Addr `json:"ip,omitzero"`
	UserAgent string     `json:"user_agent,omitempty"`
}

// Append adds the entry of a change to the change's own transaction.
func (l *Log) Append(ctx context.Context, tx *db.Tx, by actor.Actor, e Event) error {
	env, err := l.envelope(ctx, tx, by, e)
	if err != nil {
		return fmt.Errorf("append %s to the log: %w", e.Action, err)
	}
	insertEntry(tx, env)
	return nil
}

// envelope seals an event. It writes nothing.
func (l *Log) envelope(ctx context.Context, tx *db.Tx, by actor.Actor, e Event) (Envelope, error) {
	env := Envelope{
		ID: id.New[Entry](tx.Now()), OccurredAt: tx.Now(), Action: e.Action, Outcome: e.Outcome,
		Actor: Principal{by.Type, by.UserID}, Target: e.Target, RequestID: by.Origin.RequestID,
		SessionID: e.SessionID, Reason: e.Reason, Count: max(e.Count, 1),
	}
	if env.Outcome == "" {
		env.Outcome = Success
	}
	if env.SessionID.IsZero() {
		env.SessionID = by.SessionID
	}
	if by.Type == actor.System && env.Reason == "" {
		env.Reason = by.Name
	}
	var err error
	if env.IPDigest, err = l.digest(by.Origin.IP); err != nil {
		return env, err
	}
	if by.Origin.IP.IsValid() || by.Origin.UserAgent != "" {
		from := origin{by.Origin.IP, cut(by.Origin.UserAgent, maxAgent)}
		if env.Origin, err = l.seal(ctx, tx, env, "origin", owner(by, e.Target), from); err != nil {
			return env, err
		}
	}
	if len(e.Changes) > 0 {
		env.Changes, err = l.seal(ctx, tx, env, "changes", targetPerson(e.Target), e.Changes)
	}
	return env, err
}

// owner is the person whose key seals the origin: the actor, or the target of
// somebody who isn't signed in.
func owner(by actor.Actor, t Target) actor.UserID {
	if !by.UserID.IsZero() {
		return by.UserID
	}
	return targetPerson(t)
}

func targetPerson(t Target) actor.UserID {
	if t.Type != person {
		return actor.UserID{}
	}
	return actor.UserID(t.ID)
}

// seal encrypts v with the key of who, or with the month's where there is
// nobody or nobody's key any more.
func (l *Log) seal(ctx context.Context, q db.Querier, env Envelope, field string, who actor.UserID, v any) (Sealed, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return Sealed{}, err
	}
	if !who.IsZero() {
		key, err := l.keys.PersonKey(ctx, q, who)
		if err == nil {
			return Sealed{"p:" + who.String(), key.Seal(plain, aad(env.ID, field))}, nil
		}
		if !errors.Is(err, keyring.ErrErased) {
			return Sealed{}, err
		}
	}
	month, err := l.keys.Current(keyring.AuditMonth)
	if err != nil {
		return Sealed{}, err
	}
	return Sealed{"m:" + month.ID, month.Key.Seal(plain, aad(env.ID, field))}, nil
}

// open decrypts a sealed field into v. What nobody can open any more stays
// empty.
func (l *Log) open(ctx context.Context, q db.Querier, env Envelope, field string, s Sealed, v any) error {
	key, err := l.keyOf(ctx, q, s)
	if errors.Is(err, keyring.ErrErased) || errors.Is(err, keyring.ErrNoKey) || errors.Is(err, errNoKey) {
		return nil
	}
	if err != nil {
		return err
	}
	plain, err := key.Open(s.Value, aad(env.ID, field))
	if err != nil {
		return nil // altered: Verify names it, a listing goes on
	}
	return json.Unmarshal(plain, v)
}

var errNoKey = errors.New("audit: nothing sealed")

func (l *Log) keyOf(ctx context.Context, q db.Querier, s Sealed) (secret.Key, error) {
	if len(s.Key) < 2 {
		return secret.Key{}, errNoKey
	}
	switch kind, name := s.Key[:2], s.Key[2:]; kind {
	case "p:":
		who, err := id.Parse[actor.Subject](name)
		if err != nil {
			return secret.Key{}, errNoKey
		}
		return l.keys.PersonKey(ctx, q, who)
	case "m:":
		return l.keys.ByID(keyring.AuditMonth, name)
	}
	return secret.Key{}, errNoKey
}

// aad binds a sealed field to its entry, so that it can't be moved.
func aad(entry id.ID[Entry], field string) []byte {
	return []byte("audit_logs|" + field + "|" + entry.String())
}

// digestLen is the length of the keyed digest of an address.
const digestLen = 16

// digest returns what the filter by address looks for. Its key lives 30 days.
func (l *Log) digest(ip netip.Addr) ([]byte, error) {
	if !ip.IsValid() {
		return nil, nil
	}
	key, err := l.keys.Current(keyring.AuditDigest)
	if err != nil {
		return nil, err
	}
	return digest(key.Key, ip), nil
}

func digest(key secret.Key, ip netip.Addr) []byte {
	mac := key.MAC([]byte(ip.Unmap().String()))
	return mac[:digestLen]
}

// Address is the target of an attempt on an address that nobody has: a keyed
// digest, so that repeats can be seen and the address cannot.
func (l *Log) Address(canonicalEmail string) (Target, error) {
	key, err := l.keys.Current(keyring.AuditMonth)
	if err != nil {
		return Target{}, err
	}
	mac := key.Key.MAC([]byte("address"), []byte(canonicalEmail))
	return Target{Type: "address", ID: AnyID(mac[:16])}, nil
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
