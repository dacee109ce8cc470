package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// groupCommit lets transactions that wait for the one writer of SQLite share a
// commit, and so one sync of the disk. Whoever finds the writer free leads:
// it runs the waiting members one after another, each in a savepoint, commits
// once, and only then tells them.
type groupCommit struct {
	stmts  statements
	leader chan struct{} // holds one token while somebody leads
	mu     sync.Mutex
	queue  []*member
}

// maxGroup bounds how long the first member waits for the last.
const maxGroup = 64

type member struct {
	tx    *Tx
	fn    func(*Tx) error
	state atomic.Int32
	done  chan struct{}
	err   error
	panic any
}

const (
	waiting int32 = iota
	running
	abandoned
)

// errLost reports that SQLite ended the transaction by itself.
var errLost = errors.New("db: transaction lost")

func (g *groupCommit) init(writer *sql.Conn) {
	g.leader = make(chan struct{}, 1)
	g.stmts.prepare = writer.PrepareContext
}

func (g *groupCommit) run(ctx context.Context, tx *Tx, fn func(*Tx) error) error {
	m := &member{tx: tx, fn: fn, done: make(chan struct{})}
	g.mu.Lock()
	g.queue = append(g.queue, m)
	g.mu.Unlock()
	select {
	case g.leader <- struct{}{}:
		g.lead(context.WithoutCancel(ctx))
		<-g.leader
	case <-m.done:
	case <-ctx.Done():
		if m.state.CompareAndSwap(waiting, abandoned) {
			return ctx.Err()
		}
	}
	// Either it ran, or somebody leads it now; the outcome is soon known.
	g.await(ctx, m)
	if m.panic != nil {
		panic(m.panic)
	}
	return m.err
}

// await waits for m, leading further groups if m was left in the queue.
func (g *groupCommit) await(ctx context.Context, m *member) {
	for {
		select {
		case <-m.done:
			return
		case g.leader <- struct{}{}:
			g.lead(context.WithoutCancel(ctx))
			<-g.leader
		}
	}
}

// lead takes the waiting members and carries them to their end.
func (g *groupCommit) lead(ctx context.Context) {
	g.mu.Lock()
	n := min(len(g.queue), maxGroup)
	group := make([]*member, 0, n)
	for _, m := range g.queue[:n] {
		if m.state.CompareAndSwap(waiting, running) {
			group = append(group, m)
		}
	}
	g.queue = g.queue[n:]
	if len(g.queue) == 0 {
		g.queue = nil // frees the backing array
	}
	g.mu.Unlock()

	// The fault of one must not be the fault of all. Where nothing could
	// begin, it is nobody's fault and trying again would only wait again.
	if begun, err := g.commit(ctx, group); err != nil && begun && len(group) > 1 {
		for _, m := range group {
			m.err = nil
			_, _ = g.commit(ctx, []*member{m})
		}
	}
	for _, m := range group {
		close(m.done)
	}
}

// commit runs the group in one transaction and reports whether that began. An
// error means that nothing of the group was kept, and stands in every member.
func (g *groupCommit) commit(ctx context.Context, group []*member) (begun bool, err error) {
	if len(group) == 0 {
		return false, nil
	}
	err = g.control(ctx, "BEGIN IMMEDIATE")
	begun = err == nil
	if begun {
		if err = g.runAll(ctx, group); err == nil {
			err = g.control(ctx, "COMMIT")
		}
		if err != nil {
			_ = g.control(ctx, "ROLLBACK") // fails where SQLite did it already
		}
	}
	if err != nil {
		for _, m := range group {
			if m.err == nil || len(group) > 1 {
				m.err = err
			}
		}
	}
	return begun, err
}

func (g *groupCommit) runAll(ctx context.Context, group []*member) error {
	if len(group) == 1 {
		m := group[0]
		g.call(ctx, m)
		return m.err
	}
	for _, m := range group {
		if err := g.control(ctx, "SAVEPOINT member"); err != nil {
			return err
		}
		g.call(ctx, m)
		if m.err != nil {
			if err := g.control(ctx, "ROLLBACK TO member"); err != nil {
				return fmt.Errorf("%w: %w", errLost, err)
			}
		}
		if err := g.control(ctx, "RELEASE member"); err != nil {
			return fmt.Errorf("%w: %w", errLost, err)
		}
	}
	return nil
}

// call runs the member's function and what it left queued.
func (g *groupCommit) call(ctx context.Context, m *member) {
	conn := sqliteTx{&g.stmts}
	m.tx.restart(conn)
	m.panic = nil
	defer func() {
		if p := recover(); p != nil {
			m.panic = p
			m.err = fmt.Errorf("db: panic in transaction: %v", p)
		}
	}()
	m.err = m.fn(m.tx)
	if m.err == nil {
		m.err = conn.flush(ctx, m.tx.take())
	}
}

func (g *groupCommit) control(ctx context.Context, text string) error {
	st, err := g.stmts.get(ctx, text)
	if err != nil {
		return classify(ctx, err)
	}
	_, err = st.ExecContext(ctx)
	return classify(ctx, err)
}
