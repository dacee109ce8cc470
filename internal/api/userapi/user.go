package userapi

import (
	"context"
	"net/http"

	"gatehouse/internal/account"
	"gatehouse/internal/actor"
	"gatehouse/internal/api"
	"gatehouse/internal/api/userview"
	"gatehouse/internal/identity"
	"gatehouse/internal/platform/secret"
)

func (a *surface) userRoutes(s *api.Surface) {
	api.Register(s, api.Route{
		Method: http.MethodGet, Path: "/users", Access: api.Needs(account.PermRead),
		Tag: "People", Summary: "List and search people",
	}, a.list)
	api.Register(s, api.Route{
		Method: http.MethodPost, Path: "/users", Access: api.Needs(account.PermWrite), Status: http.StatusCreated,
		IdempotencyKey: true, Tag: "People", Summary: "Create a person; without a password the account is pending",
	}, a.create)
	api.Register(s, api.Route{
		Method: http.MethodGet, Path: "/users/{id}", Access: api.Needs(account.PermRead),
		Tag: "People", Summary: "Read a person",
	}, a.find)
	api.Register(s, api.Route{
		Method: http.MethodPut, Path: "/users/{id}", Access: api.Needs(account.PermWrite),
		Tag: "People", Summary: "Replace a person's profile; address, its verification and status stay when absent",
	}, a.replace)
	api.Register(s, api.Route{
		Method: http.MethodPatch, Path: "/users/{id}", Access: api.Needs(account.PermWrite), Consumes: api.MergePatch,
		Tag: "People", Summary: "Change parts of a person: what is absent stays, null clears (RFC 7396)",
	}, a.patch)
	api.Register(s, api.Route{
		Method: http.MethodDelete, Path: "/users/{id}", Access: api.Needs(account.PermDelete),
		Tag: "People", Summary: "Delete a person, who can be restored, and end their sessions",
	}, a.delete)
	api.Register(s, api.Route{
		Method: http.MethodPost, Path: "/users/{id}/restore", Access: api.Needs(account.PermWrite),
		Tag: "People", Summary: "Restore a deleted person",
	}, a.restore)
}

type newUser struct {
	Email                  string         `json:"email" maxLength:"255" format:"email"`
	Password               *secret.String `json:"password" minLength:"1" format:"password" doc:"Of at least 15 characters unless the policy says otherwise"`
	PasswordChangeRequired bool           `json:"password_change_required,omitempty" doc:"The person has to choose another password at the first sign-in"`
	Username               *string        `json:"username" minLength:"1" maxLength:"50" doc:"Letters and digits of ASCII, dots, hyphens and underscores"`
	FirstName              *string        `json:"first_name" minLength:"1" maxLength:"100"`
	LastName               *string        `json:"last_name" minLength:"1" maxLength:"100"`
	Phone                  *string        `json:"phone" minLength:"1" maxLength:"20" doc:"In the form of E.164, such as +441234567890"`
	EmailVerified          bool           `json:"email_verified,omitempty"`
	Roles                  []string       `json:"roles,omitempty" maxLength:"50" doc:"Names or ids; needs roles:assign"`
}

func (n newUser) person() account.NewPerson {
	p := account.NewPerson{
		NewUser: identity.NewUser{
			Email: n.Email, Username: *orEmpty(n.Username), FirstName: *orEmpty(n.FirstName), LastName: *orEmpty(n.LastName),
			Phone: *orEmpty(n.Phone), EmailVerified: n.EmailVerified, PasswordChangeRequired: n.PasswordChangeRequired,
		},
		Roles: n.Roles, Request: n,
	}
	if n.Password != nil {
		p.Password = *n.Password
	}
	return p
}

type createInput struct{ Body newUser }

type createdOutput struct {
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Body     userview.User
}

func (a *surface) create(ctx context.Context, by actor.Actor, in *createInput) (*createdOutput, error) {
	out, err := userFrom(a.Accounts.Create(ctx, by, in.Body.person()))
	if err != nil {
		return nil, err
	}
	return &createdOutput{Location: "/users/" + out.Body.ID.String(), ETag: out.ETag, Body: out.Body}, nil
}

type userInput struct {
	ID identity.UserID `path:"id"`
}

func (a *surface) find(ctx context.Context, by actor.Actor, in *userInput) (*userOutput, error) {
	return userFrom(a.Accounts.Find(ctx, by, in.ID))
}

// managed is what only those who may write to people change. What is absent
// stays.
type managed struct {
	Email         api.Optional[string]          `json:"email" maxLength:"255" format:"email" doc:"A new address counts as unverified unless email_verified says otherwise"`
	EmailVerified api.Optional[bool]            `json:"email_verified"`
	AccountStatus api.Optional[identity.Status] `json:"account_status" enum:"active,pending,suspended,deactivated" doc:"active or suspended, or what it is already"`
}

func (m managed) change(p account.ProfileChange) account.UserChange {
	return account.UserChange{
		ProfileChange: p, Email: m.Email.Ptr(), EmailVerified: m.EmailVerified.Ptr(), Status: m.AccountStatus.Ptr(),
	}
}

type replaceInput struct {
	ID      identity.UserID `path:"id"`
	IfMatch api.IfMatch
	Body    struct {
		replacement
		managed
	}
}

func (a *surface) replace(ctx context.Context, by actor.Actor, in *replaceInput) (*userOutput, error) {
	version, err := in.IfMatch.Expected(in.ID)
	if err != nil {
		return nil, err
	}
	return userFrom(a.Accounts.Update(ctx, by, in.ID, version, in.Body.managed.change(in.Body.replacement.change())))
}

type patchInput struct {
	ID      identity.UserID `path:"id"`
	IfMatch api.IfMatch
	Body    struct {
		patch
		managed
	}
}

func (a *surface) patch(ctx context.Context, by actor.Actor, in *patchInput) (*userOutput, error) {
	version, err := in.IfMatch.Expected(in.ID)
	if err != nil {
		return nil, err
	}
	return userFrom(a.Accounts.Update(ctx, by, in.ID, version, in.Body.managed.change(in.Body.patch.change())))
}

type deleteInput struct {
	ID      identity.UserID `path:"id"`
	IfMatch api.IfMatch
}

func (a *surface) delete(ctx context.Context, by actor.Actor, in *deleteInput) (*api.None, error) {
	version, err := in.IfMatch.Expected(in.ID)
	if err != nil {
		return nil, err
	}
	return nil, a.Accounts.Delete(ctx, by, in.ID, version)
}

func (a *surface) restore(ctx context.Context, by actor.Actor, in *userInput) (*userOutput, error) {
	return userFrom(a.Accounts.Restore(ctx, by, in.ID))
}
