package db

import (
	"database/sql"
	"errors"
)

// ErrNoRows is returned by Row.Scan when there is no row.
var ErrNoRows = sql.ErrNoRows

// cursor is an engine's rows.
type cursor interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close() error
}

// Rows is the answer of a query, read one row at a time.
type Rows struct {
	cursor  cursor
	convert func(dest []any) []any
	release func()
	classed func(error) error
	closed  bool
	err     error
}

// Next moves to the next row. At the end it closes the rows.
func (r *Rows) Next() bool {
	if r.closed {
		return false
	}
	if r.cursor.Next() {
		return true
	}
	r.Close()
	return false
}

// Scan reads the current row.
func (r *Rows) Scan(dest ...any) error {
	return r.cursor.Scan(r.convert(dest)...)
}

// Err returns what ended the reading, nil at the regular end.
func (r *Rows) Err() error { return r.err }

// Close ends the reading. It is safe to call it twice.
func (r *Rows) Close() {
	if r.closed {
		return
	}
	r.closed = true
	r.err = r.classed(errors.Join(r.cursor.Err(), r.cursor.Close()))
	if r.release != nil {
		r.release()
	}
}

// Row is the answer of QueryRow.
type Row struct {
	rows *Rows
	err  error
}

// Scan reads the row, or returns ErrNoRows.
func (r *Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	r.rows.Close()
	return r.rows.Err()
}
