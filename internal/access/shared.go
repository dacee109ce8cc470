package access

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/cache"
	"gatehouse/internal/platform/secret"
	"gatehouse/internal/session"
)

// sharedTTL is how long nodes share what one of them read.
const sharedTTL = 24 * time.Hour

const macLen = 32

// shared keeps principals under session:{id} where every node reads them. An
// entry is the id of the key, a zero byte, the MAC over the session's id and
// the content, and the content as JSON.
type shared struct {
	cache cache.Cache
	keys  *keyring.Keyring
}

func sharedKey(id session.ID) string { return "session:" + id.String() }

func (s shared) get(ctx context.Context, id session.ID) (*principal, bool) {
	if s.cache == nil {
		return nil, false
	}
	raw, ok := s.cache.Get(ctx, sharedKey(id))
	if !ok {
		return nil, false
	}
	return s.open(id, raw)
}

func (s shared) set(ctx context.Context, p *principal) {
	if s.cache == nil {
		return
	}
	if raw, err := s.seal(p); err == nil {
		s.cache.Set(ctx, sharedKey(p.Session.ID), raw, sharedTTL)
	}
}

func (s shared) seal(p *principal) ([]byte, error) {
	key, err := s.keys.Current(keyring.CacheMAC)
	if err != nil {
		return nil, err
	}
	content, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	mac := key.Key.MAC(p.Session.ID[:], content)
	raw := append([]byte(key.ID), 0)
	return append(append(raw, mac[:]...), content...), nil
}

func (s shared) open(id session.ID, raw []byte) (*principal, bool) {
	keyID, rest, ok := strings.Cut(string(raw), "\x00")
	if !ok || len(rest) < macLen {
		return nil, false
	}
	key, err := s.keys.ByID(keyring.CacheMAC, keyID)
	if err != nil {
		return nil, false
	}
	content := []byte(rest[macLen:])
	if mac := key.MAC(id[:], content); !secret.Equal(mac[:], []byte(rest[:macLen])) {
		return nil, false
	}
	var p principal
	if err := json.Unmarshal(content, &p); err != nil || p.Session.ID != id {
		return nil, false
	}
	p.index()
	return &p, true
}
