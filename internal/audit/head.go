package audit

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
)

// Head is a signature over the chain up to a position. Heads are numbered
// without gaps and each binds the one before, so none can be left out.
type Head struct {
	Number    int64     `json:"number"`
	Position  int64     `json:"position"`
	ChainHash []byte    `json:"chain_hash"`
	SignedAt  time.Time `json:"signed_at"`
	Previous  []byte    `json:"previous"` // SHA-256 of the signature before
	KeyID     string    `json:"key_id"`
	Signature []byte    `json:"signature"` // Ed25519
}

// Witness keeps the newest head outside the database, so that a database put
// back to an older state is found out.
type Witness interface {
	// Newest returns the newest head that was saved, or the zero Head.
	Newest() (Head, error)
	Save(h Head) error
}

// signed returns the bytes that the signature covers.
func (h Head) signed() []byte {
	b := []byte("gatehouse audit head v1\x00")
	b = binary.BigEndian.AppendUint64(b, uint64(h.Number))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Position))
	b = binary.BigEndian.AppendUint64(b, uint64(h.SignedAt.UnixMicro()))
	for _, f := range [][]byte{h.ChainHash, h.Previous, []byte(h.KeyID)} {
		b = binary.AppendUvarint(b, uint64(len(f)))
		b = append(b, f...)
	}
	return b
}

func (h Head) verify(public crypto.PublicKey) bool {
	key, ok := public.(ed25519.PublicKey)
	return ok && ed25519.Verify(key, h.signed(), h.Signature)
}

// follows reports whether h is the next head after before.
func (h Head) follows(before Head) bool {
	return h.Number == before.Number+1 && bytes.Equal(h.Previous, before.fingerprint())
}

func (h Head) fingerprint() []byte {
	if h.Number == 0 {
		return root()
	}
	sum := sha256.Sum256(h.Signature)
	return sum[:]
}

// Sign signs the head of the chain if it grew and the last signature is a
// minute old, or now where that is asked for.
func (l *Log) Sign(ctx context.Context, now bool) error {
	last, err := findLastHead(ctx, l.db)
	if err != nil {
		return err
	}
	top, err := findLastSeal(ctx, l.db)
	if err != nil || top.position <= last.Position {
		return err
	}
	if !now && l.now().Sub(last.SignedAt) < signEvery {
		return nil
	}
	key, err := l.keys.Signing(keyring.AuditHead)
	if err != nil {
		return err
	}
	h, err := l.signTop(ctx, key)
	if err != nil || h.Number == 0 {
		return err
	}
	l.log.InfoContext(ctx, "audit head signed", "number", h.Number, "position", h.Position,
		"chain_hash", fmt.Sprintf("%x", h.ChainHash), "key_id", h.KeyID)
	if l.witness == nil {
		return nil
	}
	return l.witness.Save(h)
}

// signTop returns the zero Head where another node is at it.
func (l *Log) signTop(ctx context.Context, key keyring.SigningKey) (h Head, err error) {
	err = l.db.Tx(ctx, func(tx *db.Tx) error {
		h = Head{}
		mine, err := tx.TryLock(ctx, sealLock)
		if err != nil || !mine {
			return err
		}
		before, err := findLastHead(ctx, tx)
		if err != nil {
			return err
		}
		top, err := findLastSeal(ctx, tx)
		if err != nil || top.position <= before.Position {
			return err
		}
		h = Head{
			Number: before.Number + 1, Position: top.position, ChainHash: top.chainHash, SignedAt: tx.Now(),
			Previous: before.fingerprint(), KeyID: key.ID,
		}
		if h.Signature, err = key.Signer.Sign(rand.Reader, h.signed(), crypto.Hash(0)); err != nil {
			return errors.Join(errors.New("sign the head of the log"), err)
		}
		insertHead(tx, h)
		return nil
	})
	return h, err
}
