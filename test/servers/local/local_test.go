package local_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/test/servers/local"
)

// psql runs one statement and returns what it printed.
func psql(tb testing.TB, p *local.Postgres, sql string) string {
	tb.Helper()
	bin, err := local.PostgresBin()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), filepath.Join(filepath.Dir(bin), "psql"), "-qAtc", sql, p.URL("postgres"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("%s: %v\n%s", sql, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestPostgres_KeepsCommittedDataThroughKillAndStop(t *testing.T) {
	t.Parallel()
	p, err := local.StartPostgres(t.TempDir(), local.PostgresOptions{Durable: true, Settings: map[string]string{"work_mem": "5MB"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	psql(t, p, "CREATE TABLE kept AS SELECT 42 AS n")

	p.Kill()
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if got := psql(t, p, "SELECT n, current_setting('fsync'), current_setting('work_mem') FROM kept"); got != "42|on|5MB" {
		t.Errorf("after kill and stop: %q", got)
	}
}

func TestRedis_StartsOnTheSamePortAfterKill(t *testing.T) {
	t.Parallel()
	r, err := local.StartRedis(t.TempDir(), local.RedisOptions{Args: []string{"--maxmemory", "4mb"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Kill)
	at := r.Addr()
	r.Kill()
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	if r.Addr() != at {
		t.Errorf("moved from %s to %s", at, r.Addr())
	}
}

func TestStart_TellsWhyTheServerEnded(t *testing.T) {
	t.Parallel()
	_, err := local.StartRedis(t.TempDir(), local.RedisOptions{Args: []string{"--no-such-setting", "1"}})
	if err == nil || !strings.Contains(err.Error(), "no-such-setting") {
		t.Errorf("got %v, want the server's own words", err)
	}
}
