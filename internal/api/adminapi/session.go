package adminapi

import (
	"context"
	"net/http"

	"gatehouse/internal/actor"
	"gatehouse/internal/api"
	"gatehouse/internal/api/sessionview"
	"gatehouse/internal/identity"
	"gatehouse/internal/session"
)

func (a *surface) sessionRoutes(s *api.Surface) {
	api.Register(s, api.Route{
		Method: http.MethodGet, Path: "/admin/users/{id}/sessions", Access: api.Needs(session.PermRead),
		Tag: "Sessions of people", Summary: "List a person's sessions, the newest first",
	}, a.listSessions)
	api.Register(s, api.Route{
		Method: http.MethodDelete, Path: "/admin/users/{id}/sessions", Access: api.Needs(session.PermRevoke),
		Tag: "Sessions of people", Summary: "End every session of a person",
	}, a.endSessions)
}

type listSessionsInput struct {
	ID identity.UserID `path:"id"`
	api.Listing
}

func (a *surface) listSessions(ctx context.Context, by actor.Actor, in *listSessionsInput) (*api.PageOutput[sessionview.Session], error) {
	list, err := a.Accounts.Sessions(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	return sessionview.Page(&in.Listing, list, by.SessionID)
}

type userInput struct {
	ID identity.UserID `path:"id"`
}

func (a *surface) endSessions(ctx context.Context, by actor.Actor, in *userInput) (*api.None, error) {
	return nil, a.Accounts.EndSessions(ctx, by, in.ID)
}
