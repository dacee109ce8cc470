package account

import (
	"context"
	"fmt"

	"gatehouse/internal/actor"
	"gatehouse/internal/audit"
	"gatehouse/internal/identity"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/session"
)

// Sessions returns the live sessions of a person, the newest first. It needs
// session.PermRead and returns identity.ErrNotFound.
func (s *Service) Sessions(ctx context.Context, by actor.Actor, u identity.UserID) ([]session.Session, error) {
	if err := by.Require(session.PermRead); err != nil {
		return nil, err
	}
	if _, err := s.users.Find(ctx, s.db, u); err != nil {
		return nil, err
	}
	return s.sessions.List(ctx, by, u)
}

// EndSessions ends every session of a person. It needs session.PermRevoke and
// every permission that the person holds, and returns identity.ErrNotFound.
func (s *Service) EndSessions(ctx context.Context, by actor.Actor, u identity.UserID) error {
	if err := by.Require(session.PermRevoke); err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := s.lock(ctx, tx, by, u); err != nil {
			return err
		}
		n, err := s.sessions.RevokeAllTx(ctx, tx, u, session.ID{}, session.EndedByAdmin)
		if err != nil {
			return fmt.Errorf("end sessions: %w", err)
		}
		if n == 0 {
			return nil
		}
		return s.log.Append(ctx, tx, by, audit.Event{
			Action: session.Revoked, Target: audit.Person(u), Reason: string(session.EndedByAdmin), Count: int64(n),
		})
	})
}
