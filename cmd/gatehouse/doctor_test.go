package main

import (
	"encoding/json"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/app"
	"gatehouse/internal/app/apptest"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
	"gatehouse/internal/platform/id"
)

// examine runs doctor and returns its findings by check, worst first.
func examine(tb testing.TB, code int, environ []string) map[string]app.Finding {
	tb.Helper()
	r := gatehouse(tb, environ, "doctor", "--output", "json")
	var d diagnosis
	if err := json.Unmarshal([]byte(r.stdout), &d); err != nil {
		tb.Fatalf("%v\n%s%s", err, r.stdout, r.stderr)
	}
	if r.code != code || d.OK != (code == exitOK) {
		tb.Errorf("exit code %d, want %d\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	found := map[string]app.Finding{}
	for _, f := range d.Findings {
		if f.Verdict != app.OK && f.Advice == "" {
			tb.Errorf("%s: no advice on %q", f.Check, f.Detail)
		}
		if old, ok := found[f.Check]; !ok || old.Verdict != app.Fail {
			found[f.Check] = f
		}
	}
	return found
}

func TestDoctor_FindsNothingWrongAndChangesNothing(t *testing.T) {
	t.Parallel()
	environ := apptest.Environment(t, "embedded")
	dir := strings.TrimPrefix(environ[0], "GATEHOUSE_DATA_DIR=")
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, f := range examine(t, exitOK, environ) {
		if f.Verdict != app.OK {
			t.Errorf("%+v", f)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("it made %v, %v", files, err)
	}
	mustRun(t, environ, "user", "create", "--email", "ann@example.com")
	for _, f := range examine(t, exitOK, environ) {
		if f.Verdict != app.OK {
			t.Errorf("%+v", f)
		}
	}
	if text := mustRun(t, environ, "doctor"); !strings.Contains(text, "ok    master key       fits the database\n") {
		t.Error(text)
	}
}

// unreachable is an address at which nobody listens.
func unreachable(tb testing.TB) string {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestDoctor_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	cert, key := mustPair(t) // runs out within the hour
	pair := []string{"GATEHOUSE_TLS_CERT=" + mustWrite(t, "crt", cert), "GATEHOUSE_TLS_KEY=" + mustWrite(t, "key", key)}
	nobody := unreachable(t)
	tests := map[string]struct {
		settings []string
		code     int
		check    string
		verdict  app.Verdict
	}{
		"database":    {[]string{"GATEHOUSE_DATABASE_URL=postgres://u:pass-word@" + nobody + "/g", "GATEHOUSE_MASTER_KEY=" + oldMaster}, 1, "database", app.Fail},
		"redis":       {[]string{"GATEHOUSE_REDIS_URL=redis://:pass-word@" + nobody}, 0, "redis", app.Warn},
		"mail":        {[]string{"GATEHOUSE_SMTP_URL=smtp://u:pass-word@" + nobody, "GATEHOUSE_MAIL_FROM=a@example.com"}, 1, "mail", app.Fail},
		"certificate": {pair, 0, "TLS certificate", app.Warn},
		"master key":  {[]string{"GATEHOUSE_MASTER_KEY=" + newMaster}, 1, "master key", app.Fail},
		"two keys":    {[]string{"GATEHOUSE_MASTER_KEY=" + newMaster + "," + oldMaster}, 0, "master key", app.Warn},
		"setting":     {[]string{"GATEHOUSE_NOPE=pass-word"}, 2, "configuration", app.Fail},
		"warning":     {[]string{"GATEHOUSE_RATE_LIMITS=off"}, 0, "configuration", app.Warn},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			environ := append(apptest.Environment(t, "embedded"), "GATEHOUSE_MASTER_KEY="+oldMaster)
			mustRun(t, environ, "user", "create", "--email", "ann@example.com")
			f := examine(t, tt.code, append(environ, tt.settings...))[tt.check]
			if f.Verdict != tt.verdict || strings.Contains(f.Detail, "pass-word") {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestDoctor_LooksAtTheDataFolder(t *testing.T) {
	t.Parallel()
	environ := apptest.Environment(t, "embedded")
	dir := strings.TrimPrefix(environ[0], "GATEHOUSE_DATA_DIR=")
	mustRun(t, environ, "user", "create", "--email", "ann@example.com")
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if f := examine(t, exitOK, environ)["data folder"]; f.Verdict != app.Warn || f.Advice != "chmod 0700 "+dir {
		t.Errorf("open to all: %+v", f)
	}
	path := filepath.Join(dir, "master.key")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if f := examine(t, exitFailed, environ)["master key"]; f.Verdict != app.Fail {
		t.Errorf("key open to all: %+v", f)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if f := examine(t, exitFailed, environ)["master key"]; f.Verdict != app.Fail || !strings.Contains(f.Advice, "backup") {
		t.Errorf("key lost: %+v", f)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("it made a new key")
	}
}

func TestDoctor_LooksAtTheRoleOfTheDatabase(t *testing.T) {
	t.Parallel()
	environ := apptest.Environment(t, "production")
	if f := examine(t, exitOK, environ)["database role"]; f.Verdict != app.Warn || !strings.Contains(f.Detail, "audit_seals") {
		t.Errorf("the owner: %+v", f)
	}
	i := slices.IndexFunc(environ, func(s string) bool { return strings.HasPrefix(s, "GATEHOUSE_DATABASE_URL=") })
	owner := strings.TrimPrefix(environ[i], "GATEHOUSE_DATABASE_URL=")
	environ[i] = "GATEHOUSE_DATABASE_URL=" + mustRole(t, owner)
	environ = append(environ, "GATEHOUSE_MIGRATE_DATABASE_URL="+owner)
	mustRun(t, environ, "user", "create", "--email", "ann@example.com")
	found := examine(t, exitOK, environ)
	for _, check := range []string{"database role", "database owner", "clock", "schema", "audit log", "redis"} {
		if f := found[check]; f.Verdict != app.OK {
			t.Errorf("%+v", f)
		}
	}
}

// mustRole makes a role that may use the tables and only add to the log, and
// returns the database's URL with it.
func mustRole(tb testing.TB, owner string) string {
	tb.Helper()
	u, err := url.Parse(owner)
	if err != nil {
		tb.Fatal(err)
	}
	role := "doctor_" + strings.ReplaceAll(id.New[struct{}](time.Now()).String(), "-", "")
	d := dbtest.Open(tb, owner)
	err = d.Tx(tb.Context(), func(tx *db.Tx) error {
		tx.Queue(`CREATE ROLE ` + role + ` LOGIN PASSWORD 'for tests'`)
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := app.Migrate(tb.Context(), d, role); err != nil {
		tb.Fatal(err)
	}
	err = d.Tx(tb.Context(), func(tx *db.Tx) error {
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	u.User = url.UserPassword(role, "for tests")
	return u.String()
}

func TestDoctor_WantsASchema(t *testing.T) {
	t.Parallel()
	environ := append(apptest.Environment(t, "embedded"), "GATEHOUSE_MASTER_KEY="+oldMaster)
	f := examine(t, exitFailed, append(environ, "GATEHOUSE_DATABASE_URL="+dbtest.EmptyPostgres(t)))["schema"]
	if f.Verdict != app.Fail || f.Advice != "gatehouse migrate up" {
		t.Errorf("%+v", f)
	}
}
