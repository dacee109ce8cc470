package authapi_test

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/app/apptest"
)

func TestRegister_PasswordOfTheUsedLinkIsInForce(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		owner, stranger := "seven bridges to the harbour", "a stranger's long password"
		s := p.Stranger(t)
		s.Post("/auth/register", apptest.Object{"email": "grace@example.com", "password": owner}).Want(202)
		first := mailedToken(t, p, "grace@example.com")
		s.Post("/auth/register", apptest.Object{"email": "grace@example.com", "password": stranger}).Want(202)
		second := first
		for second == first {
			second = mailedToken(t, p, "grace@example.com")
		}
		s.Post("/auth/verify-email", apptest.Object{"token": first}).Want(204)
		s.Post("/auth/verify-email", apptest.Object{"token": second}).Refused(400, "invalid_link")
		s.Post("/auth/login", apptest.Object{"email": "grace@example.com", "password": stranger}).Refused(401, "invalid_credentials")
		p.SignIn(t, "grace@example.com", owner)
	})
}

func TestRegister_TakenUsernameTellsNothingOfTheAddress(t *testing.T) {
	t.Parallel()
	p := apptest.Start(t, "embedded")
	p.Administrator(t).Post("/users", apptest.Object{"email": "ada@example.com", "username": "ada"}).Want(201)
	for _, email := range []string{apptest.AdminEmail, "nobody@example.com"} {
		p.Stranger(t).Post("/auth/register", apptest.Object{"email": email, "username": "ada", "password": apptest.PersonPassword}).
			Refused(409, "username_taken")
	}
}

func TestRegister_IsClosedBeforeThereIsAnAdministrator(t *testing.T) {
	t.Parallel()
	p := apptest.StartOn(t, slices.DeleteFunc(apptest.Environment(t, "embedded"), func(line string) bool {
		return strings.HasPrefix(line, "GATEHOUSE_ADMIN_EMAIL=") || strings.HasPrefix(line, "GATEHOUSE_ADMIN_PASSWORD=")
	}))
	p.Stranger(t).Post("/auth/register", apptest.Object{"email": "first@example.com", "password": apptest.PersonPassword}).
		Refused(403, "forbidden")
}

func TestLogin_CountsAnAccountUnderAllItsNames(t *testing.T) {
	t.Parallel()
	p := apptest.Start(t, "embedded")
	p.Administrator(t).Post("/users", apptest.Object{
		"email": "u@xn--bcher-kva.example", "username": "ada", "password": apptest.PersonPassword, "email_verified": true,
	}).Want(201)
	names := []apptest.Object{{"email": "u@bücher.example"}, {"email": "U@xn--bcher-kva.example"}, {"username": "ada"}}
	for i := range 10 {
		body := names[i%len(names)]
		body["password"] = "not the password at all"
		p.Stranger(t).Post("/auth/login", body).Refused(401, "invalid_credentials")
	}
	for _, body := range names {
		p.Stranger(t).Post("/auth/login", body).Refused(429, "rate_limited")
	}
}

func TestRefresh_ForgedTokensDoNotUseUpASession(t *testing.T) {
	t.Parallel()
	p := apptest.Start(t, "embedded")
	s := p.Stranger(t)
	signed := s.Post("/auth/login", apptest.Object{
		"email": apptest.AdminEmail, "password": apptest.AdminPassword, "token_delivery": "body",
	}).Want(200)
	genuine := signed.At("refresh_token")
	forged := genuine[:40] + strings.Repeat("A", len(genuine)-40)
	for range 40 {
		p.Stranger(t).Post("/auth/refresh", apptest.Object{"refresh_token": forged}).Refused(401, "token_invalid")
	}
	s.Post("/auth/refresh", apptest.Object{"refresh_token": genuine}).Want(200)
}
