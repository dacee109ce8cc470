package throttle

import "time"

// hits is an exact sliding window: the times, in milliseconds and oldest
// first, of the newest Limit.Max events. An event is allowed exactly if fewer
// than Max were counted in the window that ends with it; for that no more than
// Max times need to be known, however many refused events are counted. So in
// no span of length Window are more than Max allowed, wherever it begins, and
// an event is forgotten to the millisecond when it is a Window old.
//
// hitsScript is the same arithmetic for the shared store; one table of cases
// tests both.
type hits struct{ times []int64 }

func (h *hits) take(m mode, limit Limit, now int64) Decision {
	window := limit.Window.Milliseconds()
	gone := 0
	// A time from a window ahead is left from before the clock was set back.
	for gone < len(h.times) && (h.times[gone] <= now-window || h.times[gone] > now+window) {
		gone++
	}
	h.times = append(h.times[:0], h.times[gone:]...)

	allowed := len(h.times) < limit.Max
	if m == modeAlways || m == modeTake && allowed {
		h.times = append(h.times, now)
		h.times = append(h.times[:0], h.times[max(0, len(h.times)-limit.Max):]...)
	}
	wait := int64(0)
	if n := len(h.times); n > 0 {
		wait = min(h.times[max(0, n-limit.Max)]+window-now, window)
	}
	return decide(limit, allowed, len(h.times), time.Duration(wait)*time.Millisecond)
}

// hitsScript does hits.take on the list KEYS[1], newest time first. Its
// arguments are Limit.Max, Limit.Window in milliseconds, the mode, and the time
// or 0 for the server's own, which is one clock for all nodes. It answers with
// allowed (0 or 1), the number of times kept, and the wait in milliseconds.
// What somebody else left under the key is dropped.
const hitsScript = `
local key, limit, window, mode, now = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if now == 0 then
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end
local n = redis.pcall('LLEN', key)
if type(n) ~= 'number' then
  redis.call('DEL', key)
  n = 0
end
while n > 0 do
  local t = tonumber(redis.call('LINDEX', key, -1))
  if t and t > now - window and t <= now + window then break end
  redis.call('RPOP', key)
  n = n - 1
end
local allowed = n < limit
if mode == 2 or (mode == 1 and allowed) then
  redis.call('LPUSH', key, string.format('%.0f', now))
  n = n + 1
  if n > limit then
    redis.call('LTRIM', key, 0, limit - 1)
    n = limit
  end
  redis.call('PEXPIRE', key, window)
end
local wait = 0
if n > 0 then
  local oldest = tonumber(redis.call('LINDEX', key, math.min(n, limit) - 1)) or now
  wait = math.min(oldest + window - now, window)
end
return {allowed and 1 or 0, n, wait}
`

// hitsDecision reads the answer of hitsScript. It reports false for one that
// no such script gives.
func hitsDecision(limit Limit, answer []int64) (Decision, bool) {
	const fields = 3
	if len(answer) != fields {
		return Decision{}, false
	}
	return decide(limit, answer[0] == 1, int(answer[1]), time.Duration(answer[2])*time.Millisecond), true
}
