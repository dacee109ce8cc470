package account

import (
	"context"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/identity"
)

// AssignRole is rbac.Service.Assign, and returns the person as they are then.
func (s *Service) AssignRole(ctx context.Context, by actor.Actor, u identity.UserID, ref string, until time.Time) (Person, error) {
	if err := s.roles.Assign(ctx, by, u, ref, until); err != nil {
		return Person{}, err
	}
	found, err := s.users.Find(ctx, s.db, u)
	if err != nil {
		return Person{}, err
	}
	return s.person(ctx, s.db, by, found)
}
