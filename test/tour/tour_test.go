package tour_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/test/binary"
)

var program string

func TestMain(m *testing.M) { os.Exit(binary.Main(m, &program)) }

// commands returns the sh blocks of the tour, in order.
func commands(tb testing.TB) string {
	tb.Helper()
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		tb.Fatal(err)
	}
	_, tour, found := strings.Cut(string(page), "\n## A tour in five minutes\n")
	tour, _, _ = strings.Cut(tour, "\n## ")
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(tour, -1)
	if !found || len(blocks) == 0 {
		tb.Fatal("the README has no tour")
	}
	var script strings.Builder
	for _, b := range blocks {
		script.WriteString(b[1])
	}
	return script.String()
}

// TestTour_EveryCommandOfTheREADMEWorks runs the tour as written, but on a
// free port. A command that fails ends it.
func TestTour_EveryCommandOfTheREADMEWorks(t *testing.T) {
	t.Parallel()
	dir, host := t.TempDir(), "localhost:"+freePort(t)
	node := binary.Serve(t, program, dir, []string{
		"PATH=" + os.Getenv("PATH"), "GATEHOUSE_PUBLIC_URL=http://" + host, "GATEHOUSE_FRONT_ADDR=" + strings.Replace(host, "localhost", "127.0.0.1", 1),
		"GATEHOUSE_AUTH_ADDR=127.0.0.1:0", "GATEHOUSE_USER_ADDR=127.0.0.1:0", "GATEHOUSE_ADMIN_ADDR=127.0.0.1:0",
	})
	link := regexp.MustCompile(`http://\S+#token=\S+`).FindString(node.Printed())
	if link == "" {
		t.Fatal("no set-up link was printed")
	}

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	script := filepath.Join(dir, "tour.sh")
	text := "set -euo pipefail\n" + strings.ReplaceAll(commands(t), "localhost:3000", host)
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	shell := exec.CommandContext(ctx, "bash", script)
	shell.Dir, shell.Stdin = dir, strings.NewReader(link+"\n")
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v after:\n%s", err, out)
	}
	for _, want := range []string{
		`"email":"ada@example.com"`, `"status":"verification_sent"`, `"last_name":"Hopper"`, `"code":"forbidden"`,
		`"roles":["support","user"]`, `"code":"session_revoked"`, `"action":"session.revoked"`, `"ok":true`,
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the tour shows no %s:\n%s", want, out)
		}
	}
	if code := node.Stop(); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
}

// freePort returns a port that nothing listens on right now.
func freePort(tb testing.TB) string {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	return port
}
