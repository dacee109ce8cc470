package main

import (
	"errors"
	"fmt"
	"io"

	"gatehouse/internal/config"
)

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Name everything that is wrong with the configuration, and change nothing."`
	Print configPrintCmd `cmd:"" help:"Show each setting in force and where it comes from, secrets redacted."`
}

type configCheckCmd struct {
	outputFlag
	configFlags
}

// checked is what config check says to a program.
type checked struct {
	OK       bool           `json:"ok"`
	Faults   []config.Fault `json:"faults"`
	Warnings []string       `json:"warnings"`
}

// Run checks the configuration.
func (c configCheckCmd) Run(e *env) error {
	loaded, err := e.Load()
	data := checked{OK: err == nil, Faults: []config.Fault{}, Warnings: append([]string{}, loaded.Warnings...)}
	if f := (*config.Error)(nil); errors.As(err, &f) {
		data.Faults = f.Faults
	}
	if showErr := c.show(e.Stdout, data, func(w io.Writer) error {
		warn(e.Stderr, loaded)
		if err != nil {
			return err
		}
		_, err := fmt.Fprintln(w, "the configuration is valid")
		return err
	}); showErr != nil {
		return showErr
	}
	if err != nil {
		return exitStatus(exitUsage) // the JSON says why
	}
	return nil
}

// warn shows the warnings of a configuration to a person.
func warn(w io.Writer, l *config.Loaded) {
	for _, text := range l.Warnings {
		_, _ = fmt.Fprintln(w, "warning:", text)
	}
}

type configPrintCmd struct {
	outputFlag
	configFlags
}

// Run shows the configuration.
func (c configPrintCmd) Run(e *env) error {
	loaded, err := e.Load()
	if err != nil {
		return err
	}
	return c.show(e.Stdout, loaded.Values, loaded.Print)
}
