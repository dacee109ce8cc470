// Package dbtest makes a fresh database for a test: a SQLite file, and a
// PostgreSQL database copied from a migrated template.
package dbtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"gatehouse/internal/platform/db"
)

// EnvPostgres names the variable that holds the URL of a PostgreSQL superuser.
const EnvPostgres = "GATEHOUSE_TEST_POSTGRES_URL"

// Engines are the names of the engines that Each runs on.
func Engines() []string { return []string{"sqlite", "postgres"} }

// Each runs fn once on each engine, in parallel, on a migrated and otherwise
// empty database.
func Each(t *testing.T, fn func(t *testing.T, d *db.DB)) {
	t.Helper()
	for _, engine := range Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			fn(t, Open(t, URL(t, engine)))
		})
	}
}

// Open opens url and closes it with the test.
func Open(tb testing.TB, url string) *db.DB {
	tb.Helper()
	d, err := db.Open(context.Background(), db.Config{URL: url, PoolSize: 8, CallTimeout: 30 * time.Second})
	if err != nil {
		tb.Fatalf("open %s: %v", url, err)
	}
	tb.Cleanup(d.Close)
	return d
}

// URL returns the URL of a fresh, migrated database of the engine.
func URL(tb testing.TB, engine string) string {
	tb.Helper()
	if engine == "sqlite" {
		return sqliteURL(tb)
	}
	return postgresURL(tb)
}

func sqliteURL(tb testing.TB) string {
	tb.Helper()
	u := "sqlite:" + filepath.Join(tb.TempDir(), "gatehouse.db")
	d, err := db.Open(context.Background(), db.Config{URL: u})
	if err != nil {
		tb.Fatalf("open %s: %v", u, err)
	}
	defer d.Close()
	if _, err := d.Migrate(context.Background(), ""); err != nil {
		tb.Fatalf("migrate: %v", err)
	}
	return u
}

// Admin returns the URL of the PostgreSQL superuser that the test run started.
func Admin(tb testing.TB) *url.URL {
	tb.Helper()
	raw := os.Getenv(EnvPostgres)
	if raw == "" {
		tb.Fatalf("%s is not set: run the tests through `make test`, or `go run ./test/servers -- go test ./...`", EnvPostgres)
	}
	u, err := url.Parse(raw)
	if err != nil {
		tb.Fatalf("%s: %v", EnvPostgres, err)
	}
	return u
}

// template is made once a test process, since packages run at the same time.
type template struct {
	once sync.Once
	name string
	err  error
}

var migrated template //nolint:gochecknoglobals // one template serves every test of a process

func postgresURL(tb testing.TB) string {
	tb.Helper()
	admin := Admin(tb)
	migrated.once.Do(func() { migrated.name, migrated.err = makeTemplate(admin) })
	if migrated.err != nil {
		tb.Fatalf("template database: %v", migrated.err)
	}
	name := "test_" + rand.Text()
	run(tb, admin, fmt.Sprintf(`CREATE DATABASE %s TEMPLATE %s`, quote(name), quote(migrated.name)))
	tb.Cleanup(func() {
		run(tb, admin, fmt.Sprintf(`DROP DATABASE IF EXISTS %s WITH (FORCE)`, quote(name)))
	})
	return withDatabase(admin, name)
}

// EmptyPostgres returns the URL of a fresh PostgreSQL database without tables.
func EmptyPostgres(tb testing.TB) string {
	tb.Helper()
	admin := Admin(tb)
	name := "test_" + rand.Text()
	run(tb, admin, `CREATE DATABASE `+quote(name))
	tb.Cleanup(func() {
		run(tb, admin, fmt.Sprintf(`DROP DATABASE IF EXISTS %s WITH (FORCE)`, quote(name)))
	})
	return withDatabase(admin, name)
}

func makeTemplate(admin *url.URL) (string, error) {
	ctx := context.Background()
	name := "template_" + rand.Text()
	if err := execute(admin, `CREATE DATABASE `+quote(name)); err != nil {
		return "", err
	}
	d, err := db.Open(ctx, db.Config{URL: withDatabase(admin, name)})
	if err != nil {
		return "", err
	}
	defer d.Close()
	_, err = d.Migrate(ctx, "")
	return name, err
}

func withDatabase(admin *url.URL, name string) string {
	u := *admin
	u.Path = "/" + name
	return u.String()
}

func run(tb testing.TB, admin *url.URL, statement string) {
	tb.Helper()
	if err := execute(admin, statement); err != nil {
		tb.Fatalf("%s: %v", statement, err)
	}
}

func execute(admin *url.URL, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, admin.String())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, statement)
	return err
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
