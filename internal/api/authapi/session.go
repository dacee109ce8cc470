package authapi

import (
	"context"
	"net/http"

	"gatehouse/internal/actor"
	"gatehouse/internal/api"
	"gatehouse/internal/api/sessionview"
	"gatehouse/internal/session"
)

func (a *surface) sessionRoutes(s *api.Surface) {
	api.Register(s, api.Route{
		Method: http.MethodGet, Path: "/auth/sessions", Access: api.Bearer(), Owing: true,
		Tag: "Own sessions", Summary: "List the own sessions, the newest first",
	}, a.listSessions)
	api.Register(s, api.Route{
		Method: http.MethodDelete, Path: "/auth/sessions/{id}", Access: api.Bearer(), Owing: true,
		Tag: "Own sessions", Summary: "End one of the own sessions",
	}, a.endSession)
}

type listInput struct{ api.Listing }

func (a *surface) listSessions(ctx context.Context, by actor.Actor, in *listInput) (*api.PageOutput[sessionview.Session], error) {
	list, err := a.Sessions.List(ctx, by, by.UserID)
	if err != nil {
		return nil, err
	}
	return sessionview.Page(&in.Listing, list, by.SessionID)
}

type sessionInput struct {
	ID session.ID `path:"id"`
}

func (a *surface) endSession(ctx context.Context, by actor.Actor, in *sessionInput) (*api.None, error) {
	return nil, a.Sessions.End(ctx, by, in.ID)
}
