package authapi

import (
	"context"
	"net/http"

	"gatehouse/internal/actor"
	"gatehouse/internal/api"
	"gatehouse/internal/platform/secret"
)

func (a *surface) passwordRoutes(s *api.Surface) {
	api.Register(s, api.Route{
		Method: http.MethodPost, Path: "/auth/change-password", Access: api.Bearer(), Owing: true,
		Tag: "Passwords", Summary: "Change the own password, which ends every other session",
	}, a.changePassword)
}

type changePasswordInput struct {
	Body struct {
		CurrentPassword secret.String `json:"current_password" format:"password"`
		NewPassword     secret.String `json:"new_password" format:"password"`
	}
}

func (a *surface) changePassword(ctx context.Context, by actor.Actor, in *changePasswordInput) (*api.None, error) {
	return nil, a.Recovery.ChangePassword(ctx, by, in.Body.CurrentPassword, in.Body.NewPassword)
}
