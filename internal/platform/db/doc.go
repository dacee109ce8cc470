// Package db speaks to PostgreSQL or SQLite through one SQL text.
//
// Statements are written by hand with $1, $2 placeholders in the dialect that
// both engines share. Reads go through a Querier, which a *DB and a *Tx both
// are; writes happen only inside DB.Tx. On PostgreSQL a transaction pipelines:
// BEGIN, everything queued and the next statement travel in one exchange, and
// so do the rest and COMMIT. On SQLite transactions that wait for the single
// writer share one durable commit, each in a savepoint of its own.
//
// Values travel as they are: time.Time (the zero value is NULL), id.ID (the
// zero value is NULL), netip.Addr, []byte, strings, integers, booleans and
// pointers to them for NULL. SQLite keeps instants as integer microseconds.
package db
