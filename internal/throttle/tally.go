package throttle

import "time"

// tally is a sliding window in constant space: the events of the running
// bucket, and those of the one before by the part of it that the window still
// covers. It takes them for evenly spread, so it may be off by what a burst
// differs from that, in the worst case allowing twice Max across one border of
// buckets. That is near enough for what protects capacity and not a secret,
// and cheap enough for every request.
//
// Buckets begin at multiples of Window since 1970, on every node alike.
type tally struct {
	limit  Limit
	bucket int64
	mine   int64 // events that this node counted in the bucket
	told   int64 // how many of them the others know
	others int64 // events that other nodes told of
	before int64 // all events of the bucket before
	queued bool  // for being told
}

func (t *tally) take(m mode, limit Limit, now int64) Decision {
	window := limit.Window.Milliseconds()
	t.roll(limit, now, window)
	elapsed := min(now-t.bucket*window, window)
	allowed := t.used(elapsed, window) < int64(limit.Max)
	if m == modeAlways || m == modeTake && allowed {
		t.mine++
	}
	wait := window - elapsed
	if !allowed {
		wait = t.wait(elapsed, window)
	}
	return decide(limit, allowed, int(t.used(elapsed, window)), time.Duration(wait)*time.Millisecond)
}

// roll moves on to the bucket of now. Time doesn't go back (Limiter.millis).
func (t *tally) roll(limit Limit, now, window int64) {
	if t.limit.Window != limit.Window {
		*t = tally{queued: t.queued}
	}
	t.limit = limit
	switch bucket := now / window; {
	case bucket == t.bucket:
	case bucket == t.bucket+1:
		t.before, t.bucket = t.mine+t.others, bucket
		t.mine, t.told, t.others = 0, 0, 0
	default:
		t.before, t.bucket = 0, bucket
		t.mine, t.told, t.others = 0, 0, 0
	}
}

// used is the estimate of events in the window that ends now.
func (t *tally) used(elapsed, window int64) int64 {
	return t.mine + t.others + t.before*(window-elapsed)/window
}

// wait is how long it takes until the estimate falls below the limit: within
// this bucket as the one before fades, or else within the next as this one does.
func (t *tally) wait(elapsed, window int64) int64 {
	current, most := t.mine+t.others, int64(t.limit.Max)
	faded := func(free, fading int64) int64 { // the first moment of a bucket with free room left
		return window - (free*window+fading-1)/fading + 1
	}
	if current < most {
		return faded(most-current, t.before) - elapsed
	}
	return window - elapsed + faded(most, current)
}

// worthTelling reports whether the node counted so much that, with others
// counting as much, the limit could be reached. Most users never get there and
// cost the shared store nothing.
func (t *tally) worthTelling() bool {
	const nodes = 8
	return t.mine > t.told && t.mine*nodes >= int64(t.limit.Max)
}

// tallyScript adds ARGV[1] events to the counter of a bucket, keeps it for
// ARGV[2] milliseconds, and answers with the sum of all nodes.
const tallyScript = `
local sum = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(sum) ~= 'number' then
  redis.call('SET', KEYS[1], ARGV[1])
  sum = tonumber(ARGV[1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {sum}
`
