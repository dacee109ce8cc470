package api

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"gatehouse/internal/actor"
	"gatehouse/internal/platform/id"
)

const (
	maxRequestID = 64
	maxUserAgent = 512
)

// identify says which request this is and where it comes from. Until
// authentication the actor is anonymous.
func (c *call) identify() {
	peer := peerAddr(c.r.RemoteAddr)
	trusted := c.s.trusts(peer)
	o := actor.Origin{IP: peer, UserAgent: userAgent(c.r.Header.Get("User-Agent"))}
	if trusted {
		o.IP = c.s.forwarded(peer, c.r.Header["X-Forwarded-For"])
		o.RequestID = requestID(c.r.Header["X-Request-Id"])
	}
	if o.RequestID == "" {
		o.RequestID = id.New[call](c.start).String()
	}
	c.by = actor.Of(o)

	if c.r.Header["Traceparent"] != nil {
		c.ctx = propagation.TraceContext{}.Extract(c.ctx, propagation.HeaderCarrier(c.r.Header))
	}
}

// peerAddr reads the address of the socket peer.
func peerAddr(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{} // a unix socket, or a test
	}
	return canonical(ap.Addr())
}

func canonical(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func (s *Surface) trusts(a netip.Addr) bool {
	for _, p := range s.config.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// forwarded returns the right-most address that is no trusted proxy (LIM-2).
// An entry that is no address ends the walk: what stands left of it was
// written by someone unknown.
func (s *Surface) forwarded(peer netip.Addr, headers []string) netip.Addr {
	client := peer
	for i := len(headers) - 1; i >= 0; i-- {
		rest := headers[i]
		for more := true; more; {
			var entry string
			comma := strings.LastIndexByte(rest, ',')
			entry, more = rest[comma+1:], comma >= 0
			if more {
				rest = rest[:comma]
			}
			a, ok := forwardedAddr(strings.TrimSpace(entry))
			if !ok {
				return client
			}
			client = a
			if !s.trusts(a) {
				return client
			}
		}
	}
	return client
}

// forwardedAddr reads an address, with or without a port.
func forwardedAddr(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return canonical(a), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return canonical(ap.Addr()), true
	}
	return netip.Addr{}, false
}

// requestID returns the proxy's id if it has a form that is safe everywhere.
func requestID(values []string) string {
	if len(values) != 1 || len(values[0]) < 8 || len(values[0]) > maxRequestID {
		return ""
	}
	for i := range len(values[0]) {
		if ch := values[0][i]; !isAlnum(ch) && ch != '-' && ch != '_' && ch != '.' {
			return ""
		}
	}
	return values[0]
}

func isAlnum(ch byte) bool {
	return ch >= '0' && ch <= '9' || ch >= 'a' && ch <= 'z' || ch >= 'A' && ch <= 'Z'
}

// userAgent makes the header fit to be stored: valid text without control
// characters, of a bounded length.
func userAgent(s string) string {
	if len(s) > maxUserAgent {
		s = s[:maxUserAgent]
	}
	if utf8.ValidString(s) && !hasControl(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || isControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

// cutAddr returns what of an address may stand in a log: /24 or /48 (PRV-4).
func cutAddr(a netip.Addr) string {
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

func isNoop(t trace.Tracer) bool {
	_, ok := t.(noop.Tracer)
	return t == nil || ok
}
