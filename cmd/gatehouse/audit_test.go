package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/app/apptest"
	"gatehouse/internal/audit"
	"gatehouse/internal/platform/db"
)

// mustHistory makes an installation with a few sealed and signed entries.
func mustHistory(tb testing.TB, environ []string) {
	tb.Helper()
	for i := range 3 {
		mustRun(tb, environ, "user", "create", "--email", fmt.Sprintf("u%d@example.com", i))
	}
	mustSeal(tb, environ)
}

// mustSeal does what a server with jobs does.
func mustSeal(tb testing.TB, environ []string) {
	tb.Helper()
	a := mustApp(tb, environ)
	if err := a.Audit.Seal(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	if err := a.Audit.Sign(tb.Context(), true); err != nil {
		tb.Fatal(err)
	}
}

// offline is a configuration with which nothing that needs one could run.
func offline() []string { return []string{"GATEHOUSE_NOPE=1"} }

func TestAuditVerify_ProvesAnExportWithNothingElse(t *testing.T) {
	t.Parallel()
	eachStack(t, func(t *testing.T, environ []string) {
		mustHistory(t, environ)
		dir := t.TempDir()
		export, keys := filepath.Join(dir, "log.ndjson"), filepath.Join(dir, "keys.json")
		if done := mustJSON[exported](t, environ, "audit", "export", "--to", export); done.Entries != 3 {
			t.Fatalf("%+v", done)
		}
		if info, err := os.Stat(export); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file: %v, %v", info.Mode(), err)
		}
		text, err := os.ReadFile(export)
		if err != nil || strings.Contains(string(text), "example.com") {
			t.Errorf("the export tells of people: %v", err)
		}
		piped := gatehouse(t, environ, "audit", "export", "--to", "-")
		if piped.stdout != string(text) || !strings.Contains(piped.stderr, "3 entries exported") {
			t.Errorf("to standard output: %d bytes of %d, %s", len(piped.stdout), len(text), piped.stderr)
		}
		if err := os.WriteFile(keys, []byte(mustRun(t, environ, "audit", "public-keys")), 0o600); err != nil {
			t.Fatal(err)
		}
		p := mustJSON[proof](t, offline(), "audit", "verify", "--file", export, "--public-keys", keys)
		if !p.OK || p.Entries != 3 || p.Last != 3 || p.Head == nil || p.Head.Position != 3 || len(p.Faults) != 0 {
			t.Errorf("%+v", p)
		}
		r := gatehouseWith(t, piped.stdout, offline(), "audit", "verify", "--file", "-", "--public-keys", keys)
		if r.code != 0 || !strings.HasPrefix(r.stdout, "the log is whole: 3 entries sealed, 0 not yet, signed up to position 3 on ") {
			t.Errorf("exit code %d, %s%s", r.code, r.stdout, r.stderr)
		}
	})
}

// lines of an export: the heading, one head, three entries.
const (
	headLine   = 1
	firstEntry = 2
)

func TestAuditVerify_NamesEachFaultOfAnExport(t *testing.T) {
	t.Parallel()
	environ := apptest.Environment(t, "embedded")
	mustHistory(t, environ)
	keys := mustWrite(t, "keys.json", mustRun(t, environ, "audit", "public-keys"))
	head := filepath.Join(strings.TrimPrefix(environ[0], "GATEHOUSE_DATA_DIR="), "audit-head.json")
	strange := mustWrite(t, "strange.json", mustRun(t, apptest.Environment(t, "embedded"), "audit", "public-keys"))
	text := mustRun(t, environ, "audit", "export", "--to", "-")
	tests := map[string]struct {
		change func(lines []string) []string
		more   []string // arguments
		want   string
	}{
		"altered":       {change: func(l []string) []string { return swapEnvelopes(t, l) }, want: "entry_altered at position 1, entry "},
		"deleted":       {change: func(l []string) []string { return append(l[:firstEntry:firstEntry], l[firstEntry+1:]...) }, want: "position_gap at position 2"},
		"reordered":     {change: func(l []string) []string { l[2], l[3] = l[3], l[2]; return l }, want: "chain_broken at position"},
		"tail cut":      {change: func(l []string) []string { return l[:len(l)-1] }, want: "tail_missing at position 3"},
		"all cut":       {change: func(l []string) []string { return l[:headLine] }, more: []string{"--head", head}, want: "head_replayed at position 3"},
		"strange keys":  {change: func(l []string) []string { return l }, more: []string{"--public-keys", strange}, want: "head_invalid at position 3"},
		"no export":     {change: func([]string) []string { return []string{"{}"} }, want: "not an export"},
		"head is none":  {change: func(l []string) []string { return l }, more: []string{"--head", mustWrite(t, "h", "{}")}, want: "holds no signed head"},
		"keys are none": {change: func(l []string) []string { return l }, more: []string{"--public-keys", mustWrite(t, "k", "[]")}, want: "holds no keys"},
		"no such keys":  {change: func(l []string) []string { return l }, more: []string{"--public-keys", "/nowhere"}, want: "no such file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := tt.change(strings.Split(strings.TrimSpace(text), "\n"))
			args := append([]string{"audit", "verify", "--file", mustWrite(t, "log", strings.Join(lines, "\n")+"\n"), "--public-keys", keys}, tt.more...)
			r := gatehouse(t, offline(), args...)
			if r.code != exitFailed || !strings.Contains(r.stdout+r.stderr, tt.want) {
				t.Errorf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
			}
		})
	}
}

// swapEnvelopes gives the first entry the content of the second.
func swapEnvelopes(tb testing.TB, lines []string) []string {
	tb.Helper()
	var first, second map[string]map[string]any
	for line, into := range map[string]*map[string]map[string]any{lines[firstEntry]: &first, lines[firstEntry+1]: &second} {
		if err := json.Unmarshal([]byte(line), into); err != nil {
			tb.Fatal(err)
		}
	}
	first["entry"]["envelope"] = second["entry"]["envelope"]
	text, err := json.Marshal(first)
	if err != nil {
		tb.Fatal(err)
	}
	lines[firstEntry] = string(text)
	return lines
}

func TestAuditVerify_NamesEachFaultOfTheDatabase(t *testing.T) {
	t.Parallel()
	eachStack(t, func(t *testing.T, environ []string) {
		mustHistory(t, environ)
		p := mustJSON[proof](t, environ, "audit", "verify")
		if !p.OK || p.Entries != 3 || p.Head == nil {
			t.Fatalf("%+v", p)
		}
		deleteFirst(t, environ)
		r := gatehouse(t, environ, "audit", "verify", "--output", "json")
		var broken proof
		if err := json.Unmarshal([]byte(r.stdout), &broken); err != nil || r.code != exitFailed || broken.OK {
			t.Fatalf("exit code %d, %v\n%s%s", r.code, err, r.stdout, r.stderr)
		}
		if f := broken.Faults[0]; f.Breach != audit.EntryMissing || f.Position != 1 || f.EntryID == "" || f.Meaning == "unknown" {
			t.Errorf("%+v", f)
		}
		r = gatehouse(t, environ, "audit", "verify")
		last := ""
		for lines := bufio.NewScanner(strings.NewReader(r.stdout)); lines.Scan(); {
			last = lines.Text()
		}
		if !strings.HasPrefix(r.stdout, "entry_missing at position 1, entry ") || !strings.HasPrefix(last, "THE LOG IS BROKEN: ") {
			t.Error(r.stdout)
		}
	})
}

// deleteFirst deletes an entry as the owner of the database can.
func deleteFirst(tb testing.TB, environ []string) {
	tb.Helper()
	a := mustApp(tb, environ)
	free := `DROP TRIGGER audit_logs_no_delete`
	if !a.DB.Embedded() {
		free = `DROP TRIGGER audit_logs_append_only ON audit_logs`
	}
	err := a.DB.Tx(tb.Context(), func(tx *db.Tx) error {
		tx.Queue(free)
		_, err := tx.Exec(tb.Context(), `DELETE FROM audit_logs WHERE id = (SELECT entry_id FROM audit_seals WHERE position = 1)`)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func TestAuditExport_LeavesNothingBehindWhereItFails(t *testing.T) {
	t.Parallel()
	environ := apptest.Environment(t, "embedded")
	if r := gatehouse(t, environ, "audit", "export", "--to", filepath.Join(t.TempDir(), "no", "folder")); r.code != exitFailed {
		t.Errorf("exit code %d, %s", r.code, r.stderr)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o700); err != nil {
		t.Fatal(err)
	}
	if r := gatehouse(t, environ, "audit", "export", "--to", filepath.Join(dir, "taken")); r.code != exitFailed {
		t.Errorf("a folder: exit code %d, %s", r.code, r.stderr)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("left %v, %v", files, err)
	}
}

func TestMeaning_IsSaidOfEveryBreach(t *testing.T) {
	t.Parallel()
	for _, b := range []audit.Breach{
		audit.EntryMissing, audit.EntryAltered, audit.EntryUnknown, audit.ColumnsAltered, audit.PositionGap, audit.ChainBroken,
		audit.TailMissing, audit.HeadInvalid, audit.HeadMissing, audit.HeadMismatch, audit.HeadReplayed,
	} {
		if meaning(b) == "unknown" {
			t.Error(b)
		}
	}
}
