// Package rediscache keeps a cache.Cache in Redis 7 or later, shared by every
// node, and runs the scripts by which nodes count together.
//
// What this node has read it keeps near, until Redis says that it changed
// (client-side caching): a second read costs no round trip.
//
// Redis may be down, slow, flushed, full or filled with garbage. A call then
// costs 50 ms at the very most, and after a few failures in a row nothing at
// all: a breaker answers at once that there is no Redis, while Run looks in the
// background whether it came back.
package rediscache
