package session

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/platform/db"
)

const columns = `id, user_id, client_id, token_delivery, ip_address, user_agent, amr, auth_time,
	created_at, last_activity_at, expires_at, privileged, revoked_at, revoke_reason, epoch`

// live holds for sessions that have not ended. It uses $1 and $2: liveArgs.
const live = `revoked_at IS NULL AND expires_at > $1 AND (NOT privileged OR last_activity_at > $2)`

func liveArgs(now time.Time, more ...any) []any {
	return append([]any{now, now.Add(-PrivilegedIdle)}, more...)
}

func scan(row db.Scanner) (Session, error) {
	var s Session
	dest, finish := fields(&s)
	err := row.Scan(dest...)
	finish()
	return s, err
}

// fields returns where columns scan to, and what completes s afterwards.
func fields(s *Session) ([]any, func()) {
	var amr string
	return []any{
		&s.ID, &s.UserID, &s.ClientID, (*string)(&s.Delivery), &s.IP, &s.UserAgent, &amr, &s.AuthTime,
		&s.CreatedAt, &s.LastActivityAt, &s.ExpiresAt, &s.Privileged, &s.RevokedAt, (*string)(&s.RevokeReason), &s.Epoch,
	}, func() { s.AMR = strings.Fields(amr) }
}

func insert(tx *db.Tx, s Session, tokenHash []byte) {
	tx.Queue(`INSERT INTO sessions (id, user_id, client_id, refresh_token, token_delivery, ip_address, user_agent, amr,
			auth_time, created_at, last_activity_at, idle_since, expires_at, privileged, revoke_reason, epoch)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $12, $13, '', $14)`,
		s.ID, s.UserID, s.ClientID, tokenHash, string(s.Delivery), s.IP, s.UserAgent, strings.Join(s.AMR, " "),
		s.AuthTime, s.CreatedAt, s.LastActivityAt, s.ExpiresAt, s.Privileged, s.Epoch)
}

func find(ctx context.Context, q db.Querier, id ID) (Session, error) {
	return scan(q.QueryRow(ctx, `SELECT `+columns+` FROM sessions WHERE id = $1`, id))
}

func findByToken(ctx context.Context, q db.Querier, now time.Time, t refreshToken, via Delivery) (Session, error) {
	return scan(q.QueryRow(ctx, `SELECT `+columns+` FROM sessions
		WHERE `+live+` AND id = $3 AND refresh_token = $4 AND token_delivery = $5`,
		liveArgs(now, t.sessionID, t.hash(), string(via))...))
}

func listLive(ctx context.Context, q db.Querier, now time.Time, user actor.UserID) ([]Session, error) {
	return db.List(ctx, q, scan, `SELECT `+columns+` FROM sessions
		WHERE `+live+` AND user_id = $3 ORDER BY created_at DESC, id DESC`, liveArgs(now, user)...)
}

// rotate decides who takes the token. The successor replaces the one of the
// rotation before, which is wiped by that.
func rotate(ctx context.Context, tx *db.Tx, spent, next refreshToken, via Delivery) (Rotation, error) {
	var r Rotation
	dest, finish := fields(&r.Session)
	err := tx.QueryRow(ctx, `UPDATE sessions SET refresh_token = $6, successor = $7, rotated_at = $1,
			idle_since = last_activity_at, last_activity_at = $1
		WHERE `+live+` AND id = $3 AND refresh_token = $4 AND token_delivery = $5
		RETURNING `+columns+`, idle_since`,
		liveArgs(tx.Now(), spent.sessionID, spent.hash(), string(via), next.hash(), spent.sealSuccessor(next))...,
	).Scan(append(dest, &r.idleSince)...)
	finish()
	return r, err
}

func insertSpent(tx *db.Tx, t refreshToken) {
	tx.Queue(`INSERT INTO spent_refresh_tokens (session_id, hash, spent_at) VALUES ($1, $2, $3)`,
		t.sessionID, t.hash(), tx.Now())
}

// presented is what is known of a token that did not rotate.
type presented struct {
	session   Session
	valid     bool      // it is the session's refresh token
	spentAt   time.Time // zero: it never was, or is not spent
	successor []byte
	idleSince time.Time
}

func findPresented(ctx context.Context, tx *db.Tx, t refreshToken) (presented, error) {
	var p presented
	dest, finish := fields(&p.session)
	err := tx.QueryRow(ctx, `SELECT `+columns+`, refresh_token = $2, successor, idle_since,
			(SELECT spent_at FROM spent_refresh_tokens WHERE session_id = $1 AND hash = $2)
		FROM sessions WHERE id = $1`, t.sessionID, t.hash(),
	).Scan(append(dest, &p.valid, &p.successor, &p.idleSince, &p.spentAt)...)
	finish()
	return p, err
}

func confine(tx *db.Tx, s Session) {
	tx.Queue(`UPDATE sessions SET privileged = TRUE, expires_at = $2 WHERE id = $1`, s.ID, s.ExpiresAt)
}

// epochOf is the epoch that the end of a session gave it.
type epochOf struct {
	id    ID
	epoch int64
}

// selection is a condition on sessions whose placeholders begin at $3.
type selection struct {
	where string
	args  []any
}

func one(id ID) selection { return selection{`id = $3`, []any{id}} }

func own(user actor.UserID, id ID) selection {
	return selection{`id = $3 AND user_id = $4`, []any{id, user}}
}

func all(user actor.UserID, except ID) selection {
	return selection{`user_id = $3 AND id IS DISTINCT FROM $4`, []any{user, except}}
}

// revoke ends the sessions of the selection that have not ended. Idle ones
// are among them: another node may know of activity that is not written yet.
func revoke(ctx context.Context, tx *db.Tx, reason Reason, which selection) ([]epochOf, error) {
	return db.List(ctx, tx, func(row db.Scanner) (e epochOf, err error) {
		return e, row.Scan(&e.id, &e.epoch)
	}, `UPDATE sessions SET revoked_at = $1, revoke_reason = $2, epoch = epoch + 1
		WHERE revoked_at IS NULL AND expires_at > $1 AND `+which.where+` RETURNING id, epoch`,
		append([]any{tx.Now(), string(reason)}, which.args...)...)
}

// endOldest ends the live sessions of a person but the newest ones. It first
// locks the row that user_id refers to, which stands for all of the person's
// sessions, so that parallel sign-ins count one another's.
func endOldest(ctx context.Context, tx *db.Tx, user actor.UserID, keep int) ([]epochOf, error) {
	tx.Queue(`SELECT id FROM users WHERE id = $1`+tx.ForUpdate(), user)
	return revoke(ctx, tx, Superseded, selection{
		`id IN (SELECT id FROM sessions WHERE user_id = $3 AND revoked_at IS NULL AND expires_at > $1
			AND (NOT privileged OR last_activity_at > $5) ORDER BY created_at DESC, id DESC LIMIT 1000 OFFSET $4)`,
		[]any{user, keep, tx.Now().Add(-PrivilegedIdle)},
	})
}

type touched struct {
	id ID
	at time.Time
}

// updateActivity writes a batch in one statement. A later instant, written by
// another node, stays.
func updateActivity(tx *db.Tx, batch []touched) {
	var args []any
	var cases strings.Builder
	ids := make([]ID, len(batch))
	for i, t := range batch {
		ids[i] = t.id
	}
	in := db.In(&args, ids)
	for i, t := range batch {
		args = append(args, t.at)
		fmt.Fprintf(&cases, " WHEN id = $%d AND last_activity_at < $%d THEN $%d", i+1, len(args), len(args))
	}
	tx.Queue(`UPDATE sessions SET last_activity_at = CASE`+cases.String()+` ELSE last_activity_at END
		WHERE id IN `+in, args...)
}

func wipeSuccessors(ctx context.Context, tx *db.Tx) (int64, error) {
	return tx.Exec(ctx, `UPDATE sessions SET successor = NULL WHERE id IN
		(SELECT id FROM sessions WHERE successor IS NOT NULL AND rotated_at < $1 LIMIT $2)`,
		tx.Now().Add(-RepeatWindow), purgeBatch)
}

func deleteEnded(ctx context.Context, tx *db.Tx) (int64, error) {
	return tx.Exec(ctx, `DELETE FROM sessions WHERE id IN
		(SELECT id FROM sessions WHERE expires_at < $1 OR revoked_at < $1 LIMIT $2)`,
		tx.Now().Add(-retention), purgeBatch)
}
