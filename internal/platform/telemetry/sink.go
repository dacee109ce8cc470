package telemetry

import (
	"bytes"
	"context"
	"io"
	"sync"
	"sync/atomic"
)

// maxSpool bounds the bytes that wait for a slow sink.
const maxSpool = 1 << 20

// Sink keeps a slow or stuck writer from stopping those who write to it. While
// Run runs, a Write only appends to a bounded spool; what does not fit is
// dropped and counted. Before and after, writes go straight through. It is safe
// for concurrent use.
type Sink struct {
	dropped atomic.Uint64
	wake    chan struct{} // holds one signal: there is something to write

	out sync.Mutex // held while writing to w; taken before mu
	w   io.Writer

	mu      sync.Mutex
	spool   []byte
	running bool
}

// NewSink returns a Sink in front of w.
func NewSink(w io.Writer) *Sink { return &Sink{w: w, wake: make(chan struct{}, 1)} }

// Write takes whole lines. It reports no error: a log that cannot be written
// must not fail its writer.
func (s *Sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	if s.running {
		if len(s.spool)+len(p) > maxSpool {
			s.drop(p)
		} else {
			s.spool = append(s.spool, p...)
		}
		s.mu.Unlock()
		select {
		case s.wake <- struct{}{}:
		default:
		}
		return len(p), nil
	}
	s.mu.Unlock()
	s.out.Lock()
	defer s.out.Unlock()
	s.write(p)
	return len(p), nil
}

// Dropped returns how many lines were lost so far.
func (s *Sink) Dropped() uint64 { return s.dropped.Load() }

// Run writes until ctx ends, and then what is left. It returns nil.
func (s *Sink) Run(ctx context.Context) error {
	s.mu.Lock()
	s.running = true
	s.mu.Unlock()
	var batch []byte
	for {
		select {
		case <-s.wake:
			batch = s.flush(batch, true)
		case <-ctx.Done():
			s.flush(batch, false)
			return nil
		}
	}
}

// flush writes the spool and leaves batch's memory in its place. Lines keep
// their order also when those to come go straight through.
func (s *Sink) flush(batch []byte, running bool) []byte {
	s.out.Lock()
	defer s.out.Unlock()
	s.mu.Lock()
	s.running = running
	batch, s.spool = s.spool, batch[:0]
	s.mu.Unlock()
	s.write(batch)
	return batch
}

func (s *Sink) write(p []byte) {
	if len(p) == 0 {
		return
	}
	if n, err := s.w.Write(p); err != nil {
		s.drop(p[min(n, len(p)):])
	}
}

func (s *Sink) drop(p []byte) { s.dropped.Add(uint64(bytes.Count(p, []byte{'\n'}))) }
