package userapi

import (
	"context"
	"net/http"

	"gatehouse/internal/account"
	"gatehouse/internal/actor"
	"gatehouse/internal/api"
)

func (a *surface) profileRoutes(s *api.Surface) {
	api.Register(s, api.Route{
		Method: http.MethodGet, Path: "/users/profile", Access: api.Bearer(), Owing: true,
		Tag: "Own profile", Summary: "Read the own account",
	}, a.profile)
	api.Register(s, api.Route{
		Method: http.MethodPut, Path: "/users/profile", Access: api.Bearer(),
		Tag: "Own profile", Summary: "Replace the own profile: what is absent or null is cleared",
	}, a.replaceProfile)
	api.Register(s, api.Route{
		Method: http.MethodPatch, Path: "/users/profile", Access: api.Bearer(), Consumes: api.MergePatch,
		Tag: "Own profile", Summary: "Change parts of the own profile: what is absent stays, null clears (RFC 7396)",
	}, a.patchProfile)
}

// replacement is a profile as a whole: what is absent or null is cleared.
type replacement struct {
	Username  *string `json:"username" minLength:"1" maxLength:"50" doc:"Letters and digits of ASCII, dots, hyphens and underscores"`
	FirstName *string `json:"first_name" minLength:"1" maxLength:"100"`
	LastName  *string `json:"last_name" minLength:"1" maxLength:"100"`
	Phone     *string `json:"phone" minLength:"1" maxLength:"20" doc:"In the form of E.164, such as +441234567890"`
}

func (r replacement) change() account.ProfileChange {
	return account.ProfileChange{
		Username: orEmpty(r.Username), FirstName: orEmpty(r.FirstName), LastName: orEmpty(r.LastName), Phone: orEmpty(r.Phone),
	}
}

// patch is a part of a profile: what is absent stays, null clears.
type patch struct {
	Username  api.Optional[*string] `json:"username" minLength:"1" maxLength:"50" doc:"Letters and digits of ASCII, dots, hyphens and underscores"`
	FirstName api.Optional[*string] `json:"first_name" minLength:"1" maxLength:"100"`
	LastName  api.Optional[*string] `json:"last_name" minLength:"1" maxLength:"100"`
	Phone     api.Optional[*string] `json:"phone" minLength:"1" maxLength:"20" doc:"In the form of E.164, such as +441234567890"`
}

func (p patch) change() account.ProfileChange {
	return account.ProfileChange{
		Username: orStay(p.Username), FirstName: orStay(p.FirstName), LastName: orStay(p.LastName), Phone: orStay(p.Phone),
	}
}

// orEmpty turns null into "", which clears.
func orEmpty(s *string) *string {
	if s == nil {
		return new(string)
	}
	return s
}

// orStay turns what is absent into nil, which leaves a field as it is.
func orStay(o api.Optional[*string]) *string {
	if !o.Set {
		return nil
	}
	return orEmpty(o.Value)
}

func (a *surface) profile(ctx context.Context, by actor.Actor, _ *api.None) (*userOutput, error) {
	return userFrom(a.Accounts.Profile(ctx, by))
}

type replaceProfileInput struct {
	IfMatch api.IfMatch
	Body    replacement
}

func (a *surface) replaceProfile(ctx context.Context, by actor.Actor, in *replaceProfileInput) (*userOutput, error) {
	version, err := in.IfMatch.Expected(by.UserID)
	if err != nil {
		return nil, err
	}
	return userFrom(a.Accounts.UpdateProfile(ctx, by, version, in.Body.change()))
}

type patchProfileInput struct {
	IfMatch api.IfMatch
	Body    patch
}

func (a *surface) patchProfile(ctx context.Context, by actor.Actor, in *patchProfileInput) (*userOutput, error) {
	version, err := in.IfMatch.Expected(by.UserID)
	if err != nil {
		return nil, err
	}
	return userFrom(a.Accounts.UpdateProfile(ctx, by, version, in.Body.change()))
}
