package main

import (
	"encoding/json"
	"fmt"
	"io"
)

// outputFlag lets a command that shows data show it as JSON.
type outputFlag struct {
	Output string `enum:"text,json" default:"text" help:"How data is shown: text or json."`
}

// JSON reports whether a program reads the output.
func (o outputFlag) JSON() bool { return o.Output == "json" }

// show writes data as one JSON document, or calls text.
func (o outputFlag) show(w io.Writer, data any, text func(w io.Writer) error) error {
	if !o.JSON() {
		return text(w)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(data); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}
