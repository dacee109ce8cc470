package audit

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/platform/db"
)

const (
	sealEvery = 200 * time.Millisecond
	signEvery = time.Minute
	sealBatch = 500
	sealLock  = "gatehouse audit seal"
)

// entryHash is the hash of an envelope.
func entryHash(envelope []byte) []byte {
	h := sha256.Sum256(envelope)
	return h[:]
}

// chainHash binds an entry to its position and to everything before it.
func chainHash(position int64, before, entry []byte) []byte {
	h := sha256.New()
	h.Write([]byte("gatehouse audit chain v1"))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(position)))
	h.Write(before)
	h.Write(entry)
	return h.Sum(nil)
}

// root is what stands before the first entry.
func root() []byte { return make([]byte, sha256.Size) }

// Run seals and signs until ctx ends, and once more then.
func (l *Log) Run(ctx context.Context) error {
	tick := time.NewTicker(sealEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.round(ctx, false)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			l.round(last, true)
			cancel()
			return nil
		}
	}
}

// round does what is due. What fails is tried again at the next.
func (l *Log) round(ctx context.Context, last bool) {
	err := l.FlushRepeats(ctx, last)
	sealErr := l.Seal(ctx)
	if sealErr == nil {
		sealErr = l.Sign(ctx, last)
	}
	if err := errors.Join(err, sealErr); err != nil && ctx.Err() == nil {
		l.log.ErrorContext(ctx, "seal the log", "error", err)
	}
}

// Seal gives every committed entry its position.
func (l *Log) Seal(ctx context.Context) error {
	for {
		var any bool
		err := l.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM audit_queue)`).Scan(&any)
		if err != nil || !any {
			return err
		}
		n, err := l.sealBatch(ctx)
		if err != nil {
			return fmt.Errorf("seal entries: %w", err)
		}
		if n < sealBatch {
			return nil
		}
	}
}

func (l *Log) sealBatch(ctx context.Context) (n int, err error) {
	err = l.db.Tx(ctx, func(tx *db.Tx) error {
		n = 0
		mine, err := tx.TryLock(ctx, sealLock)
		if err != nil || !mine {
			return err
		}
		last, err := findLastSeal(ctx, tx)
		if err != nil {
			return err
		}
		if last.position == 0 {
			last.chainHash = root()
		}
		pending, err := listPending(ctx, tx, sealBatch)
		if err != nil {
			return err
		}
		for _, p := range pending {
			s := seal{
				position: last.position + 1, entryID: p.id, occurredAt: p.occurredAt,
				entryHash: entryHash(p.envelope), sealedAt: tx.Now(),
			}
			s.chainHash = chainHash(s.position, last.chainHash, s.entryHash)
			insertSeal(tx, s)
			last = s
		}
		n = len(pending)
		return nil
	})
	return n, err
}

// Unsealed returns how many entries wait for their position.
func (l *Log) Unsealed(ctx context.Context) (n int64, err error) {
	return n, l.db.QueryRow(ctx, `SELECT count(*) FROM audit_queue`).Scan(&n)
}
