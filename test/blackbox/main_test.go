package blackbox_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"gatehouse/test/servers/local"
)

// binary is the program under test, built once per run.
var binary string

// envBinary names the variable with the path of a program that was built
// already, such as one about to be released.
const envBinary = "GATEHOUSE_TEST_BINARY"

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "blackbox:", err)
		code = 2
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "gatehouse-blackbox-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if binary = os.Getenv(envBinary); binary == "" {
		binary = filepath.Join(dir, "gatehouse")
		build := exec.CommandContext(context.Background(), "go", "build", "-o", binary, "gatehouse/cmd/gatehouse")
		if out, err := build.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("build: %w\n%s", err, out)
		}
	}
	common.dir = filepath.Join(dir, "postgres")
	defer func() { err = errors.Join(err, common.stop()) }()
	return m.Run(), nil
}

// envPostgres names the variable with the URL of a PostgreSQL that the tests
// may use instead of one of their own (go run ./test/servers).
const envPostgres = "GATEHOUSE_TEST_POSTGRES_URL"

// common is the PostgreSQL server of the tests that do no harm to theirs.
var common sharedPostgres

type sharedPostgres struct {
	dir    string
	once   sync.Once
	server *local.Postgres
	err    error
}

// url returns the address of the server's database "postgres".
func (s *sharedPostgres) url(tb testing.TB) string {
	tb.Helper()
	if url := os.Getenv(envPostgres); url != "" {
		return url
	}
	s.once.Do(func() { s.server, s.err = local.StartPostgres(s.dir, local.PostgresOptions{}) })
	if s.err != nil {
		tb.Fatal(s.err)
	}
	return s.server.URL("postgres")
}

func (s *sharedPostgres) stop() error {
	if s.server == nil {
		return nil
	}
	return s.server.Stop()
}
