package db

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Config says which database to open and how.
type Config struct {
	// URL is "sqlite:PATH" or "postgres://…".
	URL string
	// PoolSize bounds the connections to PostgreSQL and the readers of
	// SQLite. 0 means 20.
	PoolSize int
	// CallTimeout bounds one exchange with the server, and half of it the
	// making of a connection. 0 means 1.8 s, so that a server which vanished is
	// told to the client within 3 s.
	CallTimeout time.Duration
	// Now is the clock. nil means time.Now.
	Now func() time.Time
	// Logger hears of lost connections. nil discards.
	Logger *slog.Logger
}

const (
	defaultPoolSize    = 20
	defaultCallTimeout = 1800 * time.Millisecond
)

// Querier reads. A *DB reads what is committed; a *Tx also what it wrote.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (*Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) *Row
}

// Scanner is a row under a cursor, or a single row.
type Scanner interface {
	Scan(dest ...any) error
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	engine engine
	now    func() time.Time
	log    *slog.Logger

	frequent  frequent
	mu        sync.RWMutex
	listeners map[string][]func(payload string)
}

// engine is what PostgreSQL and SQLite do differently.
type engine interface {
	query(ctx context.Context, plan planning, sql string, args []any) (*Rows, error)
	transact(ctx context.Context, member *Tx, fn func(*Tx) error) error
	migrate(ctx context.Context, files []migration, grantTo string) ([]string, error)
	applied(ctx context.Context) (map[int]string, error)
	listen(ctx context.Context, channels []string, deliver func(channel, payload string)) error
	changed(ctx context.Context, since *int64) (bool, error)
	listening(ctx context.Context) (int, error)
	ping(ctx context.Context) error
	stats() Stats
	dialect() dialect
	close()
}

// Stats describes the connections in use.
type Stats struct {
	InUse, Idle, Max int
	Waits            int64 // calls that found no free connection
}

// Open connects to the database of cfg.URL. It does not migrate.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if cfg.PoolSize == 0 {
		cfg.PoolSize = defaultPoolSize
	}
	if cfg.CallTimeout == 0 {
		cfg.CallTimeout = defaultCallTimeout
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	d := &DB{now: cfg.Now, log: cfg.Logger, listeners: map[string][]func(string){}}
	var err error
	switch {
	case strings.HasPrefix(cfg.URL, "sqlite:"):
		d.engine, err = openSQLite(ctx, cfg)
	case strings.HasPrefix(cfg.URL, "postgres://"), strings.HasPrefix(cfg.URL, "postgresql://"):
		d.engine, err = openPostgres(ctx, cfg)
	default:
		err = errors.New("database URL must begin with sqlite: or postgres://")
	}
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return d, nil
}

// Close releases every connection.
func (d *DB) Close() { d.engine.close() }

// Ping reports whether the database answers.
func (d *DB) Ping(ctx context.Context) error { return d.engine.ping(ctx) }

// Stats returns the state of the connection pool.
func (d *DB) Stats() Stats { return d.engine.stats() }

// Embedded reports whether the database lives in a file of this process, so
// that nothing else migrates it and no other role owns it.
func (d *DB) Embedded() bool { return d.engine.dialect() == sqliteDialect }

// Query runs a statement that returns rows. Close the rows, or read them to
// the end, before the next statement of the same transaction.
func (d *DB) Query(ctx context.Context, sql string, args ...any) (*Rows, error) {
	return d.engine.query(ctx, planOnce, sql, args)
}

// QueryPlanned is Query for a statement whose best plan depends on its values,
// such as a search: PostgreSQL plans it anew each time.
func (d *DB) QueryPlanned(ctx context.Context, sql string, args ...any) (*Rows, error) {
	return d.engine.query(ctx, planEach, sql, args)
}

// QueryRow runs a statement that returns at most one row.
func (d *DB) QueryRow(ctx context.Context, sql string, args ...any) *Row {
	rows, err := d.Query(ctx, sql, args...)
	return &Row{rows: rows, err: err}
}

// Tx runs fn in one transaction and commits it if fn returns nil. fn may run
// more than once, so it must touch nothing but tx. When Tx returns nil the
// change is durable.
func (d *DB) Tx(ctx context.Context, fn func(tx *Tx) error) error {
	tx := &Tx{now: d.now().UTC().Truncate(time.Microsecond), dialect: d.engine.dialect()}
	if err := d.engine.transact(ctx, tx, fn); err != nil {
		return err
	}
	for _, n := range tx.notes {
		d.deliver(n.channel, n.payload)
	}
	return nil
}

// Listen calls fn for every Notify on channel, from this process or another
// one. Call it before Run; fn must be quick. A process that lost its
// connection misses notes, so a listener polls as well.
func (d *DB) Listen(channel string, fn func(payload string)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listeners[channel] = append(d.listeners[channel], fn)
}

func (d *DB) deliver(channel, payload string) {
	d.mu.RLock()
	fns := d.listeners[channel]
	d.mu.RUnlock()
	for _, fn := range fns {
		fn(payload)
	}
}

// Run hears the notes of other processes until ctx ends.
func (d *DB) Run(ctx context.Context) error {
	d.mu.RLock()
	channels := make([]string, 0, len(d.listeners))
	for c := range d.listeners {
		channels = append(channels, c)
	}
	d.mu.RUnlock()
	return d.engine.listen(ctx, channels, d.deliver)
}

// Changed reports whether another connection may have committed since the
// call that set *since. It is exact and cheap on SQLite and always true on
// PostgreSQL, where notes travel by themselves.
func (d *DB) Changed(ctx context.Context, since *int64) (bool, error) {
	return d.engine.changed(ctx, since)
}

// Listening returns how many processes hear the notes of this database, which
// is how many nodes run. It is 1 on SQLite.
func (d *DB) Listening(ctx context.Context) (int, error) { return d.engine.listening(ctx) }

// PollInterval is how often a reader that waits for changes of other
// processes should look.
func (d *DB) PollInterval() time.Duration {
	if d.Embedded() {
		return 100 * time.Millisecond
	}
	return time.Second
}

// List reads all rows of a query through scan.
func List[T any](ctx context.Context, q Querier, scan func(Scanner) (T, error), sql string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return Collect(rows, scan)
}

// Collect reads rows to the end through scan and closes them.
func Collect[T any](rows *Rows, scan func(Scanner) (T, error)) ([]T, error) {
	defer rows.Close()
	var list []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// In returns "($n, …)" for values and appends them to args. Of an empty list
// it returns "(NULL)", which nothing equals.
func In[T any](args *[]any, values []T) string {
	if len(values) == 0 {
		return "(NULL)"
	}
	var b strings.Builder
	for i, v := range values {
		*args = append(*args, v)
		b.WriteString([]string{", $", "($"}[b2i(i == 0)])
		b.WriteString(strconv.Itoa(len(*args)))
	}
	b.WriteByte(')')
	return b.String()
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
