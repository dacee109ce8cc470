// Package sessionview is the shape in which people see their sessions and
// administrators those of others.
package sessionview

import (
	"net/netip"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/session"
)

// Session is a session as clients see it.
type Session struct {
	ID             session.ID  `json:"id"`
	IPAddress      *netip.Addr `json:"ip_address"`
	UserAgent      *string     `json:"user_agent"`
	CreatedAt      time.Time   `json:"created_at"`
	LastActivityAt time.Time   `json:"last_activity_at" doc:"At most a minute behind"`
	ExpiresAt      time.Time   `json:"expires_at"`
	Current        bool        `json:"current" doc:"The session of this request"`
}

// Page shows sessions, the newest first, as a list.
func Page(l *api.Listing, list []session.Session, current session.ID) (*api.PageOutput[Session], error) {
	shown := make([]Session, len(list))
	for i, s := range list {
		shown[i] = from(s, current)
	}
	return api.WholePage(l, shown,
		func(s Session) string { return s.ID.String() },
		func(s Session, key string) bool { return s.ID.String() < key })
}

func from(s session.Session, current session.ID) Session {
	shown := Session{
		ID: s.ID, CreatedAt: s.CreatedAt, LastActivityAt: s.LastActivityAt, ExpiresAt: s.ExpiresAt, Current: s.ID == current,
	}
	if s.IP.IsValid() {
		shown.IPAddress = &s.IP
	}
	if s.UserAgent != "" {
		shown.UserAgent = &s.UserAgent
	}
	return shown
}
