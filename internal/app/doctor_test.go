package app_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/actor"
	"gatehouse/internal/app"
	"gatehouse/internal/app/apptest"
	"gatehouse/internal/config"
	"gatehouse/internal/identity"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/job"
)

// mustConfig reads a configuration from an environment.
func mustConfig(tb testing.TB, environ []string) config.Config {
	tb.Helper()
	loaded, err := config.Load(config.Input{Environ: environ, ReadFile: config.ReadFile})
	if err != nil {
		tb.Fatal(err)
	}
	return loaded.Config
}

// diagnose returns the findings by check.
func diagnose(tb testing.TB, cfg config.Config, now time.Time) map[string]app.Finding {
	tb.Helper()
	found := map[string]app.Finding{}
	o := app.Options{Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }}
	for f := range app.Diagnose(tb.Context(), cfg, o) {
		found[f.Check] = f
	}
	return found
}

func TestDiagnose_FindsWorkThatNobodyDoes(t *testing.T) {
	t.Parallel()
	for _, stack := range apptest.Stacks() {
		t.Run(stack, func(t *testing.T) {
			t.Parallel()
			cfg := mustConfig(t, apptest.Environment(t, stack))
			a, err := app.NewTool(t.Context(), cfg, app.Options{Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			_, err = a.Accounts.Create(t.Context(), actor.ForSystem("test"), account.NewPerson{NewUser: identity.NewUser{Email: "ann@example.com"}})
			if err != nil {
				t.Fatal(err)
			}
			if f := diagnose(t, cfg, time.Now()); f["jobs"].Verdict != app.OK || strings.Contains(f["audit log"].Detail, "wait") {
				t.Errorf("%+v", f)
			}
			err = a.DB.Tx(t.Context(), func(tx *db.Tx) error { return job.Enqueue(tx, "test", nil, job.Options{}) })
			if err != nil {
				t.Fatal(err)
			}
			found := diagnose(t, cfg, time.Now().Add(time.Hour))
			if f := found["audit log"]; f.Verdict != app.Warn || !strings.Contains(f.Detail, "1 entries wait") {
				t.Errorf("%+v", f)
			}
			if f := found["jobs"]; f.Verdict != app.Warn || !strings.Contains(f.Detail, "due for ") {
				t.Errorf("%+v", f)
			}
			if f := found["clock"]; stack == "production" && f.Verdict != app.Fail {
				t.Errorf("%+v", f)
			}
		})
	}
}
