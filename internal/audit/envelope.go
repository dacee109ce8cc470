package audit

import (
	"encoding/binary"
	"errors"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/platform/id"
)

// envelopeVersion is the first byte of an envelope.
const envelopeVersion = 1

var errEnvelope = errors.New("audit: malformed envelope")

// Envelope is an entry as it is stored, hashed and exported. Its canonical
// form is the version byte, then each field in the order below, preceded by
// its length as an unsigned varint. Integers and instants (microseconds since
// 1970) are eight bytes, big-endian; identifiers are 16 bytes, or none. The
// sealed fields are kept as they are: hashing needs no key.
type Envelope struct {
	ID         id.ID[Entry]
	OccurredAt time.Time
	Action     Action
	Outcome    Outcome
	Actor      Principal
	Target     Target
	RequestID  string
	SessionID  actor.SessionID
	Reason     string
	Count      int64
	IPDigest   []byte
	Origin     Sealed // address and agent, under the actor's key
	Changes    Sealed // before and after, under the target's key
}

// Sealed is a value that only the key called Key opens: a person's, "p:" and
// the person's id, or the common key of a month, "m:" and the key's id.
type Sealed struct {
	Key   string
	Value []byte
}

// Encode returns the canonical bytes.
func (e Envelope) Encode() []byte {
	b := make([]byte, 0, 512)
	b = append(b, envelopeVersion)
	for _, f := range e.fields() {
		b = binary.AppendUvarint(b, uint64(len(f)))
		b = append(b, f...)
	}
	return b
}

func (e Envelope) fields() [][]byte {
	return [][]byte{
		e.ID[:], number(e.OccurredAt.UnixMicro()), []byte(e.Action), []byte(e.Outcome),
		[]byte(e.Actor.Type), identifier(e.Actor.ID), []byte(e.Target.Type), identifier(e.Target.ID),
		[]byte(e.RequestID), identifier(e.SessionID), []byte(e.Reason), number(e.Count), e.IPDigest,
		[]byte(e.Origin.Key), e.Origin.Value, []byte(e.Changes.Key), e.Changes.Value,
	}
}

func number(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func identifier[T any](u id.ID[T]) []byte {
	if u.IsZero() {
		return nil
	}
	return u[:]
}

// DecodeEnvelope reads canonical bytes and refuses every other form.
func DecodeEnvelope(b []byte) (Envelope, error) {
	var e Envelope
	if len(b) == 0 || b[0] != envelopeVersion {
		return e, errEnvelope
	}
	r := reader{rest: b[1:]}
	e.ID = readID[Entry](&r)
	e.OccurredAt = time.UnixMicro(r.number()).UTC()
	e.Action, e.Outcome = Action(r.text()), Outcome(r.text())
	e.Actor.Type = actor.Type(r.text())
	e.Actor.ID = readID[actor.Subject](&r)
	e.Target.Type = r.text()
	e.Target.ID = readID[tag](&r)
	e.RequestID = r.text()
	e.SessionID = readID[actor.Login](&r)
	e.Reason = r.text()
	e.Count = r.number()
	e.IPDigest = r.field()
	e.Origin = Sealed{r.text(), r.field()}
	e.Changes = Sealed{r.text(), r.field()}
	if r.failed || len(r.rest) != 0 || e.ID.IsZero() {
		return Envelope{}, errEnvelope
	}
	return e, nil
}

// reader takes length-prefixed fields off the front.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) field() []byte {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 || n > uint64(len(r.rest)-size) || size != len(binary.AppendUvarint(nil, n)) {
		r.failed, r.rest = true, nil
		return nil
	}
	f := r.rest[size : size+int(n)]
	r.rest = r.rest[size+int(n):]
	if len(f) == 0 {
		return nil
	}
	return f
}

func (r *reader) text() string { return string(r.field()) }

func (r *reader) number() int64 {
	f := r.field()
	if len(f) != 8 {
		r.failed = true
		return 0
	}
	return int64(binary.BigEndian.Uint64(f))
}

func readID[T any](r *reader) id.ID[T] {
	var u id.ID[T]
	switch f := r.field(); len(f) {
	case 0:
	case len(u):
		copy(u[:], f)
	default:
		r.failed = true
	}
	return u
}
