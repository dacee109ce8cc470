package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/platform/db"
)

// openConnections holds many connections open that ask for something now and
// then.
func (b *bench) openConnections(ctx context.Context) error {
	const open, rate = 10_000, 500
	if err := b.signIn(ctx); err != nil {
		return err
	}
	requests := gets(b.cast.members, "/users/profile")
	links, err := b.openAll(ctx, open, requests)
	defer func() {
		for _, link := range links {
			if link != nil {
				link.Close()
			}
		}
	}()
	if err != nil {
		return err
	}
	var s sample
	var most float64
	cpu := b.during(ctx, "connections", max(b.settings.length(), 20*time.Second), func(w window) {
		done := make(chan struct{})
		go func() {
			for time.Now().Before(w.to) && ctx.Err() == nil {
				most = max(most, b.stack.memory())
				pause(ctx, time.Second/4)
			}
			close(done)
		}()
		p := paced{rate: rate, want: http.StatusOK, next: func(i int) []byte { return requests[i%len(requests)] }}
		s = p.run(ctx, links, w)
		<-done
	})
	b.keep("connections", s, cpu)
	b.note("connections", s.at(0.99) < 60*time.Millisecond && s.errors == 0 && most < 250,
		"p99 %s, %d errors, %.0f MB%s", short(s.at(0.99)), s.errors, most, b.each())
	return nil
}

// openAll opens n connections and asks one thing on each.
func (b *bench) openAll(ctx context.Context, n int, requests [][]byte) ([]*conn, error) {
	const dialers = 32
	addrs, links := b.stack.fronts(), make([]*conn, n)
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for d := range dialers {
		wg.Go(func() {
			for i := d; i < n && failed.Load() == nil; i += dialers {
				link, err := dial(ctx, addrs[i%len(addrs)], time.Now().Add(10*time.Minute))
				if err != nil {
					failed.Store(&err)
					return
				}
				links[i] = link
				r, err := link.do(requests[i%len(requests)])
				if err != nil || r.status != http.StatusOK {
					err = fmt.Errorf("connection %d: %d %w", i, r.status, err)
					failed.Store(&err)
					return
				}
				link.r = nil // its buffers are of no use until it is used again
				link.body = nil
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return links, *err
	}
	return links, nil
}

// each says that a figure is that of one of several processes.
func (b *bench) each() string {
	if b.stack.count > 1 {
		return " in the larger process"
	}
	return ""
}

// log waits until every entry is sealed and has the log proven.
func (b *bench) log(ctx context.Context) error {
	loaded, err := config.Load(config.Input{Environ: b.stack.environ(), ReadFile: config.ReadFile})
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	d, err := db.Open(ctx, db.Config{URL: loaded.Database.URL.Reveal(), PoolSize: 1})
	if err != nil {
		return err
	}
	defer d.Close()
	var waiting, left, sealed int
	began := time.Now()
	for {
		if err := d.QueryRow(ctx, `SELECT count(*) FROM audit_queue`).Scan(&left); err != nil {
			return fmt.Errorf("count entries: %w", err)
		}
		waiting = max(waiting, left)
		if left == 0 || time.Since(began) > time.Minute {
			break
		}
		pause(ctx, 100*time.Millisecond)
	}
	caughtUp := time.Since(began)
	if err := d.QueryRow(ctx, `SELECT count(*) FROM audit_seals`).Scan(&sealed); err != nil {
		return fmt.Errorf("count entries: %w", err)
	}
	if err := b.signIn(ctx); err != nil {
		return err
	}
	link, err := dial(ctx, b.stack.fronts()[0], time.Now().Add(5*time.Minute))
	if err != nil {
		return err
	}
	defer link.Close()
	began = time.Now()
	r, err := link.do(request("GET", "/admin/audit-logs/verify", b.cast.auditor.from, b.cast.auditor.access, ""))
	if err != nil || r.status != http.StatusOK {
		return fmt.Errorf("verify the log: %d %.300s %w", r.status, r.body, err)
	}
	whole := strings.Contains(string(r.body), `"ok":true`)
	b.note("log", whole && left == 0, "%s sealed, %d waiting at the end for %s, proven whole in %s",
		count(float64(sealed)), waiting, short(caughtUp), short(time.Since(began)))
	if !whole {
		progress("verify: %.500s", r.body)
	}
	return nil
}

const idle = 10 * time.Second

// restart measures the start on the data of this run, on empty databases, and
// the memory of a process that does nothing.
func (b *bench) restart(ctx context.Context) error {
	const times = 3
	var existing, empty time.Duration
	for range times {
		b.stack.stop()
		took, err := b.stack.start(ctx)
		if err != nil {
			return err
		}
		existing = max(existing, took)
	}
	pause(ctx, idle)
	memory := b.stack.memory()
	used := b.stack.env
	defer func() { b.stack.env = used }()
	b.stack.stop()
	for i := range times {
		if err := b.stack.use(ctx, fmt.Sprintf("empty%d", i)); err != nil {
			return err
		}
		began := time.Now()
		if err := b.stack.migrate(ctx); err != nil {
			return err
		}
		migrated := time.Since(began)
		took, err := b.stack.start(ctx)
		if err != nil {
			return err
		}
		empty = max(empty, migrated+took)
		b.stack.stop()
	}
	b.note("start", existing < 300*time.Millisecond && empty < time.Second, "%s on existing data, %s on an empty %s",
		short(existing), short(empty), map[string]string{embedded: "folder", production: "database, migration included"}[b.stack.name])
	b.note("memory", memory < 50, "%.0f MB%s", memory, b.each())
	b.stack.env = used
	_, err := b.stack.start(ctx)
	return err
}
