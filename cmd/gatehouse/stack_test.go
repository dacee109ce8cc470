package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/app"
	"gatehouse/internal/app/apptest"
	"gatehouse/internal/config"
)

const goodPassword = "correct horse battery staple 42"

// eachStack runs fn on a fresh installation of each stack, of which no server
// runs.
func eachStack(t *testing.T, fn func(t *testing.T, environ []string)) {
	t.Helper()
	for _, stack := range apptest.Stacks() {
		t.Run(stack, func(t *testing.T) {
			t.Parallel()
			fn(t, apptest.Environment(t, stack))
		})
	}
}

// gatehouseWith is gatehouse with something on standard input.
func gatehouseWith(tb testing.TB, stdin string, environ []string, args ...string) result {
	tb.Helper()
	var stdout, stderr bytes.Buffer
	code := run(tb.Context(), args, &env{Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr, Environ: environ})
	return result{code, stdout.String(), stderr.String()}
}

// mustRun runs a command that has to succeed and returns its output.
func mustRun(tb testing.TB, environ []string, args ...string) string {
	tb.Helper()
	r := gatehouse(tb, environ, args...)
	if r.code != exitOK {
		tb.Fatalf("gatehouse %s: exit code %d\n%s%s", strings.Join(args, " "), r.code, r.stdout, r.stderr)
	}
	return r.stdout
}

// mustJSON is mustRun for a command that shows data.
func mustJSON[T any](tb testing.TB, environ []string, args ...string) T {
	tb.Helper()
	var v T
	text := mustRun(tb, environ, append(slices.Clone(args), "--output", "json")...)
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		tb.Fatalf("gatehouse %s: %v\n%s", strings.Join(args, " "), err, text)
	}
	return v
}

// mustApp opens the installation as a command does.
func mustApp(tb testing.TB, environ []string) *app.App {
	tb.Helper()
	loaded, err := config.Load(config.Input{Environ: environ, ReadFile: config.ReadFile})
	if err != nil {
		tb.Fatal(err)
	}
	a, err := app.NewTool(tb.Context(), loaded.Config, app.Options{Logger: (&env{Stderr: tb.Output()}).quietLogger()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(a.Close)
	return a
}
