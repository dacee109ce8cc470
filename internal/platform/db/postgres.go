package db

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	cancelTimeout = 500 * time.Millisecond
	maxAttempts   = 3 // of a transaction that lost a race
	listenRetry   = 200 * time.Millisecond
	keepAlive     = 5 * time.Second
	listenName    = "gatehouse-listen"
)

type postgresEngine struct {
	pool        *pgxpool.Pool
	callTimeout time.Duration
	log         *slog.Logger
}

func openPostgres(ctx context.Context, cfg Config) (*postgresEngine, error) {
	pc, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, err
	}
	pc.MaxConns = int32(min(cfg.PoolSize, 1000))
	pc.MaxConnIdleTime = 5 * time.Minute
	pc.ConnConfig.ConnectTimeout = cfg.CallTimeout / 2
	dialer := &net.Dialer{Timeout: cfg.CallTimeout / 2, KeepAlive: keepAlive}
	pc.ConnConfig.DialFunc = dialer.DialContext
	// A statement that took too long is cancelled at the server and the
	// connection lives on; one that does not even hear that is dropped.
	pc.ConnConfig.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: cancelTimeout}
	}
	for name, value := range map[string]string{
		"application_name":                    "gatehouse",
		"timezone":                            "UTC",
		"statement_timeout":                   "5000",
		"idle_in_transaction_session_timeout": "10000",
	} {
		if _, set := pc.ConnConfig.RuntimeParams[name]; !set {
			pc.ConnConfig.RuntimeParams[name] = value
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, err
	}
	return &postgresEngine{pool: pool, callTimeout: cfg.CallTimeout, log: cfg.Logger}, nil
}

func (p *postgresEngine) dialect() dialect { return postgresDialect }
func (p *postgresEngine) close()           { p.pool.Close() }

func (p *postgresEngine) stats() Stats {
	s := p.pool.Stat()
	return Stats{
		InUse: int(s.AcquiredConns()), Idle: int(s.IdleConns()), Max: int(s.MaxConns()),
		Waits: s.EmptyAcquireCount(),
	}
}

func (p *postgresEngine) ping(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, p.callTimeout)
	defer cancel()
	return classify(ctx, p.pool.Ping(bounded))
}

func (*postgresEngine) changed(context.Context, *int64) (bool, error) { return true, nil }

func (p *postgresEngine) query(ctx context.Context, plan planning, sql string, args []any) (*Rows, error) {
	bounded, cancel := context.WithTimeout(ctx, p.callTimeout)
	args = postgresArgs(args)
	if plan == planEach {
		args = append([]any{pgx.QueryExecModeCacheDescribe}, args...)
	}
	rows, err := p.pool.Query(bounded, sql, args...)
	if err != nil {
		cancel()
		return nil, classify(ctx, err)
	}
	return postgresRows(ctx, rows, cancel), nil
}

func postgresRows(ctx context.Context, rows pgx.Rows, release func()) *Rows {
	return &Rows{
		cursor:  pgxCursor{rows},
		convert: postgresDest,
		release: release,
		classed: func(err error) error { return classify(ctx, err) },
	}
}

// pgxCursor gives pgx.Rows the Close that reports an error.
type pgxCursor struct{ pgx.Rows }

func (c pgxCursor) Close() error {
	c.Rows.Close()
	return nil // Err has it
}

func (c pgxCursor) Err() error {
	c.Rows.Close()
	return c.Rows.Err()
}

// transact runs fn, again if it lost a race that only running it again solves.
func (p *postgresEngine) transact(ctx context.Context, tx *Tx, fn func(*Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := p.attempt(ctx, tx, fn)
		if err == nil || !isSerialization(err) || attempt == maxAttempts {
			return err
		}
		select {
		case <-time.After(time.Duration(rand.Int64N(int64(attempt) * int64(10*time.Millisecond)))):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *postgresEngine) attempt(ctx context.Context, tx *Tx, fn func(*Tx) error) error {
	bounded, cancel := context.WithTimeout(ctx, p.callTimeout)
	conn, err := p.pool.Acquire(bounded)
	cancel()
	if err != nil {
		return classify(ctx, err)
	}
	pt := &postgresTx{conn: conn.Conn(), callTimeout: p.callTimeout}
	tx.restart(pt)
	defer func() {
		// Also after a panic in fn: nothing half done stays on the connection.
		pt.rollback(context.WithoutCancel(ctx))
		conn.Release()
	}()
	if err := fn(tx); err != nil {
		return err
	}
	return pt.commit(ctx, tx.take())
}

// postgresTx sends BEGIN together with the first statement and COMMIT together
// with the last ones.
type postgresTx struct {
	conn        *pgx.Conn
	callTimeout time.Duration
	open        bool
}

var errRolledBack = errors.New("db: COMMIT of a failed transaction")

func (t *postgresTx) batch(queued []statement) *pgx.Batch {
	b := &pgx.Batch{}
	if !t.open {
		b.Queue("BEGIN")
		t.open = true
	}
	for _, s := range queued {
		b.Queue(s.sql, postgresArgs(s.args)...)
	}
	return b
}

// send sends the batch and reads all answers but the last.
func (t *postgresTx) send(ctx context.Context, b *pgx.Batch) (pgx.BatchResults, error) {
	br := t.conn.SendBatch(ctx, b)
	for range b.Len() - 1 {
		if _, err := br.Exec(); err != nil {
			_ = br.Close() // repeats err
			return nil, err
		}
	}
	return br, nil
}

func (t *postgresTx) exec(ctx context.Context, queued []statement, final statement) (int64, error) {
	bounded, cancel := context.WithTimeout(ctx, t.callTimeout)
	defer cancel()
	b := t.batch(queued)
	b.Queue(final.sql, postgresArgs(final.args)...)
	br, err := t.send(bounded, b)
	if err != nil {
		return 0, classify(ctx, err)
	}
	tag, err := br.Exec()
	if err := errors.Join(err, br.Close()); err != nil {
		return 0, classify(ctx, err)
	}
	return tag.RowsAffected(), nil
}

func (t *postgresTx) query(ctx context.Context, queued []statement, final statement) (*Rows, error) {
	bounded, cancel := context.WithTimeout(ctx, t.callTimeout)
	b := t.batch(queued)
	b.Queue(final.sql, postgresArgs(final.args)...)
	br, err := t.send(bounded, b)
	if err != nil {
		cancel()
		return nil, classify(ctx, err)
	}
	rows, err := br.Query()
	if err != nil {
		_ = br.Close()
		cancel()
		return nil, classify(ctx, err)
	}
	return postgresRows(ctx, batchRows{rows, br}, cancel), nil
}

// batchRows ends the batch when its last answer is read.
type batchRows struct {
	pgx.Rows
	batch pgx.BatchResults
}

func (r batchRows) Close() {
	r.Rows.Close()
	_ = r.batch.Close() // an error of the last statement is in Rows.Err
}

func (t *postgresTx) tryLock(ctx context.Context, queued []statement, key int64) (bool, error) {
	rows, err := t.query(ctx, queued, statement{`SELECT pg_try_advisory_xact_lock($1)`, []any{key}})
	var taken bool
	err = (&Row{rows: rows, err: err}).Scan(&taken)
	return taken, err
}

func (t *postgresTx) commit(ctx context.Context, queued []statement) error {
	if !t.open && len(queued) == 0 {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, t.callTimeout)
	defer cancel()
	b := t.batch(queued)
	b.Queue("COMMIT")
	br, err := t.send(bounded, b)
	if err != nil {
		return classify(ctx, err)
	}
	tag, err := br.Exec()
	if err := errors.Join(err, br.Close()); err != nil {
		return classify(ctx, err)
	}
	t.open = false
	if tag.String() != "COMMIT" {
		return errRolledBack
	}
	return nil
}

func (t *postgresTx) rollback(ctx context.Context) {
	if !t.open {
		return
	}
	t.open = false
	bounded, cancel := context.WithTimeout(ctx, t.callTimeout)
	defer cancel()
	if _, err := t.conn.Exec(bounded, "ROLLBACK"); err != nil {
		// The pool drops a connection that is closed.
		_ = t.conn.Close(bounded)
	}
}

func (p *postgresEngine) listening(ctx context.Context) (n int, err error) {
	rows, err := p.query(ctx, planOnce, `SELECT count(*) FROM pg_stat_activity
		WHERE application_name = $1 AND datname = current_database()`, []any{listenName})
	err = (&Row{rows: rows, err: err}).Scan(&n)
	return n, err
}

// listen hears notes on a connection of its own and comes back when that is
// lost.
func (p *postgresEngine) listen(ctx context.Context, channels []string, deliver func(channel, payload string)) error {
	if len(channels) == 0 {
		<-ctx.Done()
		return nil
	}
	for ctx.Err() == nil {
		if err := p.listenOnce(ctx, channels, deliver); err != nil && ctx.Err() == nil {
			p.log.WarnContext(ctx, "database notifications lost", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(listenRetry):
		}
	}
	return nil
}

func (p *postgresEngine) listenOnce(ctx context.Context, channels []string, deliver func(channel, payload string)) error {
	cfg := p.pool.Config().ConnConfig.Copy()
	cfg.RuntimeParams["application_name"] = listenName
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
		defer cancel()
		_ = conn.Close(bounded)
	}()
	for _, c := range channels {
		if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{c}.Sanitize()); err != nil {
			return err
		}
	}
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		deliver(n.Channel, n.Payload)
	}
}
