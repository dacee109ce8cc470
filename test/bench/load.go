package main

import (
	"bufio"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// load is a closed loop: each connection sends its next request when the
// answer to the last one has come.
type load struct {
	connections int
	want        int // status of success
	// next returns request number i of connection c.
	next func(c, i int) []byte
	// took, if set, is told of every success.
	took func(c, i int, r reply, d time.Duration)
}

// sample is what a load measured.
type sample struct {
	elapsed time.Duration
	took    []time.Duration // of every success, ascending
	refused int             // 503: the server said that it is busy
	errors  int             // any other answer, and broken connections
	reason  string          // of the first error
	cpu     shares
}

// rate returns successes per second.
func (s sample) rate() float64 { return float64(len(s.took)) / s.elapsed.Seconds() }

// at returns the quantile q of the times.
func (s sample) at(q float64) time.Duration {
	if len(s.took) == 0 {
		return 0
	}
	return s.took[min(len(s.took)-1, int(q*float64(len(s.took))))]
}

// cost returns the processor time that a success took of everybody who had a
// part in it, which is what the rate comes from however busy the machine is.
func (s sample) cost() time.Duration {
	if len(s.took) == 0 {
		return 0
	}
	used := s.cpu.server + s.cpu.database + s.cpu.redis + s.cpu.clients
	return time.Duration(used * float64(runtime.NumCPU()) * float64(s.elapsed) / float64(len(s.took)))
}

func (s *sample) add(o sample) {
	s.took = append(s.took, o.took...)
	s.refused += o.refused
	s.errors += o.errors
	if s.reason == "" {
		s.reason = o.reason
	}
}

const (
	warmUp = 2 * time.Second
	// afterRefusal is how long a client waits that was told 503.
	afterRefusal = 500 * time.Millisecond
	// drain bounds how long requests may take after the end of a load.
	drain = 20 * time.Second
	// mostErrors ends a connection's loop: what it measures says nothing then.
	mostErrors = 1000
)

// window is the time in which requests count: those that end in it.
type window struct{ from, to time.Time }

func (w window) holds(t time.Time) bool { return t.After(w.from) && t.Before(w.to) }

// run drives the load at the servers in turn, and counts what is answered
// within the window.
func (l load) run(ctx context.Context, addrs []string, w window) sample {
	samples := make([]sample, l.connections)
	var wg sync.WaitGroup
	for c := range l.connections {
		wg.Go(func() { samples[c] = l.loop(ctx, c, addrs[c%len(addrs)], w) })
	}
	wg.Wait()
	all := sample{elapsed: w.to.Sub(w.from)}
	for _, s := range samples {
		all.add(s)
	}
	slices.Sort(all.took)
	return all
}

// loop is one connection of the load.
func (l load) loop(ctx context.Context, c int, addr string, w window) (s sample) {
	var link *conn
	defer func() {
		if link != nil {
			link.Close()
		}
	}()
	fail := func(reason string) {
		s.errors++
		if s.reason == "" {
			s.reason = reason
		}
	}
	for i := 0; ctx.Err() == nil && time.Now().Before(w.to) && s.errors < mostErrors; i++ {
		if link == nil {
			var err error
			if link, err = dial(ctx, addr, w.to.Add(drain)); err != nil {
				fail(err.Error())
				continue
			}
		}
		request := l.next(c, i)
		began := time.Now()
		r, err := link.do(request)
		ended := time.Now()
		switch {
		case err != nil:
			fail(err.Error())
			link.Close()
			link = nil
		case r.status == 503:
			if w.holds(ended) {
				s.refused++
			}
			pause(ctx, afterRefusal)
		case r.status != l.want:
			fail(fmt.Sprintf("%d %.300s", r.status, r.body))
		default:
			if l.took != nil {
				l.took(c, i, r, ended.Sub(began))
			}
			if w.holds(ended) {
				s.took = append(s.took, ended.Sub(began))
			}
		}
	}
	return s
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// paced sends requests at a fixed rate over connections that all stay open.
// The time of a request counts from when it was due, so that a server that
// stops for a while is not let off the requests that waited.
type paced struct {
	rate int
	want int
	next func(i int) []byte
}

// senders is how many requests of a paced load may wait at once.
const senders = 256

type due struct {
	i  int
	at time.Time
}

// run drives the load over links.
func (p paced) run(ctx context.Context, links []*conn, w window) sample {
	queue := make(chan due, p.rate*int(drain/time.Second))
	samples := make([]sample, senders)
	var wg sync.WaitGroup
	for n := range senders {
		wg.Go(func() { samples[n] = p.send(links, queue, w) })
	}
	every := time.Second / time.Duration(p.rate)
	tick := time.NewTicker(every)
	defer tick.Stop()
	next := time.Now()
	for i := 0; ctx.Err() == nil && next.Before(w.to); {
		<-tick.C
		for ; !next.After(time.Now()) && next.Before(w.to); i++ {
			queue <- due{i, next}
			next = next.Add(every)
		}
	}
	close(queue)
	wg.Wait()
	all := sample{elapsed: w.to.Sub(w.from)}
	for _, s := range samples {
		all.add(s)
	}
	slices.Sort(all.took)
	return all
}

func (p paced) send(links []*conn, queue <-chan due, w window) (s sample) {
	r := bufio.NewReaderSize(nil, 16<<10)
	for d := range queue {
		link := links[d.i%len(links)]
		r.Reset(link.Conn)
		one := conn{Conn: link.Conn, r: r}
		got, err := one.do(p.next(d.i))
		switch {
		case err != nil:
			s.errors++
			s.reason = err.Error()
		case got.status != p.want:
			s.errors++
			s.reason = fmt.Sprintf("%d %.300s", got.status, got.body)
		case w.holds(d.at):
			s.took = append(s.took, time.Since(d.at))
		}
	}
	return s
}
