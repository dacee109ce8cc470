package rediscache

import "sync/atomic"

// breaker counts failures in a row. Once tripped it stays open until closed:
// users' requests don't try out whether Redis is back.
type breaker struct {
	failures atomic.Int32
	open     atomic.Bool
}

// failed reports whether this failure tripped the breaker.
func (b *breaker) failed() bool {
	return b.failures.Add(1) >= tripAfter && b.open.CompareAndSwap(false, true)
}

func (b *breaker) succeeded() {
	if b.failures.Load() != 0 { // don't write to shared memory on each read
		b.failures.Store(0)
	}
}

// trip opens the breaker and reports whether it was closed.
func (b *breaker) trip() bool { return b.open.CompareAndSwap(false, true) }

// close reports whether the breaker was open.
func (b *breaker) close() bool {
	b.failures.Store(0)
	return b.open.CompareAndSwap(true, false)
}
