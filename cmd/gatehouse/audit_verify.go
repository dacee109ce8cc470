package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"gatehouse/internal/audit"
)

type auditVerifyCmd struct {
	File       string `and:"export" placeholder:"FILE" help:"Verify this export instead of the database, - for standard input. Needs neither configuration nor database."`
	PublicKeys string `and:"export" placeholder:"FILE" help:"Keys that audit public-keys printed. Keep them apart from the export."`
	Head       string `placeholder:"FILE" help:"The newest signed head that you know of, such as a copy of audit-head.json in the data folder: finds out an export that ends before it."`
	outputFlag
	configFlags
}

// proof is what audit verify says to a program.
type proof struct {
	OK       bool        `json:"ok"`
	Entries  int64       `json:"entries"`
	Unsealed int64       `json:"unsealed"`
	First    int64       `json:"first"`
	Last     int64       `json:"last"`
	Head     *audit.Head `json:"head"`
	Faults   []fault     `json:"faults"`
}

// fault is one breach of the log.
type fault struct {
	Breach   audit.Breach `json:"breach"`
	Position int64        `json:"position,omitempty"`
	EntryID  string       `json:"entry_id,omitempty"`
	Meaning  string       `json:"meaning"`
}

// Validate is for the command line.
func (c auditVerifyCmd) Validate() error {
	if c.Head != "" && c.File == "" {
		return errors.New("--head goes with --file")
	}
	return nil
}

// Run verifies the log.
func (c auditVerifyCmd) Run(ctx context.Context, e *env) error {
	verify := c.verifyDatabase
	if c.File != "" {
		verify = c.verifyFile
	}
	p, err := verify(ctx, e)
	if err != nil {
		return err
	}
	shown := proofFrom(p)
	if err := c.show(e.Stdout, shown, shown.text); err != nil {
		return err
	}
	if !p.OK {
		return exitStatus(exitFailed)
	}
	return nil
}

func (c auditVerifyCmd) verifyDatabase(ctx context.Context, e *env) (audit.Proof, error) {
	a, err := e.open(ctx)
	if err != nil {
		return audit.Proof{}, err
	}
	defer a.Close()
	return a.Audit.Verify(ctx)
}

// verifyFile needs nothing but the files it is given.
func (c auditVerifyCmd) verifyFile(_ context.Context, e *env) (audit.Proof, error) {
	list, err := readKeys(c.PublicKeys)
	if err != nil {
		return audit.Proof{}, err
	}
	keys, err := audit.ParsePublicKeys(list)
	if err != nil {
		return audit.Proof{}, err
	}
	var newest audit.Head
	if c.Head != "" {
		if err := readJSON(c.Head, &newest); err != nil {
			return audit.Proof{}, err
		}
		if newest.Number == 0 {
			return audit.Proof{}, fmt.Errorf("read %s: it holds no signed head", c.Head)
		}
	}
	from := e.Stdin
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return audit.Proof{}, err
		}
		defer f.Close()
		from = f
	}
	return audit.VerifyExport(from, keys, newest)
}

func proofFrom(p audit.Proof) proof {
	shown := proof{OK: p.OK, Entries: p.Entries, Unsealed: p.Unsealed, First: p.First, Last: p.Last, Faults: []fault{}}
	if p.Head.Number != 0 {
		shown.Head = &p.Head
	}
	for _, f := range p.Faults {
		v := fault{Breach: f.Breach, Position: f.Position, Meaning: meaning(f.Breach)}
		if !f.EntryID.IsZero() {
			v.EntryID = f.EntryID.String()
		}
		shown.Faults = append(shown.Faults, v)
	}
	return shown
}

func (p proof) text(w io.Writer) error {
	for _, f := range p.Faults {
		where := ""
		if f.Position != 0 {
			where += fmt.Sprintf(" at position %d", f.Position)
		}
		if f.EntryID != "" {
			where += ", entry " + f.EntryID
		}
		fmt.Fprintf(w, "%s%s: %s\n", f.Breach, where, f.Meaning)
	}
	verdict := "the log is whole"
	if !p.OK {
		verdict = "THE LOG IS BROKEN"
	}
	signed := "no head is signed yet"
	if p.Head != nil {
		signed = fmt.Sprintf("signed up to position %d on %s", p.Head.Position, p.Head.SignedAt.UTC().Format(time.RFC3339))
	}
	_, err := fmt.Fprintf(w, "%s: %d entries sealed, %d not yet, %s\n", verdict, p.Entries, p.Unsealed, signed)
	return err
}

// meaning says to a person what a breach is.
func meaning(b audit.Breach) string {
	switch b {
	case audit.EntryMissing:
		return "the entry was deleted"
	case audit.EntryAltered:
		return "the entry was changed"
	case audit.EntryUnknown:
		return "the entry was not written by Gatehouse, or its seal was deleted"
	case audit.ColumnsAltered:
		return "what queries see of the entry differs from what was written"
	case audit.PositionGap:
		return "positions before this one were deleted"
	case audit.ChainBroken:
		return "the chain of hashes does not hold here"
	case audit.TailMissing:
		return "the log ends before this position, which was signed"
	case audit.HeadInvalid:
		return "no known key made this signature"
	case audit.HeadMissing:
		return "signed heads before this one were deleted"
	case audit.HeadMismatch:
		return "the chain was signed with other content"
	case audit.HeadReplayed:
		return "a newer signed head was seen before: the log was put back to an older state"
	}
	return "unknown"
}
