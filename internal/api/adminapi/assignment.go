package adminapi

import (
	"context"
	"net/http"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/api"
	"gatehouse/internal/api/userview"
	"gatehouse/internal/identity"
	"gatehouse/internal/rbac"
)

func (a *surface) assignmentRoutes(s *api.Surface) {
	api.Register(s, api.Route{
		Method: http.MethodPost, Path: "/admin/users/{id}/roles", Access: api.Needs(rbac.PermAssign),
		Tag: "Roles of people", Summary: "Give a role whose permissions you hold to somebody else",
	}, a.assign)
	api.Register(s, api.Route{
		Method: http.MethodDelete, Path: "/admin/users/{id}/roles/{roleId}", Access: api.Needs(rbac.PermAssign),
		Tag: "Roles of people", Summary: "Take a role away from somebody else",
	}, a.unassign)
}

type assignInput struct {
	ID   identity.UserID `path:"id"`
	Body struct {
		Role      string     `json:"role" minLength:"1" maxLength:"50" doc:"Name or id"`
		ExpiresAt *time.Time `json:"expires_at" doc:"When the role ends by itself"`
	}
}

type userOutput struct {
	ETag string `header:"ETag"`
	Body userview.User
}

func (a *surface) assign(ctx context.Context, by actor.Actor, in *assignInput) (*userOutput, error) {
	var until time.Time
	if in.Body.ExpiresAt != nil {
		until = *in.Body.ExpiresAt
	}
	p, err := a.Accounts.AssignRole(ctx, by, in.ID, in.Body.Role, until)
	if err != nil {
		return nil, err
	}
	return &userOutput{ETag: api.ETag(p.ID, p.Version), Body: userview.From(p)}, nil
}

type unassignInput struct {
	ID     identity.UserID `path:"id"`
	RoleID rbac.RoleID     `path:"roleId"`
}

func (a *surface) unassign(ctx context.Context, by actor.Actor, in *unassignInput) (*api.None, error) {
	return nil, a.Roles.Unassign(ctx, by, in.ID, in.RoleID)
}
