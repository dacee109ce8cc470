package adminapi

import (
	"context"
	"encoding/base64"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/api"
	"gatehouse/internal/audit"
)

// proof is the answer of a verification.
type proof struct {
	OK       bool   `json:"ok"`
	Entries  int64  `json:"entries" doc:"That are sealed"`
	Unsealed int64  `json:"unsealed" doc:"That wait for their position, which breaks nothing"`
	First    *int64 `json:"first" doc:"Position of the first entry"`
	Last     *int64 `json:"last" doc:"Position of the last entry"`
	Head     *head  `json:"head" doc:"The newest signature over the chain"`
	Broken   *fault `json:"broken" doc:"The first broken entry"`
}

// head is a signature over the chain up to a position.
type head struct {
	Position  int64     `json:"position"`
	ChainHash string    `json:"chain_hash" format:"byte"`
	SignedAt  time.Time `json:"signed_at"`
	KeyID     string    `json:"key_id"`
	Signature string    `json:"signature" format:"byte" doc:"Ed25519"`
}

// fault is a breach and where it is.
type fault struct {
	Breach   audit.Breach `json:"breach"`
	Position *int64       `json:"position" doc:"null for an entry that has none"`
	EntryID  *audit.AnyID `json:"entry_id" doc:"null where the signatures are broken rather than an entry"`
}

type proofOutput struct{ Body proof }

func (a *surface) verifyLog(ctx context.Context, _ actor.Actor, _ *api.None) (*proofOutput, error) {
	p, err := a.Audit.Verify(ctx)
	if err != nil {
		return nil, err
	}
	return &proofOutput{Body: proofFrom(p)}, nil
}

func proofFrom(p audit.Proof) proof {
	shown := proof{OK: p.OK, Entries: p.Entries, Unsealed: p.Unsealed, First: position(p.First), Last: position(p.Last)}
	if h := p.Head; h.Number != 0 {
		shown.Head = &head{
			Position: h.Position, ChainHash: base64.StdEncoding.EncodeToString(h.ChainHash), SignedAt: h.SignedAt,
			KeyID: h.KeyID, Signature: base64.StdEncoding.EncodeToString(h.Signature),
		}
	}
	if len(p.Faults) > 0 {
		f := firstFault(p.Faults)
		shown.Broken = &fault{Breach: f.Breach, Position: position(f.Position)}
		if !f.EntryID.IsZero() {
			of := audit.AnyID(f.EntryID)
			shown.Broken.EntryID = &of
		}
	}
	return shown
}

// firstFault returns the fault with the lowest position; those without one
// come last.
func firstFault(list []audit.Fault) audit.Fault {
	first := list[0]
	for _, f := range list[1:] {
		if f.Position != 0 && (first.Position == 0 || f.Position < first.Position) {
			first = f
		}
	}
	return first
}

// position shows 0, which is no position, as null.
func position(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}
