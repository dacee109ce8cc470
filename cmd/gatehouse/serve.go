package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/app"
	"gatehouse/internal/config"
	"gatehouse/internal/platform/telemetry"
)

type serveCmd struct {
	Services string `default:"auth,user,admin,jobs" placeholder:"LIST" help:"Which services this process runs: any of auth, user, admin, jobs. The front runs where auth, user and admin do."`
	configFlags
}

// gcPercent lets garbage grow to twice what lives, which is little, before it
// is collected: requests are served with less collecting. GOGC overrides it.
const gcPercent = 200

// softMemoryLimit makes the collector work harder before a burst of requests
// grows the process without need. GOMEMLIMIT overrides it.
const softMemoryLimit = 256 << 20

// Validate is for the command line.
func (c serveCmd) Validate() error {
	_, err := app.ParseServices(c.Services)
	return err
}

// Run serves until the process is told to end, then drains.
func (c serveCmd) Run(ctx context.Context, e *env) error {
	began := time.Now()
	services, err := app.ParseServices(c.Services)
	if err != nil {
		return err
	}
	loaded, err := e.Load()
	if err != nil {
		return err
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softMemoryLimit)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	sink := telemetry.NewSink(e.Stderr)
	log := logger(sink, &loaded.Config, e.Stderr)
	for _, text := range loaded.Warnings {
		log.WarnContext(ctx, text)
	}
	a, err := app.New(ctx, loaded.Config, app.Options{Version: buildVersion().Version, Logger: log, HashWorkers: makeRoom()})
	if err != nil {
		return err
	}
	defer a.Close()
	spool, stopSpool := context.WithCancel(context.WithoutCancel(ctx))
	spooled := make(chan error, 1)
	go func() { spooled <- sink.Run(spool) }()
	defer func() { stopSpool(); <-spooled }()

	link, err := a.FirstAdministrator(ctx)
	if err != nil {
		return fmt.Errorf("first administrator: %w", err)
	}
	return a.Run(ctx, services, func(addresses map[string]string) {
		greet(e.Stdout, &loaded.Config, addresses, link, time.Since(began))
	})
}

// makeRoom returns how many cores may hash passwords, and lets as many other
// goroutines run beside them: hashing holds its threads for long and yields to
// others in the kernel.
func makeRoom() (hashWorkers int) {
	cores := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(2 * cores)
	return cores
}

// logger writes lines for a person where one reads along.
func logger(w io.Writer, c *config.Config, terminal io.Writer) *slog.Logger {
	text := c.Log.Format == config.LogText
	if f, ok := terminal.(*os.File); ok && c.Log.Format == config.LogAuto {
		text = telemetry.IsTerminal(f)
	}
	return telemetry.NewLogger(w, telemetry.LogConfig{Level: c.Log.Level, Text: text, Service: "gatehouse"})
}

// greet says what runs and where.
func greet(w io.Writer, c *config.Config, addresses map[string]string, link string, took time.Duration) {
	var b strings.Builder
	storage := "PostgreSQL"
	if c.Database.SQLite() {
		storage = "SQLite in " + c.DataDir
	}
	fmt.Fprintf(&b, "Gatehouse %s, %s profile, %s, ready in %v\n", buildVersion().Version, c.Profile, storage, took.Round(time.Millisecond))
	scheme := "http://"
	if c.TLS.Enabled() {
		scheme = "https://"
	}
	for _, name := range slices.Sorted(maps.Keys(addresses)) {
		fmt.Fprintf(&b, "  %-10s %s%s\n", name, scheme, addresses[name])
	}
	if link != "" {
		fmt.Fprintf(&b, "\nNobody has an account yet. Make the first administrator with this link; it works once, for a day:\n\n  %s\n\n", link)
	}
	_, _ = io.WriteString(w, b.String()) // who does not listen is served all the same
}
