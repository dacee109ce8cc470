package throttle

import (
	"encoding/hex"
	"net/netip"

	"gatehouse/internal/actor"
)

// Key names who is counted and at what. It is comparable and built only from
// closed forms: an address, a digest, an id, and a route's template, never
// text that a client chose (LIM-1).
type Key struct {
	kind     kind
	id       [16]byte
	endpoint string
}

type kind uint8

const (
	kindGlobal kind = iota
	kindAddress
	kindAccount
	kindSession
	kindUser
)

// networkBits is how much of an IPv6 address counts: one customer has at least
// a /64.
const networkBits = 64

// ByIP counts what an address does at an endpoint, refused attempts too
// (LIM-3). An IPv6 address stands for its /64, a mapped IPv4 address for
// itself. All invalid addresses are one.
func ByIP(ip netip.Addr, endpoint string) Key {
	k := Key{kind: kindAddress, endpoint: endpoint}
	ip = ip.Unmap()
	if ip.Is6() {
		if p, err := ip.WithZone("").Prefix(networkBits); err == nil {
			ip = p.Addr()
		}
	}
	if ip.IsValid() {
		k.id = ip.As16()
	}
	return k
}

// ByAccount counts what happens to an account, known or not. digest is a keyed
// digest of the canonical e-mail, so that neither spelling multiplies tries
// (LIM-5) nor the store tells whose they are. Refused attempts don't count, or
// a stranger could keep an account locked for ever (LIM-4).
func ByAccount(digest [32]byte, endpoint string) Key {
	return Key{kind: kindAccount, id: [16]byte(digest[:16]), endpoint: endpoint}
}

// BySession counts what a session does.
func BySession(s actor.SessionID, endpoint string) Key {
	return Key{kind: kindSession, id: s, endpoint: endpoint}
}

// ByUser counts what a person does, in this node's memory: Allow costs no
// round trip, and what nodes share of it is about a second old. Use it where
// many cheap requests come; the count is a close estimate.
func ByUser(u actor.UserID, endpoint string) Key {
	return Key{kind: kindUser, id: u, endpoint: endpoint}
}

// Global counts what everybody does at an endpoint.
func Global(endpoint string) Key { return Key{kind: kindGlobal, endpoint: endpoint} }

// String returns the key's name in the shared store.
func (k Key) String() string {
	const prefix = "rate_limit:"
	switch k.kind {
	case kindAddress:
		ip := netip.AddrFrom16(k.id).Unmap()
		if ip.Is4() {
			return prefix + ip.String() + ":" + k.endpoint
		}
		return prefix + netip.PrefixFrom(ip, networkBits).String() + ":" + k.endpoint
	case kindAccount:
		return prefix + "account-" + hex.EncodeToString(k.id[:]) + ":" + k.endpoint
	case kindSession:
		return prefix + "session-" + hex.EncodeToString(k.id[:]) + ":" + k.endpoint
	case kindUser:
		return prefix + "user-" + hex.EncodeToString(k.id[:]) + ":" + k.endpoint
	case kindGlobal:
	}
	return prefix + "global:" + k.endpoint
}

// mode says how Allow counts for the key.
func (k Key) mode() mode {
	if k.kind == kindAddress {
		return modeAlways
	}
	return modeTake
}
