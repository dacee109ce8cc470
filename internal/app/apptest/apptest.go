// Package apptest runs the whole program inside a test, on either stack, and
// speaks to it as a client does.
package apptest

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/app"
	"gatehouse/internal/config"
	"gatehouse/internal/platform/db/dbtest"
	"gatehouse/internal/platform/secret"
)

// EnvRedis names the variable that holds the URL of Redis.
const EnvRedis = "GATEHOUSE_TEST_REDIS_URL"

// The administrator that every program under test begins with.
const (
	AdminEmail    = "root@example.com"
	AdminPassword = "correct horse battery staple 42"
)

// Stacks are the names of the stacks that Each runs on.
func Stacks() []string { return []string{"embedded", "production"} }

// Each runs fn once on each stack, in parallel, on an empty database with one
// administrator.
func Each(t *testing.T, fn func(t *testing.T, p *Program)) {
	t.Helper()
	for _, stack := range Stacks() {
		t.Run(stack, func(t *testing.T) {
			t.Parallel()
			fn(t, Start(t, stack))
		})
	}
}

// Program is a running program.
type Program struct {
	App  *app.App
	URL  string // of the front
	Addr map[string]string
	Dir  string
	env  []string
}

// Start runs the program on a stack until the test ends. Further settings of
// the environment may follow, as "NAME=value".
func Start(tb testing.TB, stack string, settings ...string) *Program {
	tb.Helper()
	return StartOn(tb, append(Environment(tb, stack), settings...))
}

// Environment returns the settings of a program on a stack, with a database of
// its own. Programs that share one environment are nodes of one installation.
func Environment(tb testing.TB, stack string) []string {
	tb.Helper()
	env := []string{
		"GATEHOUSE_DATA_DIR=" + tb.TempDir(),
		"GATEHOUSE_FRONT_ADDR=127.0.0.1:0", "GATEHOUSE_AUTH_ADDR=127.0.0.1:0",
		"GATEHOUSE_USER_ADDR=127.0.0.1:0", "GATEHOUSE_ADMIN_ADDR=127.0.0.1:0",
		"GATEHOUSE_PASSWORD_COST=10",
		"GATEHOUSE_ADMIN_EMAIL=" + AdminEmail, "GATEHOUSE_ADMIN_PASSWORD=" + AdminPassword,
		"GATEHOUSE_TRUSTED_PROXIES=127.0.0.1/32",
	}
	if stack == "embedded" {
		return env
	}
	redis := os.Getenv(EnvRedis)
	if redis == "" {
		tb.Fatalf("%s is not set: run the tests through `make test`, or `go run ./test/servers -- go test ./...`", EnvRedis)
	}
	key := secret.NewKey()
	return append(env,
		"GATEHOUSE_DATABASE_URL="+dbtest.URL(tb, "postgres"),
		"GATEHOUSE_REDIS_URL="+redis,
		"GATEHOUSE_MASTER_KEY="+base64.StdEncoding.EncodeToString(key[:]),
	)
}

// StartOn runs a node with the settings env.
func StartOn(tb testing.TB, env []string) *Program {
	tb.Helper()
	loaded, err := config.Load(config.Input{Environ: env, ReadFile: config.ReadFile})
	if err != nil {
		tb.Fatalf("configuration: %v", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	a, err := app.New(ctx, loaded.Config, app.Options{Version: "test", Logger: testLogger(tb), Quick: true})
	if err != nil {
		stop()
		tb.Fatalf("build: %v", err)
	}
	if _, err := a.FirstAdministrator(ctx); err != nil {
		tb.Fatalf("first administrator: %v", err)
	}
	p := &Program{App: a, Dir: loaded.DataDir, env: env}
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- a.Run(ctx, app.AllServices(), func(addr map[string]string) {
			p.Addr, p.URL = addr, "http://"+addr["front"]
			close(ready)
		})
	}()
	tb.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			tb.Errorf("run: %v", err)
		}
		a.Close()
	})
	select {
	case <-ready:
	case err := <-done:
		done <- nil
		tb.Fatalf("run: %v", err)
	case <-time.After(30 * time.Second):
		tb.Fatal("the program is not ready after 30 s")
	}
	return p
}

// Client returns an HTTP client that keeps no cookies and follows nothing.
func (p *Program) Client() *http.Client {
	return &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// testLogger shows what the program logs when a test fails.
func testLogger(tb testing.TB) *slog.Logger {
	w := &logWriter{tb: tb}
	tb.Cleanup(w.end)
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

type logWriter struct {
	tb    testing.TB
	lines strings.Builder
}

func (w *logWriter) Write(p []byte) (int, error) { return w.lines.Write(p) }

func (w *logWriter) end() {
	if w.tb.Failed() {
		w.tb.Log(w.lines.String())
	}
}
