package audit

import (
	"context"
	"errors"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/id"
)

func insertEntry(tx *db.Tx, e Envelope) {
	var ip any // NULL rather than an empty value
	if len(e.IPDigest) > 0 {
		ip = e.IPDigest
	}
	tx.Queue(`INSERT INTO audit_logs (id, occurred_at, action, outcome, actor_type, actor_id, target_type,
		target_id, request_id, ip_digest, envelope) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		e.ID, e.OccurredAt, string(e.Action), string(e.Outcome), string(e.Actor.Type), e.Actor.ID, e.Target.Type,
		e.Target.ID, e.RequestID, ip, e.Encode())
	tx.Queue(`INSERT INTO audit_queue (occurred_at, entry_id) VALUES ($1, $2)`, e.OccurredAt, e.ID)
}

// pendingEntry is a committed entry without a position.
type pendingEntry struct {
	id         id.ID[Entry]
	occurredAt time.Time
	envelope   []byte
}

func listPending(ctx context.Context, q db.Querier, limit int) ([]pendingEntry, error) {
	return db.List(ctx, q, func(s db.Scanner) (pendingEntry, error) {
		var p pendingEntry
		return p, s.Scan(&p.id, &p.occurredAt, &p.envelope)
	}, `SELECT l.id, l.occurred_at, l.envelope FROM audit_queue AS q
		JOIN audit_logs AS l ON l.occurred_at = q.occurred_at AND l.id = q.entry_id
		ORDER BY q.occurred_at, q.entry_id LIMIT $1`, limit)
}

// seal is the position of an entry in the chain.
type seal struct {
	position   int64
	entryID    id.ID[Entry]
	occurredAt time.Time
	entryHash  []byte
	chainHash  []byte
	sealedAt   time.Time
}

const sealColumns = `position, entry_id, occurred_at, entry_hash, chain_hash, sealed_at`

func scanSeal(s db.Scanner) (seal, error) {
	var v seal
	return v, s.Scan(&v.position, &v.entryID, &v.occurredAt, &v.entryHash, &v.chainHash, &v.sealedAt)
}

// findLastSeal returns the zero seal, which is the root of the chain, if there
// is none.
func findLastSeal(ctx context.Context, q db.Querier) (seal, error) {
	s, err := scanSeal(q.QueryRow(ctx, `SELECT `+sealColumns+` FROM audit_seals ORDER BY position DESC LIMIT 1`))
	if errors.Is(err, db.ErrNoRows) {
		return seal{}, nil
	}
	return s, err
}

func insertSeal(tx *db.Tx, s seal) {
	tx.Queue(`INSERT INTO audit_seals (`+sealColumns+`) VALUES ($1, $2, $3, $4, $5, $6)`,
		s.position, s.entryID, s.occurredAt, s.entryHash, s.chainHash, s.sealedAt)
	tx.Queue(`DELETE FROM audit_queue WHERE occurred_at = $1 AND entry_id = $2`, s.occurredAt, s.entryID)
}

const headColumns = `number, position, chain_hash, signed_at, previous, key_id, signature`

func scanHead(s db.Scanner) (Head, error) {
	var h Head
	return h, s.Scan(&h.Number, &h.Position, &h.ChainHash, &h.SignedAt, &h.Previous, &h.KeyID, &h.Signature)
}

// findLastHead returns the zero Head if there is none.
func findLastHead(ctx context.Context, q db.Querier) (Head, error) {
	h, err := scanHead(q.QueryRow(ctx, `SELECT `+headColumns+` FROM audit_heads ORDER BY number DESC LIMIT 1`))
	if errors.Is(err, db.ErrNoRows) {
		return Head{}, nil
	}
	return h, err
}

func listHeads(ctx context.Context, q db.Querier, after int64, limit int) ([]Head, error) {
	return db.List(ctx, q, scanHead, `SELECT `+headColumns+` FROM audit_heads WHERE number > $1 ORDER BY number LIMIT $2`, after, limit)
}

func insertHead(tx *db.Tx, h Head) {
	tx.Queue(`INSERT INTO audit_heads (`+headColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		h.Number, h.Position, h.ChainHash, h.SignedAt, h.Previous, h.KeyID, h.Signature)
}

// row is an entry as the columns of the log have it.
type row struct {
	envelope []byte
	columns  Envelope // without what has no column
	position *int64
}

func scanRow(s db.Scanner) (row, error) {
	var r row
	c := &r.columns
	err := s.Scan(&r.envelope, &r.position, &c.ID, &c.OccurredAt, &c.Action, &c.Outcome, &c.Actor.Type, &c.Actor.ID,
		&c.Target.Type, &c.Target.ID, &c.RequestID, &c.IPDigest)
	return r, err
}

const rowColumns = `l.envelope, s.position, l.id, l.occurred_at, l.action, l.outcome, l.actor_type, l.actor_id,
	l.target_type, l.target_id, l.request_id, l.ip_digest`

// sealedRow is a seal beside the entry that it names, if that is there.
type sealedRow struct {
	seal
	found bool
	row   row
}

// listSealed returns the seals after a position with their entries.
func listSealed(ctx context.Context, q db.Querier, after int64, limit int) ([]sealedRow, error) {
	return db.List(ctx, q, func(s db.Scanner) (sealedRow, error) {
		var v sealedRow
		var actionText, outcome, actorType, targetType, requestID *string
		c := &v.row.columns
		err := s.Scan(&v.position, &v.entryID, &v.occurredAt, &v.entryHash, &v.chainHash, &v.sealedAt,
			&v.row.envelope, &c.ID, &c.OccurredAt, &actionText, &outcome, &actorType, &c.Actor.ID,
			&targetType, &c.Target.ID, &requestID, &c.IPDigest)
		v.found = !c.ID.IsZero()
		if v.found && err == nil {
			c.Action, c.Outcome = Action(*actionText), Outcome(*outcome)
			c.Actor.Type = actor.Type(*actorType)
			c.Target.Type, c.RequestID = *targetType, *requestID
		}
		return v, err
	}, `SELECT s.position, s.entry_id, s.occurred_at, s.entry_hash, s.chain_hash, s.sealed_at,
			l.envelope, l.id, l.occurred_at, l.action, l.outcome, l.actor_type, l.actor_id, l.target_type, l.target_id,
			l.request_id, l.ip_digest
		FROM audit_seals AS s LEFT JOIN audit_logs AS l ON l.occurred_at = s.occurred_at AND l.id = s.entry_id
		WHERE s.position > $1 ORDER BY s.position LIMIT $2`, after, limit)
}
