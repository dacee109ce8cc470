package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"gatehouse/internal/password"
)

type hashCmd struct {
	Calibrate hashCalibrateCmd `cmd:"" help:"Time password hashing at each cost with one, two and three passwords at once (some seven seconds)."`
}

type hashCalibrateCmd struct{ outputFlag }

// timing is a line of the table.
type timing struct {
	Cost         int     `json:"cost"`
	Lanes        int     `json:"lanes"`
	Milliseconds float64 `json:"milliseconds"`
	PerSecond    float64 `json:"passwords_per_second_and_core"`
}

// Run times hashing. To a person it shows each figure as it comes.
func (c hashCalibrateCmd) Run(ctx context.Context, e *env) error {
	table := []timing{}
	if !c.JSON() {
		_, _ = fmt.Fprintf(e.Stdout, "%4s %6s %10s %22s\n", "cost", "lanes", "time", "passwords/s per core")
	}
	for t, err := range password.Calibrate(ctx) {
		if err != nil {
			return err
		}
		if !c.JSON() {
			_, _ = fmt.Fprintf(e.Stdout, "%4d %6d %10s %22.1f\n", t.Cost, t.Lanes, t.Took.Round(time.Millisecond), t.PerSecond())
		}
		table = append(table, timing{Cost: t.Cost, Lanes: t.Lanes, Milliseconds: float64(t.Took.Microseconds()) / 1000, PerSecond: t.PerSecond()})
	}
	return c.show(e.Stdout, table, func(io.Writer) error { return nil })
}
