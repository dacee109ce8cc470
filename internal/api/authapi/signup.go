package authapi

import (
	"context"
	"net/http"

	"gatehouse/internal/actor"
	"gatehouse/internal/api"
	"gatehouse/internal/platform/secret"
	"gatehouse/internal/signup"
)

func (a *surface) signupRoutes(s *api.Surface) {
	api.Register(s, api.Route{
		Method: http.MethodPost, Path: "/auth/register", Access: api.Public(), Limit: perHour(10),
		Tag: "Signing up", Summary: "Register; the answer is the same for a new and a known address", Status: http.StatusAccepted,
	}, a.register)
	api.Register(s, api.Route{
		Method: http.MethodPost, Path: "/auth/verify-email", Access: api.Public(), Limit: perMinute(20),
		Tag: "Signing up", Summary: "Prove an address with the token of a mailed link",
	}, a.verifyEmail)
	api.Register(s, api.Route{
		Method: http.MethodPost, Path: "/auth/resend-verification", Access: api.Public(), Limit: perHour(20),
		Tag: "Signing up", Summary: "Mail a new link to an address that waits for its proof", Status: http.StatusAccepted,
	}, a.resendVerification)
	api.Register(s, api.Route{
		Method: http.MethodPost, Path: "/auth/setup", Access: api.Public(), Limit: perMinute(10),
		Tag: "Signing up", Summary: "Become the first administrator, with the one-time token of the first start",
	}, a.setup)
}

type sentOutput struct {
	Body struct {
		Status string `json:"status" enum:"verification_sent"`
	}
}

func sent() *sentOutput {
	out := &sentOutput{}
	out.Body.Status = "verification_sent"
	return out
}

type registerInput struct {
	Body struct {
		Email     string        `json:"email" maxLength:"255" format:"email"`
		Password  secret.String `json:"password" format:"password"`
		Username  *string       `json:"username" minLength:"1" maxLength:"50"`
		FirstName *string       `json:"first_name" minLength:"1" maxLength:"100"`
		LastName  *string       `json:"last_name" minLength:"1" maxLength:"100"`
	}
}

func (a *surface) register(ctx context.Context, by actor.Actor, in *registerInput) (*sentOutput, error) {
	b := in.Body
	err := a.Signup.Register(ctx, by, signup.Registration{
		Email: b.Email, Password: b.Password,
		Username: orEmpty(b.Username), FirstName: orEmpty(b.FirstName), LastName: orEmpty(b.LastName),
	})
	if err != nil {
		return nil, err
	}
	return sent(), nil
}

// orEmpty takes null for what is absent.
func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

type linkInput struct {
	Body struct {
		Token secret.String `json:"token" maxLength:"200"`
	}
}

func (a *surface) verifyEmail(ctx context.Context, by actor.Actor, in *linkInput) (*api.None, error) {
	return nil, a.Signup.VerifyEmail(ctx, by, in.Body.Token)
}

type emailInput struct {
	Body struct {
		Email string `json:"email" maxLength:"255" format:"email"`
	}
}

func (a *surface) resendVerification(ctx context.Context, _ actor.Actor, in *emailInput) (*sentOutput, error) {
	if err := a.Signup.ResendVerification(ctx, in.Body.Email); err != nil {
		return nil, err
	}
	return sent(), nil
}

type setupInput struct {
	Body struct {
		Token    secret.String `json:"token" maxLength:"200"`
		Email    string        `json:"email" maxLength:"255" format:"email"`
		Password secret.String `json:"password" format:"password"`
	}
}

func (a *surface) setup(ctx context.Context, by actor.Actor, in *setupInput) (*api.None, error) {
	return nil, a.Signup.Setup(ctx, by, in.Body.Token, in.Body.Email, in.Body.Password)
}
