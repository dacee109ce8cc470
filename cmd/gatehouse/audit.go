package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gatehouse/internal/app"
	"gatehouse/internal/audit"
)

type auditCmd struct {
	Verify     auditVerifyCmd     `cmd:"" help:"Prove the log whole, or name each fault and exit with 1."`
	Export     auditExportCmd     `cmd:"" help:"Write the sealed log to a file that audit verify --file proves. What is personal stays sealed."`
	PublicKeys auditPublicKeysCmd `cmd:"" help:"Print the public keys that verify the log, for those who have nothing else."`
}

type auditExportCmd struct {
	To string `required:"" placeholder:"FILE" help:"File to write, - for standard output."`
	outputFlag
	configFlags
}

// exported is what audit export says to a program.
type exported struct {
	Entries int64  `json:"entries"`
	File    string `json:"file"`
}

// Validate is for the command line.
func (c auditExportCmd) Validate() error {
	if c.To == "-" && c.JSON() {
		return errors.New("--output json needs a file to write to")
	}
	return nil
}

// Run writes the export.
func (c auditExportCmd) Run(ctx context.Context, e *env) error {
	a, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer a.Close()
	entries, err := c.write(ctx, e, a)
	if err != nil {
		return err
	}
	report := e.Stdout
	if c.To == "-" {
		report = e.Stderr
	}
	return c.show(report, exported{entries, c.To}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%d entries exported\n", entries)
		return err
	})
}

func (c auditExportCmd) write(ctx context.Context, e *env, a *app.App) (entries int64, err error) {
	p := newProgress(e.Stderr, "lines exported")
	defer p.End()
	if c.To == "-" {
		return a.Audit.Export(ctx, &lineCounter{w: e.Stdout, progress: p})
	}
	err = writeWhole(c.To, func(w io.Writer) error {
		entries, err = a.Audit.Export(ctx, &lineCounter{w: w, progress: p})
		return err
	})
	return entries, err
}

// writeWhole makes the file at path of what fn writes, or leaves everything
// as it is. Only the owner may read it.
func writeWhole(path string, fn func(w io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".gatehouse-*") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already where all went well
	if err := errors.Join(fn(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// lineCounter counts the lines that go through it.
type lineCounter struct {
	w        io.Writer
	lines    int64
	progress *progress
}

// Write implements io.Writer.
func (c *lineCounter) Write(p []byte) (int, error) {
	c.lines += int64(bytes.Count(p, []byte("\n")))
	c.progress.Update(c.lines, 0)
	return c.w.Write(p)
}

type auditPublicKeysCmd struct {
	Output string `enum:"json" default:"json" help:"json, the form that audit verify --public-keys reads."`
	configFlags
}

// Run prints the keys.
func (c auditPublicKeysCmd) Run(ctx context.Context, e *env) error {
	a, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer a.Close()
	keys, err := a.Audit.PublicKeys()
	if err != nil {
		return err
	}
	return outputFlag{c.Output}.show(e.Stdout, keys, nil)
}

// readJSON reads a small JSON document from a file.
func readJSON(path string, into any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// readKeys reads what audit public-keys printed.
func readKeys(path string) (list []audit.PublicKey, err error) {
	if err := readJSON(path, &list); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("read %s: it holds no keys", path)
	}
	return list, nil
}
