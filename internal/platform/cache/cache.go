// Package cache keeps bytes that may be lost at any moment: in this process,
// or in Redis (package rediscache). A cache only speeds things up. Whoever
// reads from it treats the bytes as untrusted and must be able to do without.
package cache

import (
	"context"
	"time"
)

// Cache stores values under keys for a limited time. Every failure is a miss:
// no method returns an error or takes longer than a few tens of milliseconds.
// It is safe for concurrent use.
//
// A change is seen by every later Get in the same process and, where nodes
// share the cache, on every node after some tens of milliseconds; a reader
// that needs more than that checks what it got against the database.
type Cache interface {
	// Get returns the value under key. It must not be changed.
	Get(ctx context.Context, key string) ([]byte, bool)
	// Set stores value, which must not be changed afterwards, for ttl. A key
	// that isn't ValidKey is not stored; a value longer than MaxValue or a ttl
	// that isn't positive deletes what was there.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration)
	// Delete removes the value under key.
	Delete(ctx context.Context, key string)
}

// State says whether a cache does its work.
type State string

// The states of a cache. A degraded one answers with misses; the program goes
// on without it.
const (
	Up       State = "up"
	Degraded State = "degraded"
)

// MaxValue is the length of the longest value that is stored.
const MaxValue = 1 << 20

// maxKey is the length of the longest key.
const maxKey = 200

// ValidKey reports whether key has a closed form: 1 to 200 printable ASCII
// characters without a space. Keys are built from ids, digests, addresses and
// words of our own, never from what a client sent as it is (LIM-1).
func ValidKey(key string) bool {
	if key == "" || len(key) > maxKey {
		return false
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return true
}
