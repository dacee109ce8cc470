package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	_ "modernc.org/sqlite" // the driver
)

// sqliteEngine has one writing connection and a pool of readers on the same file.
type sqliteEngine struct {
	writer  *sql.Conn
	readers *sql.DB
	watcher *sql.Conn // sees the commits of every other connection
	watchMu sync.Mutex
	writeDB *sql.DB
	poolMax int

	readStmts statements // prepared on readers
	write     groupCommit
}

func openSQLite(ctx context.Context, cfg Config) (*sqliteEngine, error) {
	path := strings.TrimPrefix(cfg.URL, "sqlite:")
	if err := createPrivate(path); err != nil {
		return nil, err
	}
	s := &sqliteEngine{poolMax: min(cfg.PoolSize, 8)}
	var err error
	if s.writeDB, err = sql.Open("sqlite", sqliteDSN(path, false)); err != nil {
		return nil, err
	}
	s.writeDB.SetMaxOpenConns(1)
	if s.writer, err = s.writeDB.Conn(ctx); err != nil {
		return nil, errors.Join(err, s.writeDB.Close())
	}
	if s.readers, err = sql.Open("sqlite", sqliteDSN(path, true)); err != nil {
		s.close()
		return nil, err
	}
	s.readers.SetMaxOpenConns(s.poolMax + 1) // and the watcher
	s.readers.SetMaxIdleConns(s.poolMax + 1)
	if s.watcher, err = s.readers.Conn(ctx); err != nil {
		s.close()
		return nil, err
	}
	s.readStmts.prepare = s.readers.PrepareContext
	s.write.init(s.writer)
	return s, nil
}

// createPrivate makes the file, so that nobody but the owner ever reads it.
func createPrivate(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// sqliteDSN asks for write-ahead logging with a sync at every commit, so that
// acknowledged means on disk.
func sqliteDSN(path string, readOnly bool) string {
	q := url.Values{}
	for _, pragma := range []string{
		"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)", "foreign_keys(1)",
		"cache_size(-8000)", "temp_store(MEMORY)", "trusted_schema(0)",
	} {
		q.Add("_pragma", pragma)
	}
	if readOnly {
		q.Add("_pragma", "query_only(1)")
	}
	q.Set("_txlock", "immediate")
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

func (s *sqliteEngine) dialect() dialect { return sqliteDialect }

func (s *sqliteEngine) close() {
	s.readStmts.close()
	s.write.stmts.close()
	if s.watcher != nil {
		_ = s.watcher.Close()
	}
	if s.readers != nil {
		_ = s.readers.Close()
	}
	_ = s.writer.Close()
	_ = s.writeDB.Close()
}

func (s *sqliteEngine) stats() Stats {
	st := s.readers.Stats()
	return Stats{InUse: st.InUse, Idle: st.Idle, Max: st.MaxOpenConnections, Waits: st.WaitCount}
}

func (s *sqliteEngine) ping(ctx context.Context) error {
	return classify(ctx, s.readers.PingContext(ctx))
}

func (s *sqliteEngine) changed(ctx context.Context, since *int64) (bool, error) {
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	var version int64
	if err := s.watcher.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version); err != nil {
		return true, classify(ctx, err)
	}
	moved := version != *since
	*since = version
	return moved, nil
}

func (*sqliteEngine) listening(context.Context) (int, error) { return 1, nil }

// listen has nothing to hear: other processes are seen through changed.
func (*sqliteEngine) listen(ctx context.Context, _ []string, _ func(channel, payload string)) error {
	<-ctx.Done()
	return nil
}

func (s *sqliteEngine) query(ctx context.Context, _ planning, text string, args []any) (*Rows, error) {
	st, err := s.readStmts.get(ctx, text)
	if err != nil {
		return nil, classify(ctx, err)
	}
	rows, err := st.QueryContext(ctx, sqliteArgs(args)...)
	if err != nil {
		return nil, classify(ctx, err)
	}
	return sqliteRows(ctx, rows), nil
}

func sqliteRows(ctx context.Context, rows *sql.Rows) *Rows {
	return &Rows{
		cursor:  rows,
		convert: sqliteDest,
		classed: func(err error) error { return classify(ctx, err) },
	}
}

func (s *sqliteEngine) transact(ctx context.Context, tx *Tx, fn func(*Tx) error) error {
	return s.write.run(ctx, tx, fn)
}

// sqliteTx is the writing connection inside a transaction. A statement that
// its context cancels would roll back every member of the group, so the
// context is not passed on.
type sqliteTx struct {
	stmts *statements
}

func (t sqliteTx) exec(ctx context.Context, queued []statement, final statement) (int64, error) {
	ctx = context.WithoutCancel(ctx)
	if err := t.flush(ctx, queued); err != nil {
		return 0, err
	}
	st, err := t.stmts.get(ctx, final.sql)
	if err != nil {
		return 0, classify(ctx, err)
	}
	res, err := st.ExecContext(ctx, sqliteArgs(final.args)...)
	if err != nil {
		return 0, classify(ctx, err)
	}
	n, err := res.RowsAffected()
	return n, classify(ctx, err)
}

func (t sqliteTx) flush(ctx context.Context, queued []statement) error {
	for _, q := range queued {
		if _, err := t.exec(ctx, nil, q); err != nil {
			return err
		}
	}
	return nil
}

func (t sqliteTx) query(ctx context.Context, queued []statement, final statement) (*Rows, error) {
	ctx = context.WithoutCancel(ctx)
	if err := t.flush(ctx, queued); err != nil {
		return nil, err
	}
	st, err := t.stmts.get(ctx, final.sql)
	if err != nil {
		return nil, classify(ctx, err)
	}
	rows, err := st.QueryContext(ctx, sqliteArgs(final.args)...)
	if err != nil {
		return nil, classify(ctx, err)
	}
	return sqliteRows(ctx, rows), nil
}

func (t sqliteTx) tryLock(ctx context.Context, queued []statement, _ int64) (bool, error) {
	return true, t.flush(ctx, queued)
}

// statements keeps each text prepared. Texts are constants of the program and
// of bounded number, but for lists of values; those are not kept.
type statements struct {
	prepare func(ctx context.Context, text string) (*sql.Stmt, error)
	mu      sync.RWMutex
	kept    map[string]*sql.Stmt
}

const maxStatements = 500

func (s *statements) get(ctx context.Context, text string) (*sql.Stmt, error) {
	s.mu.RLock()
	st, ok := s.kept[text]
	s.mu.RUnlock()
	if ok {
		return st, nil
	}
	st, err := s.prepare(context.WithoutCancel(ctx), text)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if first, ok := s.kept[text]; ok {
		_ = st.Close()
		return first, nil
	}
	if s.kept == nil {
		s.kept = map[string]*sql.Stmt{}
	}
	if len(s.kept) >= maxStatements {
		// database/sql closes a statement once its running queries end.
		for oldText, old := range s.kept {
			delete(s.kept, oldText)
			_ = old.Close()
			break
		}
	}
	s.kept[text] = st
	return st, nil
}

func (s *statements) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.kept {
		_ = st.Close()
	}
	s.kept = nil
}
