package audit

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"

	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/id"
)

// Breach is a way in which a log fails to be whole.
type Breach string

// The breaches that Verify tells apart.
const (
	EntryMissing   Breach = "entry_missing"   // sealed or queued, but gone
	EntryAltered   Breach = "entry_altered"   // its envelope has another hash
	EntryUnknown   Breach = "entry_unknown"   // in the log, but never queued for a seal
	ColumnsAltered Breach = "columns_altered" // query columns disagree with the envelope
	PositionGap    Breach = "position_gap"    // positions are not gapless
	ChainBroken    Breach = "chain_broken"    // a chain hash does not follow
	TailMissing    Breach = "tail_missing"    // the chain ends before a signed head
	HeadInvalid    Breach = "head_invalid"    // a signature is wrong
	HeadMissing    Breach = "head_missing"    // heads are not gapless
	HeadMismatch   Breach = "head_mismatch"   // signed for another chain
	HeadReplayed   Breach = "head_replayed"   // older than a head that was seen before
)

// Fault is one breach and where it is.
type Fault struct {
	Breach   Breach
	Position int64 // 0: of no sealed entry
	EntryID  id.ID[Entry]
}

// Proof is what Verify found.
type Proof struct {
	OK          bool
	Entries     int64 // sealed ones
	Unsealed    int64
	First, Last int64 // positions
	Head        Head  // the newest signed one
	Faults      []Fault
}

// maxFaults bounds what one proof lists.
const maxFaults = 100

const verifyPage = 1000

// checker goes through seals and heads in order.
type checker struct {
	publicKey func(id string) (crypto.PublicKey, bool)
	proof     Proof
	before    seal
	heads     []Head // not yet reached
	lastHead  Head
}

func newChecker(publicKey func(id string) (crypto.PublicKey, bool)) *checker {
	return &checker{publicKey: publicKey, before: seal{chainHash: root()}}
}

func (c *checker) fault(b Breach, position int64, entry id.ID[Entry]) {
	if len(c.proof.Faults) < maxFaults {
		c.proof.Faults = append(c.proof.Faults, Fault{b, position, entry})
	}
}

// head takes the next head by number.
func (c *checker) head(h Head) {
	if !h.follows(c.lastHead) {
		c.fault(HeadMissing, h.Position, id.ID[Entry]{})
	}
	public, known := c.publicKey(h.KeyID)
	if !known || !h.verify(public) {
		c.fault(HeadInvalid, h.Position, id.ID[Entry]{})
	}
	c.lastHead = h
	c.heads = append(c.heads, h)
}

// seal takes the next seal by position with the bytes of its entry, nil if
// they are gone.
func (c *checker) seal(s seal, envelope []byte) {
	if c.proof.First == 0 {
		c.proof.First = s.position
	}
	c.proof.Entries++
	c.proof.Last = s.position
	if s.position != c.before.position+1 {
		c.fault(PositionGap, s.position, s.entryID)
	}
	switch env, err := DecodeEnvelope(envelope); {
	case envelope == nil:
		c.fault(EntryMissing, s.position, s.entryID)
	case err != nil, !bytes.Equal(entryHash(envelope), s.entryHash), env.ID != s.entryID:
		c.fault(EntryAltered, s.position, s.entryID)
	}
	if !bytes.Equal(s.chainHash, chainHash(s.position, c.before.chainHash, s.entryHash)) {
		c.fault(ChainBroken, s.position, s.entryID)
	}
	for len(c.heads) > 0 && c.heads[0].Position <= s.position {
		h := c.heads[0]
		c.heads = c.heads[1:]
		if h.Position != s.position || !bytes.Equal(h.ChainHash, s.chainHash) {
			c.fault(HeadMismatch, s.position, s.entryID)
		}
	}
	c.before = s
}

func (c *checker) end(newest Head) Proof {
	for _, h := range c.heads {
		c.fault(TailMissing, h.Position, id.ID[Entry]{})
	}
	if newest.Number > c.lastHead.Number ||
		newest.Number == c.lastHead.Number && !bytes.Equal(newest.Signature, c.lastHead.Signature) {
		c.fault(HeadReplayed, newest.Position, id.ID[Entry]{})
	}
	c.proof.Head = c.lastHead
	c.proof.OK = len(c.proof.Faults) == 0
	return c.proof
}

// Verify proves the log whole or names what is broken, at most 100 faults.
// Entries that are not sealed yet are no fault.
func (l *Log) Verify(ctx context.Context) (Proof, error) {
	c := newChecker(l.publicKey)
	newest := Head{}
	if l.witness != nil {
		var err error
		if newest, err = l.witness.Newest(); err != nil {
			return Proof{}, fmt.Errorf("read the newest head seen: %w", err)
		}
	}
	if err := l.checkHeads(ctx, c); err != nil {
		return Proof{}, err
	}
	if err := l.checkSeals(ctx, c); err != nil {
		return Proof{}, err
	}
	if err := l.checkUnsealed(ctx, c); err != nil {
		return Proof{}, err
	}
	return c.end(newest), nil
}

func (l *Log) publicKey(keyID string) (crypto.PublicKey, bool) {
	key, ok := l.keys.Verification(keyring.AuditHead, keyID)
	return key.Public, ok
}

func (l *Log) checkHeads(ctx context.Context, c *checker) error {
	for {
		heads, err := listHeads(ctx, l.db, c.lastHead.Number, verifyPage)
		if err != nil {
			return fmt.Errorf("read heads: %w", err)
		}
		for _, h := range heads {
			c.head(h)
		}
		if len(heads) < verifyPage {
			return nil
		}
	}
}

func (l *Log) checkSeals(ctx context.Context, c *checker) error {
	for {
		rows, err := listSealed(ctx, l.db, c.before.position, verifyPage)
		if err != nil {
			return fmt.Errorf("read seals: %w", err)
		}
		for _, r := range rows {
			if !r.found {
				r.row.envelope = nil
			}
			c.seal(r.seal, r.row.envelope)
			if r.found && !r.row.agrees() {
				c.fault(ColumnsAltered, r.position, r.entryID)
			}
		}
		if len(rows) < verifyPage {
			return nil
		}
	}
}

// agrees reports whether the query columns say what the envelope says.
func (r row) agrees() bool {
	e, err := DecodeEnvelope(r.envelope)
	c := r.columns
	return err == nil && e.ID == c.ID && e.OccurredAt.Equal(c.OccurredAt) && e.Action == c.Action &&
		e.Outcome == c.Outcome && e.Actor == c.Actor && e.Target == c.Target && e.RequestID == c.RequestID &&
		bytes.Equal(e.IPDigest, c.IPDigest)
}

// checkUnsealed looks for entries that came or went without the sealer. Each
// statement sees one instant.
func (l *Log) checkUnsealed(ctx context.Context, c *checker) error {
	var err error
	if c.proof.Unsealed, err = l.Unsealed(ctx); err != nil {
		return err
	}
	for breach, query := range map[Breach]string{
		EntryMissing: `SELECT q.entry_id FROM audit_queue AS q WHERE NOT EXISTS
			(SELECT 1 FROM audit_logs AS l WHERE l.occurred_at = q.occurred_at AND l.id = q.entry_id) LIMIT 10`,
		EntryUnknown: `SELECT l.id FROM audit_logs AS l WHERE NOT EXISTS
			(SELECT 1 FROM audit_seals AS s WHERE s.entry_id = l.id) AND NOT EXISTS
			(SELECT 1 FROM audit_queue AS q WHERE q.occurred_at = l.occurred_at AND q.entry_id = l.id) LIMIT 10`,
	} {
		ids, err := db.List(ctx, l.db, func(s db.Scanner) (id.ID[Entry], error) {
			var u id.ID[Entry]
			return u, s.Scan(&u)
		}, query)
		if err != nil {
			return errors.Join(fmt.Errorf("look for %s", breach), err)
		}
		for _, u := range ids {
			c.fault(breach, 0, u)
		}
	}
	return nil
}
