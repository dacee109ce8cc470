package db

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// minPostgres is the oldest PostgreSQL that this program is tested with.
const minPostgres = 14

// Server is what a database says of itself and of the role that asks.
type Server struct {
	Version   string    // "PostgreSQL 15.3", "SQLite 3.50.4"
	TooOld    bool      // for this program
	Clock     time.Time // zero: it has none of its own
	Role      string    // that this connection uses; "": there are no roles
	MayChange []string  // tables that are only to grow and whose rows the role may change
}

// Inspect asks the database about itself. It changes nothing and needs no
// schema.
func (d *DB) Inspect(ctx context.Context) (Server, error) {
	if d.Embedded() {
		var version string
		err := d.QueryRow(ctx, `SELECT sqlite_version()`).Scan(&version)
		return Server{Version: "SQLite " + version}, err
	}
	var s Server
	var version string
	var number int64
	err := d.QueryRow(ctx, `SELECT current_setting('server_version'), CAST(current_setting('server_version_num') AS BIGINT),
		clock_timestamp(), CAST(current_user AS TEXT)`).Scan(&version, &number, &s.Clock, &s.Role)
	if err != nil {
		return s, fmt.Errorf("inspect the server: %w", err)
	}
	version, _, _ = strings.Cut(version, " ") // what a distribution adds
	s.Version, s.TooOld = "PostgreSQL "+version, number < minPostgres*10000
	s.MayChange, err = d.mayChange(ctx)
	return s, err
}

// mayChange lists the append-only tables, and partitions of theirs, whose rows
// the role of this connection may change.
func (d *DB) mayChange(ctx context.Context) ([]string, error) {
	var args []any
	list, err := List(ctx, d, func(s Scanner) (string, error) {
		var name string
		return name, s.Scan(&name)
	}, `SELECT CAST(c.relname AS TEXT) FROM pg_class AS c
		LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid LEFT JOIN pg_class AS p ON p.oid = i.inhparent
		WHERE c.relkind IN ('r', 'p') AND c.relnamespace = to_regnamespace('public')
		AND COALESCE(p.relname, c.relname) IN `+In(&args, appendOnly())+`
		AND has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE') ORDER BY c.relname`, args...)
	if err != nil {
		return nil, fmt.Errorf("inspect the rights of the role: %w", err)
	}
	return list, nil
}
