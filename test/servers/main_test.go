package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestRun_GivesTheCommandItsServersAndPassesItsExitCodeOn(t *testing.T) {
	temp := t.TempDir()
	if err := os.Chmod(filepath.Dir(temp), 0o711); err != nil { // a temporary directory lets every user through
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", temp)
	const script = `
		test -x "$GATEHOUSE_TEST_POSTGRES_BIN" && test -x "$GATEHOUSE_TEST_REDIS_BIN" || exit 1
		fsync=$("${GATEHOUSE_TEST_POSTGRES_BIN%postgres}psql" -qAtc "SHOW fsync" "$GATEHOUSE_TEST_POSTGRES_URL") && test "$fsync" = on || exit 2
		test -n "$GATEHOUSE_TEST_REDIS_URL" || exit 3
		exit 7`
	code, err := run([]string{"sh", "-c", script}, true)
	if err != nil || code != 7 {
		t.Errorf("code %d, %v", code, err)
	}
	if left, err := filepath.Glob(filepath.Join(temp, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestExecute_PassesSignalsOn(t *testing.T) {
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM
	code, err := execute([]string{"sh", "-c", "exec sleep 60"}, nil, signals)
	if err != nil || code != 128+int(syscall.SIGTERM) {
		t.Errorf("code %d, %v", code, err)
	}
}

func TestExecute_TellsOfACommandThatIsNotThere(t *testing.T) {
	if _, err := execute([]string{"/no/such/command"}, nil, nil); err == nil {
		t.Error("no error")
	}
}
