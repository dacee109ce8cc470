package db

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"gatehouse/internal/platform/errs"
)

// ErrUnavailable is returned when the database can't be reached, is starting,
// stopping or read-only, or took too long.
var ErrUnavailable = errs.New(errs.Unavailable, "unavailable",
	"The service is not available at the moment. Try again shortly.").After(time.Second)

// IsUnique reports whether err is the refusal of the unique or primary key
// constraint of that name: <table>_<columns>_key or <table>_pkey.
func IsUnique(err error, constraint string) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "23505" && pg.ConstraintName == constraint
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		switch lite.Code() {
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
			return sqliteConstraint(lite) == constraint
		}
	}
	return false
}

// sqliteConstraint builds the conventional name from "UNIQUE constraint
// failed: users.canonical_email (2067)".
func sqliteConstraint(err *sqlite.Error) string {
	_, columns, ok := strings.Cut(err.Error(), "UNIQUE constraint failed: ")
	if !ok {
		return ""
	}
	columns, _, _ = strings.Cut(columns, " (")
	if name, isIndex := strings.CutPrefix(columns, "index '"); isIndex {
		return strings.TrimSuffix(name, "'")
	}
	var table string
	var names []string
	for c := range strings.SplitSeq(columns, ", ") {
		t, name, _ := strings.Cut(c, ".")
		table = t
		names = append(names, name)
	}
	if err.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY {
		return table + "_pkey"
	}
	return table + "_" + strings.Join(names, "_") + "_key"
}

// IsForeignKey reports whether err is the refusal of a foreign key.
func IsForeignKey(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "23503"
	}
	lite, ok := errors.AsType[*sqlite.Error](err)
	return ok && lite.Code() == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
}

// classify turns what an engine said into ErrUnavailable where the database,
// not the statement, is at fault. parent is the caller's context: a caller
// who left is no outage.
func classify(parent context.Context, err error) error {
	if err == nil || errors.Is(err, ErrNoRows) {
		return err
	}
	if ctxErr := parent.Err(); ctxErr != nil && !errors.Is(ctxErr, context.DeadlineExceeded) {
		return errors.Join(ctxErr, err)
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		if unavailableCode(pg.Code) {
			return ErrUnavailable.With(err)
		}
		return err
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		switch lite.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL,
			sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY:
			return ErrUnavailable.With(err)
		}
		return err
	}
	if isConnectionError(err) {
		return ErrUnavailable.With(err)
	}
	return err
}

// unavailableCode knows the SQLSTATEs that mean "not now": connection
// exceptions (08), insufficient resources (53), operator intervention (57,
// which includes the statement timeout) and a read-only standby (25006).
func unavailableCode(code string) bool {
	return strings.HasPrefix(code, "08") || strings.HasPrefix(code, "53") ||
		strings.HasPrefix(code, "57") || code == "25006"
}

func isConnectionError(err error) bool {
	var connect *pgconn.ConnectError
	return errors.As(err, &connect) || errors.Is(err, context.DeadlineExceeded) ||
		pgconn.Timeout(err) || pgconn.SafeToRetry(err) || isNetwork(err)
}

// isSerialization reports whether the same transaction may simply run again.
func isSerialization(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == "40001" || pg.Code == "40P01")
}
