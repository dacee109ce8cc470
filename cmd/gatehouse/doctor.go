package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"gatehouse/internal/app"
	"gatehouse/internal/config"
)

type doctorCmd struct {
	outputFlag
	configFlags
}

// diagnosis is what doctor says to a program.
type diagnosis struct {
	OK       bool          `json:"ok"` // nothing failed
	Findings []app.Finding `json:"findings"`
}

// Run examines everything that the program stands on. To a person it shows
// each finding as it comes.
func (c doctorCmd) Run(ctx context.Context, e *env) error {
	d := diagnosis{OK: true, Findings: []app.Finding{}}
	add := func(f app.Finding) {
		d.OK = d.OK && f.Verdict != app.Fail
		d.Findings = append(d.Findings, f)
		if !c.JSON() {
			writeFinding(e.Stdout, f)
		}
	}
	loaded, err := e.Load()
	for _, f := range configured(loaded, err) {
		add(f)
	}
	if err == nil {
		for f := range app.Diagnose(ctx, loaded.Config, app.Options{Logger: e.quietLogger()}) {
			add(f)
		}
	}
	if err := c.show(e.Stdout, d, func(io.Writer) error { return nil }); err != nil {
		return err
	}
	switch {
	case err != nil:
		return exitStatus(exitUsage)
	case !d.OK:
		return exitStatus(exitFailed)
	}
	return nil
}

// configured turns what loading the configuration said into findings.
func configured(loaded *config.Loaded, err error) []app.Finding {
	const check = "configuration"
	var found []app.Finding
	if f := (*config.Error)(nil); errors.As(err, &f) {
		for _, fault := range f.Faults {
			found = append(found, app.Finding{Check: check, Verdict: app.Fail, Detail: fault.String(), Advice: "gatehouse config check"})
		}
	}
	for _, text := range loaded.Warnings {
		found = append(found, app.Finding{Check: check, Verdict: app.Warn, Detail: text, Advice: "docs/configuration.md"})
	}
	if len(found) == 0 {
		found = []app.Finding{{Check: check, Verdict: app.OK, Detail: "valid, " + string(loaded.Profile) + " profile"}}
	}
	return found
}

func writeFinding(w io.Writer, f app.Finding) {
	fmt.Fprintf(w, "%-5s %-16s %s\n", f.Verdict, f.Check, f.Detail)
	if f.Advice != "" {
		fmt.Fprintf(w, "%22s > %s\n", "", f.Advice)
	}
}
