package audit

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"gatehouse/internal/platform/db"
)

const (
	sealEvery = 200 * time.Millisecond
	signEvery = time.Minute
	lastRound = 5 * time.Second
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

// Run seals and signs until ctx ends, and once more then. One node of an
// installation is enough; more do no harm.
func (l *Log) Run(ctx context.Context) error {
	return l.repeat(ctx, sealEvery, "seal the log", func(ctx context.Context, last bool) error {
		if err := l.Seal(ctx); err != nil {
			return err
		}
		return l.Sign(ctx, last)
	})
}

// RunSummaries writes the summaries of repeated attempts until ctx ends, and
// the rest then. Every node that calls Observe runs it.
func (l *Log) RunSummaries(ctx context.Context) error {
	return l.repeat(ctx, flushEvery, "write summaries to the log", l.FlushRepeats)
}

// repeat calls fn until ctx ends and a last time then. What fails is tried
// again at the next call.
func (l *Log) repeat(
	ctx context.Context, every time.Duration, what string, fn func(ctx context.Context, last bool) error,
) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := fn(ctx, false); err != nil && ctx.Err() == nil {
				l.log.ErrorContext(ctx, what, "error", err)
			}
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastRound)
			defer cancel()
			if err := fn(last, true); err != nil {
				l.log.ErrorContext(last, what, "error", err)
			}
			return nil
		}
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
