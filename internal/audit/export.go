package audit

import (
	"bufio"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/id"
)

// exportFormat is the first line's name for what follows.
const exportFormat = "gatehouse-audit-export/1"

// maxLine bounds one line of an export.
const maxLine = 1 << 20

// ErrExport is returned for a file that is not an export of the log.
var ErrExport = errors.New("audit: not an export of the log")

// exported is one line: the heading, a head, or a sealed entry.
type exported struct {
	Format string       `json:"format,omitempty"`
	Head   *Head        `json:"head,omitempty"`
	Entry  *exportEntry `json:"entry,omitempty"`
}

type exportEntry struct {
	Position   int64        `json:"position"`
	ID         id.ID[Entry] `json:"id"`
	OccurredAt time.Time    `json:"occurred_at"`
	EntryHash  []byte       `json:"entry_hash"`
	ChainHash  []byte       `json:"chain_hash"`
	SealedAt   time.Time    `json:"sealed_at"`
	Envelope   []byte       `json:"envelope"`
}

// Export writes every head and every sealed entry as lines of JSON. What is
// sealed stays sealed: the file proves the log and tells nothing of people.
func (l *Log) Export(ctx context.Context, w io.Writer) (entries int64, err error) {
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	if err := enc.Encode(exported{Format: exportFormat}); err != nil {
		return 0, err
	}
	for number := int64(0); ; {
		heads, err := listHeads(ctx, l.db, number, verifyPage)
		if err != nil {
			return 0, fmt.Errorf("read heads: %w", err)
		}
		for _, h := range heads {
			number = h.Number
			if err := enc.Encode(exported{Head: &h}); err != nil {
				return 0, err
			}
		}
		if len(heads) < verifyPage {
			break
		}
	}
	for position := int64(0); ; {
		rows, err := listSealed(ctx, l.db, position, verifyPage)
		if err != nil {
			return entries, fmt.Errorf("read seals: %w", err)
		}
		for _, r := range rows {
			position = r.position
			entries++
			if err := enc.Encode(exported{Entry: &exportEntry{
				r.position, r.entryID, r.occurredAt, r.entryHash, r.chainHash, r.sealedAt, r.row.envelope,
			}}); err != nil {
				return entries, err
			}
		}
		if len(rows) < verifyPage {
			return entries, out.Flush()
		}
	}
}

// VerifyExport proves an export whole with nothing but public keys, by id.
// newest is the newest head that the caller knows of, or the zero Head.
func VerifyExport(r io.Reader, keys map[string]crypto.PublicKey, newest Head) (Proof, error) {
	c := newChecker(func(id string) (crypto.PublicKey, bool) {
		k, ok := keys[id]
		return k, ok
	})
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for first := true; lines.Scan(); first = false {
		var v exported
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			return Proof{}, ErrExport
		}
		switch {
		case first:
			if v.Format != exportFormat {
				return Proof{}, ErrExport
			}
		case v.Head != nil:
			c.head(*v.Head)
		case v.Entry != nil:
			e := v.Entry
			c.seal(seal{e.Position, e.ID, e.OccurredAt, e.EntryHash, e.ChainHash, e.SealedAt}, e.Envelope)
		default:
			return Proof{}, ErrExport
		}
	}
	if err := lines.Err(); err != nil {
		return Proof{}, err
	}
	return c.end(newest), nil
}

// PublicKey is a key that verifies heads.
type PublicKey struct {
	ID   string `json:"id"`
	PKIX []byte `json:"pkix"` // Ed25519
}

// PublicKeys returns every key that ever signed a head and was not withdrawn,
// for a verifier who has nothing else.
func (l *Log) PublicKeys() ([]PublicKey, error) {
	var list []PublicKey
	for _, k := range l.keys.List() {
		if k.Purpose != keyring.AuditHead || k.Status == keyring.Withdrawn {
			continue
		}
		list = append(list, PublicKey{k.ID.String(), k.Public})
	}
	return list, nil
}

// ParsePublicKeys makes the argument of VerifyExport.
func ParsePublicKeys(list []PublicKey) (map[string]crypto.PublicKey, error) {
	keys := make(map[string]crypto.PublicKey, len(list))
	for _, k := range list {
		public, err := x509.ParsePKIXPublicKey(k.PKIX)
		if err != nil {
			return nil, fmt.Errorf("public key %s: %w", k.ID, err)
		}
		keys[k.ID] = public
	}
	return keys, nil
}
