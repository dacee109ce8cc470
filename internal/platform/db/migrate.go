package db

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/platform/errs"
)

// migrationFiles holds NNNN_name.sql for both engines, or the pair
// NNNN_name.postgres.sql and NNNN_name.sqlite.sql where they must differ.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

// ErrSchema is returned when the schema is older than this program, or was
// made by files that differ from this program's.
var ErrSchema = errs.New(errs.Internal, "schema_mismatch", "The database schema does not fit this program.")

type migration struct {
	version    int
	name, text string
	checksum   string
}

// Migration is one step of the schema.
type Migration struct {
	Version int    `json:"version"`
	Name    string `json:"name"`
	Applied bool   `json:"applied"`
}

// Migrate brings the schema up to this program's and returns the names of the
// steps that it took. One migrator runs at a time; a stopped one is resumed.
// grantTo, if not empty, is the role of PostgreSQL that the application uses:
// it may read and write everything but change what was written to the log.
func (d *DB) Migrate(ctx context.Context, grantTo string) ([]string, error) {
	files, err := migrations(migrationFiles, d.engine.dialect().name)
	if err != nil {
		return nil, err
	}
	return d.engine.migrate(ctx, files, grantTo)
}

// Migrations lists the steps of the schema and which of them are applied.
func (d *DB) Migrations(ctx context.Context) ([]Migration, error) {
	files, err := migrations(migrationFiles, d.engine.dialect().name)
	if err != nil {
		return nil, err
	}
	applied, err := d.engine.applied(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Migration, len(files))
	for i, f := range files {
		_, done := applied[f.version]
		list[i] = Migration{Version: f.version, Name: f.name, Applied: done}
	}
	return list, nil
}

// RequireSchema returns ErrSchema if a step of this program's schema is
// missing or was applied from another text. A newer schema is accepted: it
// only adds.
func (d *DB) RequireSchema(ctx context.Context) error {
	files, err := migrations(migrationFiles, d.engine.dialect().name)
	if err != nil {
		return err
	}
	applied, err := d.engine.applied(ctx)
	if err != nil {
		return err
	}
	_, err = pending(files, applied)
	if err != nil {
		return err
	}
	for _, f := range files {
		if _, done := applied[f.version]; !done {
			return ErrSchema.With(fmt.Errorf("step %s is missing: run gatehouse migrate up", f.name))
		}
	}
	return nil
}

// migrations reads the files that concern one engine, in order.
func migrations(files fs.FS, dialect string) ([]migration, error) {
	paths, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var list []migration
	for _, p := range paths {
		name := strings.TrimSuffix(strings.TrimPrefix(p, "migrations/"), ".sql")
		if base, only, ok := strings.Cut(name, "."); ok {
			if only != dialect {
				continue
			}
			name = base
		}
		digits, _, _ := strings.Cut(name, "_")
		version, err := strconv.Atoi(digits)
		if err != nil {
			return nil, fmt.Errorf("migration %s: name must begin with a number", p)
		}
		text, err := fs.ReadFile(files, p)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		list = append(list, migration{
			version: version, name: name, text: string(text), checksum: hex.EncodeToString(sum[:]),
		})
	}
	slices.SortFunc(list, func(a, b migration) int { return a.version - b.version })
	for i := 1; i < len(list); i++ {
		if list[i].version == list[i-1].version {
			return nil, fmt.Errorf("migrations %s and %s share a number", list[i-1].name, list[i].name)
		}
	}
	return list, nil
}

// pending returns the steps still to take, given the checksums of those taken.
func pending(files []migration, applied map[int]string) ([]migration, error) {
	var todo []migration
	for _, f := range files {
		switch sum, done := applied[f.version]; {
		case !done:
			todo = append(todo, f)
		case sum != f.checksum:
			return nil, ErrSchema.With(fmt.Errorf("step %s was applied from another text", f.name))
		}
	}
	return todo, nil
}

const createMigrationsTable = `CREATE TABLE IF NOT EXISTS schema_migrations (
	version BIGINT CONSTRAINT schema_migrations_pkey PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL)`

const insertMigration = `INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)`

const selectMigrations = `SELECT version, checksum FROM schema_migrations`

func scanApplied(rows *Rows) (map[int]string, error) {
	type step struct {
		version int
		sum     string
	}
	list, err := Collect(rows, func(s Scanner) (step, error) {
		var v step
		return v, s.Scan(&v.version, &v.sum)
	})
	applied := make(map[int]string, len(list))
	for _, s := range list {
		applied[s.version] = s.sum
	}
	return applied, err
}
