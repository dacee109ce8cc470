package throttle

import (
	"container/list"
	"hash/maphash"
	"sync"
)

// shards is how many locks a table has.
const shards = 16

// table holds counters in bounded memory. It forgets the one that was touched
// longest ago when it is full, and what is out of date as it goes.
type table[V any] struct {
	seed   maphash.Seed
	shards [shards]shard[V]
}

type shard[V any] struct {
	sync.Mutex // guards the rest and every counter in it
	most       int
	entries    map[Key]*list.Element // of *slot[V]
	order      *list.List            // last touched in front
}

type slot[V any] struct {
	key     Key
	until   int64 // out of date from then on, in milliseconds
	counter V
}

func newTable[V any](most int) *table[V] {
	t := &table[V]{seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].most = max(1, most/shards)
		t.shards[i].entries = map[Key]*list.Element{}
		t.shards[i].order = list.New()
	}
	return t
}

// shard returns the part that holds key. The caller locks it for as long as it
// uses a counter.
func (t *table[V]) shard(key Key) *shard[V] {
	return &t.shards[maphash.Comparable(t.seed, key)%shards]
}

// find returns the counter of key, a zero one if there is none, and keeps it
// for ttl milliseconds.
func (s *shard[V]) find(key Key, now, ttl int64) *V {
	if e, ok := s.entries[key]; ok {
		s.order.MoveToFront(e)
		known := e.Value.(*slot[V])
		known.until = max(known.until, now+ttl)
		return &known.counter
	}
	// Two go for each that comes, so that what is out of date runs out.
	for range 2 {
		last := s.order.Back()
		if last != nil && (last.Value.(*slot[V]).until <= now || len(s.entries) >= s.most) {
			s.order.Remove(last)
			delete(s.entries, last.Value.(*slot[V]).key)
		}
	}
	fresh := &slot[V]{key: key, until: now + ttl}
	s.entries[key] = s.order.PushFront(fresh)
	return &fresh.counter
}

func (s *shard[V]) delete(key Key) {
	if e, ok := s.entries[key]; ok {
		s.order.Remove(e)
		delete(s.entries, key)
	}
}
