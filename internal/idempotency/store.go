package idempotency

import (
	"context"

	"gatehouse/internal/platform/db"
)

// insert claims the key and reports whether it was free, or its day over. A
// parallel claim of the same key waits here until the first one has ended.
func insert(ctx context.Context, tx *db.Tx, c claim) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO idempotency_keys (actor_id, operation, key, sealing_key, request_mac, created_at)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (actor_id, operation, key) DO UPDATE
		SET sealing_key = excluded.sealing_key, request_mac = excluded.request_mac,
			answer = NULL, created_at = excluded.created_at
		WHERE idempotency_keys.created_at <= $7`,
		c.actorID, c.operation, c.key, c.sealing.ID, c.mac, tx.Now(), tx.Now().Add(-Life))
	return n == 1, err
}

// stored is what the first request left.
type stored struct {
	sealingKey string
	requestMAC []byte
	answer     []byte
}

func find(ctx context.Context, tx *db.Tx, c claim) (stored, error) {
	var s stored
	err := tx.QueryRow(ctx, `SELECT sealing_key, request_mac, answer FROM idempotency_keys
		WHERE actor_id = $1 AND operation = $2 AND key = $3`, c.actorID, c.operation, c.key,
	).Scan(&s.sealingKey, &s.requestMAC, &s.answer)
	return s, err
}

func setAnswer(tx *db.Tx, c claim, sealed []byte) {
	tx.Queue(`UPDATE idempotency_keys SET answer = $4 WHERE actor_id = $1 AND operation = $2 AND key = $3`,
		c.actorID, c.operation, c.key, sealed)
}

func deleteOld(ctx context.Context, tx *db.Tx) (int64, error) {
	return tx.Exec(ctx, `DELETE FROM idempotency_keys WHERE (actor_id, operation, key) IN
		(SELECT actor_id, operation, key FROM idempotency_keys WHERE created_at <= $1 LIMIT $2)`,
		tx.Now().Add(-Life), purgeBatch)
}
