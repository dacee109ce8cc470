package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// connections is how many there are unless an operation says otherwise.
const connections = 32

// bench measures one stack.
type bench struct {
	settings settings
	stack    *stack
	cast     *cast
	figures  map[string]figure // by row of the table
	details  []detail
}

// figure is what stands in one cell of the table.
type figure struct {
	text string
	met  bool
}

// detail is one load in full.
type detail struct {
	stack, name string
	sample      sample
}

func (b *bench) note(row string, met bool, format string, args ...any) {
	b.figures[row] = figure{fmt.Sprintf(format, args...), met}
}

// during opens a window of the given length, calls fn with it, and returns who
// used the processors in that time.
func (b *bench) during(ctx context.Context, name string, length time.Duration, fn func(w window)) shares {
	w := window{from: time.Now().Add(warmUp)}
	w.to = w.from.Add(length)
	var before, after ticks
	var wg sync.WaitGroup
	wg.Go(func() {
		pause(ctx, time.Until(w.from))
		before = readTicks()
		pause(ctx, time.Until(w.to))
		after = readTicks()
	})
	if b.settings.pprof != "" {
		wg.Go(func() {
			pause(ctx, time.Until(w.from))
			file := filepath.Join(b.settings.pprof, b.stack.name+"-"+name+".pprof")
			if err := b.stack.nodes[0].profile(ctx, file, max(1, int(length.Seconds())-1)); err != nil {
				progress("%v", err)
			}
		})
	}
	fn(w)
	wg.Wait()
	return after.since(before, length.Seconds())
}

// measure runs a load and keeps what it found.
func (b *bench) measure(ctx context.Context, name string, l load) sample {
	var s sample
	cpu := b.during(ctx, name, b.settings.length(), func(w window) { s = l.run(ctx, b.stack.fronts(), w) })
	return b.keep(name, s, cpu)
}

func (b *bench) keep(name string, s sample, cpu shares) sample {
	s.cpu = cpu
	b.details = append(b.details, detail{b.stack.name, name, s})
	progress("%s, %s: %.1f /s, p50 %s, p99 %s, %d refused, %d errors, CPU %s; server %.0f %%, database %.0f %%, redis %.0f %%, clients %.0f %%, elsewhere %.0f %%",
		b.stack.name, name, s.rate(), short(s.at(0.5)), short(s.at(0.99)), s.refused, s.errors, short(s.cost()),
		100*cpu.server, 100*cpu.database, 100*cpu.redis, 100*cpu.clients, 100*cpu.elsewhere)
	if s.reason != "" {
		progress("first error: %s", s.reason)
	}
	return s
}

// of returns which of n people request i of connection c is for, so that no
// two connections ever speak for the same person.
func of(n, connections, c, i int) int {
	return (i*connections + c) % (n - n%connections)
}

// tokenLife is how long access tokens are used: they live 15 minutes.
const tokenLife = 6 * time.Minute

// signIn gives everybody in the cast a fresh access token.
func (b *bench) signIn(ctx context.Context) error {
	c := b.cast
	if time.Since(c.minted) < tokenLife {
		return nil
	}
	var people []*person
	for _, list := range [][]person{c.members, c.staff} {
		for i := range list {
			people = append(people, &list[i])
		}
	}
	people = append(people, &c.auditor)
	const links = 16
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for n := range links {
		wg.Go(func() {
			link, err := dial(ctx, b.stack.fronts()[n%len(b.stack.nodes)], time.Now().Add(time.Minute))
			if err != nil {
				failed.Store(&err)
				return
			}
			defer link.Close()
			for i := n; i < len(people) && ctx.Err() == nil; i += links {
				if err := renew(link, people[i]); err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return fmt.Errorf("sign people in: %w", *err)
	}
	c.minted = time.Now()
	return ctx.Err()
}

func renew(link *conn, p *person) error {
	r, err := link.do(refreshRequest(p))
	if err != nil {
		return err
	}
	if r.status != http.StatusOK {
		return fmt.Errorf("refresh: %d %s", r.status, r.body)
	}
	p.take(r)
	return nil
}

// take keeps the tokens of an answer.
func (p *person) take(r reply) {
	p.access, p.refresh = field(r.body, "access_token"), field(r.body, "refresh_token")
}

func refreshRequest(p *person) []byte {
	return request("POST", "/auth/refresh", p.from, "", `{"refresh_token":"`+p.refresh+`"}`)
}

// gets builds one GET for each person.
func gets(people []person, path string) [][]byte {
	list := make([][]byte, len(people))
	for i, p := range people {
		list[i] = request("GET", path, p.from, p.access, "")
	}
	return list
}

// reading is a load of ready requests, each for another person.
func reading(connections int, requests [][]byte) load {
	return load{connections: connections, want: http.StatusOK, next: func(c, i int) []byte {
		return requests[of(len(requests), connections, c, i)]
	}}
}
