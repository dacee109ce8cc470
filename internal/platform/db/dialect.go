package db

import "hash/fnv"

// dialect is the part of SQL that has no common text.
type dialect struct {
	name       string
	forUpdate  string
	skipLocked string
}

//nolint:gochecknoglobals // constants of a type that can't be one
var (
	postgresDialect = dialect{name: "postgres", forUpdate: " FOR UPDATE", skipLocked: " FOR UPDATE SKIP LOCKED"}
	sqliteDialect   = dialect{name: "sqlite"}
)

// planning says when PostgreSQL plans a statement.
type planning bool

const (
	planOnce planning = false // once a connection, the plan is kept
	planEach planning = true  // for the values at hand, at each run
)

// lockKey maps a lock's name to the integer that PostgreSQL wants.
func lockKey(name string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return int64(h.Sum64())
}
