package main

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/id"
)

// Two master keys of no installation.
const (
	oldMaster = "sv/bkXJPSrIrhQQOQ2kuKw3K/SEPDuKHMZA5rX4vzc8="
	newMaster = "gsH9BC+Lnl5Vr2yCZUQ0LE5I7EYa5njBvB03JGODwhc="
)

func TestKeyRotate(t *testing.T) {
	t.Parallel()
	eachStack(t, func(t *testing.T, environ []string) {
		next := mustJSON[changeView](t, environ, "key", "rotate", "--algorithm", "ES256")
		if next.Kind != keyring.Scheduled || next.New == nil || next.New.Algorithm != keyring.ES256 || next.New.ActiveFrom == nil {
			t.Errorf("%+v", next)
		}
		now := mustJSON[changeView](t, environ, "key", "rotate", "--force", "--algorithm", "ES256")
		if now.Kind != keyring.Rotated || now.New.ID != next.New.ID || now.Old.Algorithm != keyring.RS256 {
			t.Errorf("%+v", now)
		}
		if c := mustJSON[changeView](t, environ, "key", "rotate", "--purpose", "csrf", "--force"); c.Purpose != keyring.CSRF {
			t.Errorf("%+v", c)
		}
		active := func(k keyView) bool { return k.Purpose == keyring.AccessToken && k.Status == keyring.Active }
		list := mustJSON[[]keyView](t, environ, "key", "list")
		if i := slices.IndexFunc(list, active); i < 0 || list[i].ID != now.New.ID {
			t.Errorf("%+v", list)
		}
		if text := mustRun(t, environ, "key", "list"); !strings.Contains(text, now.New.ID.String()) {
			t.Error(text)
		}
	})
}

func TestKeyWithdraw(t *testing.T) {
	t.Parallel()
	eachStack(t, func(t *testing.T, environ []string) {
		list := mustJSON[[]keyView](t, environ, "key", "list")
		of := func(p keyring.Purpose) string {
			return list[slices.IndexFunc(list, func(k keyView) bool { return k.Purpose == p && k.Status == keyring.Active })].ID.String()
		}
		c := mustJSON[changeView](t, environ, "key", "withdraw", of(keyring.AccessToken))
		if c.Kind != keyring.Revoked || c.Old.ID.String() != of(keyring.AccessToken) || c.New == nil {
			t.Errorf("%+v", c)
		}
		for ref, want := range map[string]string{
			of(keyring.AccessToken):          "key_withdrawn",
			of(keyring.CSRF):                 "key_symmetric",
			id.ID[keyring.Label]{1}.String(): "key_not_found",
			"nonsense":                       "key_not_found",
		} {
			if r := gatehouse(t, environ, "key", "withdraw", ref); r.code != 1 || !strings.Contains(r.stderr, want) {
				t.Errorf("%s: exit code %d, %s", ref, r.code, r.stderr)
			}
		}
	})
}

func TestKey_CommandLine(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"key rotate --purpose nothing":       "--purpose: must be one of",
		"key rotate --algorithm HS256":       "--algorithm: unknown_key_algorithm",
		"key withdraw":                       `expected "<id>"`,
		"user list --status gone":            "--status must be one of",
		"user list --limit=-1":               "--limit must not be negative",
		"user disable":                       `expected "<user>"`,
		"audit export":                       "missing flags: --to",
		"audit export --to - --output json":  "needs a file",
		"audit verify --file x":              "--public-keys",
		"audit verify --head x":              "--head goes with --file",
		"audit public-keys --output text":    "--output must be one of",
		"user create --email a@b --limit 50": "unknown flag --limit",
	} {
		if r := gatehouse(t, nil, strings.Fields(args)...); r.code != exitUsage || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: exit code %d, %s", args, r.code, r.stderr)
		}
	}
}

func TestKeyRewrap_LetsTheOldMasterKeyGo(t *testing.T) {
	t.Parallel()
	eachStack(t, func(t *testing.T, environ []string) {
		with := func(keys string) []string { return append(slices.Clone(environ), "GATEHOUSE_MASTER_KEY="+keys) }
		mustRun(t, with(oldMaster), "user", "create", "--email", "ann@example.com")
		if r := gatehouse(t, with(newMaster), "user", "list"); r.code != 1 || !strings.Contains(r.stderr, "another master key") {
			t.Errorf("a strange key: exit code %d, %s", r.code, r.stderr)
		}
		both := with(newMaster + "," + oldMaster)
		done := mustJSON[rewrapped](t, both, "key", "rewrap")
		if done.Keys < 2 || len(done.Retired) != 1 {
			t.Errorf("%+v", done)
		}
		if again := mustJSON[rewrapped](t, both, "key", "rewrap"); again.Keys != 0 || len(again.Retired) != 0 {
			t.Errorf("again: %+v", again)
		}
		if list := mustJSON[people](t, with(newMaster), "user", "list"); len(list.Items) != 1 {
			t.Errorf("with the new key alone: %+v", list)
		}
	})
}
