package authapi

import (
	"context"
	"net/http"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/actor"
	"gatehouse/internal/api"
	"gatehouse/internal/api/userview"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/secret"
	"gatehouse/internal/session"
	"gatehouse/internal/signin"
)

func (a *surface) signinRoutes(s *api.Surface) {
	api.Register(s, api.Route{
		Method: http.MethodPost, Path: "/auth/login", Access: api.Public(), Limit: perMinute(20),
		Tag: "Signing in", Summary: "Sign in with a password",
	}, a.login)
	api.Register(s, api.Route{
		Method: http.MethodPost, Path: "/auth/refresh", Access: api.Cookie(),
		Tag: "Signing in", Summary: "Exchange a refresh token for its successor and a new access token",
	}, a.refresh)
	api.Register(s, api.Route{
		Method: http.MethodPost, Path: "/auth/logout", Access: api.BearerOrCookie(), Owing: true,
		Tag: "Signing in", Summary: "Sign out here, or everywhere",
	}, a.logout)
}

// firstParty is the client id of sessions that a password starts.
const firstParty = "gatehouse"

type loginInput struct {
	Body struct {
		Email         *string          `json:"email" maxLength:"255" pattern:"@" format:"email" doc:"Either this or username"`
		Username      *string          `json:"username" maxLength:"255" pattern:"^[^@]+$" doc:"Either this or email"`
		Password      secret.String    `json:"password" minLength:"1" format:"password"`
		TokenDelivery session.Delivery `json:"token_delivery,omitempty" enum:"cookie,body" doc:"How the refresh token comes: as a cookie (the default), or in the answer for native clients"`
	}
}

type signedIn struct {
	MFARequired  bool          `json:"mfa_required"`
	AccessToken  string        `json:"access_token"`
	TokenType    string        `json:"token_type" enum:"Bearer"`
	ExpiresIn    int           `json:"expires_in" doc:"Seconds that the access token lives"`
	SessionID    session.ID    `json:"session_id"`
	CSRFToken    string        `json:"csrf_token" doc:"Goes into X-CSRF-Token where the refresh cookie is sent"`
	RefreshToken string        `json:"refresh_token,omitempty" doc:"Only with token_delivery body"`
	User         userview.User `json:"user"`
}

type signedInOutput struct {
	Cookies []*http.Cookie
	Body    signedIn
}

func (a *surface) login(ctx context.Context, by actor.Actor, in *loginInput) (*signedInOutput, error) {
	if (in.Body.Email == nil) == (in.Body.Username == nil) {
		return nil, errs.InvalidField("email", "one_of", "Send either email or username.")
	}
	c := signin.Credentials{Password: in.Body.Password, ClientID: firstParty, Delivery: session.ByCookie}
	if in.Body.TokenDelivery != "" {
		c.Delivery = in.Body.TokenDelivery
	}
	if in.Body.Email != nil {
		c.Identifier = *in.Body.Email
	} else {
		c.Identifier = *in.Body.Username
	}
	signed, err := a.Signin.Login(ctx, by, c)
	if err != nil {
		return nil, err
	}
	return a.signedIn(signed), nil
}

type refreshInput struct {
	Tally  api.Tally
	Cookie secret.String `cookie:"__Host-refresh_token" format:"password"`
	Body   *struct {
		RefreshToken *secret.String `json:"refresh_token" format:"password" doc:"Of clients that asked for it in the body"`
	}
}

func (a *surface) refresh(ctx context.Context, by actor.Actor, in *refreshInput) (*signedInOutput, error) {
	token, via := in.Cookie, session.ByCookie
	if in.Body != nil && in.Body.RefreshToken != nil {
		if token != "" {
			return nil, errs.InvalidField("refresh_token", "one_of", "Send the token either as the cookie or here.")
		}
		token, via = *in.Body.RefreshToken, session.ByBody
	}
	if claimed, err := session.Claimed(token); err == nil {
		if err := in.Tally.Peek(ctx, signin.RenewalsOf(claimed), signin.Renewals()); err != nil {
			return nil, err
		}
	}
	signed, err := a.Signin.Refresh(ctx, by, token, via)
	if err != nil {
		return nil, err
	}
	return a.signedIn(signed), nil
}

// signedIn hands a session over, by the way that the client chose.
func (a *surface) signedIn(s signin.SignedIn) *signedInOutput {
	out := &signedInOutput{Body: signedIn{
		AccessToken: s.AccessToken.Reveal(), TokenType: "Bearer", ExpiresIn: int(s.ExpiresIn / time.Second),
		SessionID: s.Session.ID, CSRFToken: s.CSRFToken, User: userview.From(account.Person{User: s.User, Roles: s.Roles}),
	}}
	if s.Session.Delivery == session.ByBody {
		out.Body.RefreshToken = s.RefreshToken.Reveal()
	} else {
		out.Cookies = api.SessionCookies(s.RefreshToken, s.CSRFToken, s.Session.ExpiresAt.Sub(a.now()))
	}
	return out
}

type logoutInput struct {
	Cookie secret.String `cookie:"__Host-refresh_token" format:"password"`
	Body   *struct {
		AllSessions bool `json:"all_sessions,omitempty" doc:"End every session, not only this one"`
	}
}

type logoutOutput struct {
	ClearSiteData string `header:"Clear-Site-Data"`
	Cookies       []*http.Cookie
}

func (a *surface) logout(ctx context.Context, by actor.Actor, in *logoutInput) (*logoutOutput, error) {
	if by.Type == actor.Anonymous {
		found, err := a.Sessions.Verify(ctx, in.Cookie, session.ByCookie)
		if err != nil {
			return nil, err
		}
		by.Type, by.UserID, by.SessionID = actor.User, found.UserID, found.ID
	}
	if err := a.Sessions.SignOut(ctx, by, in.Body != nil && in.Body.AllSessions); err != nil {
		return nil, err
	}
	return &logoutOutput{ClearSiteData: api.ClearSiteData, Cookies: api.ClearCookies()}, nil
}
