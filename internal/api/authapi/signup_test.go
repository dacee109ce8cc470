package authapi_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/app/apptest"
)

// mailedToken waits for the newest mail to an address that holds a link, and
// returns the token of the link.
func mailedToken(t *testing.T, p *apptest.Program, to string) string {
	t.Helper()
	link := regexp.MustCompile(`#token=3D([A-Za-z0-9_=\r\n-]+?)\s*(?:\r?\n|")|#token=([A-Za-z0-9_-]+)`)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		files, err := filepath.Glob(filepath.Join(p.Dir, "mail", "*.eml"))
		if err != nil {
			t.Fatal(err)
		}
		for i := len(files) - 1; i >= 0; i-- {
			text, err := os.ReadFile(files[i])
			if err != nil {
				t.Fatal(err)
			}
			if plain := strings.ReplaceAll(strings.ReplaceAll(string(text), "=\r\n", ""), "=3D", "="); strings.Contains(plain, to) {
				if m := link.FindStringSubmatch(plain); m != nil {
					return m[1] + m[2]
				}
			}
		}
	}
	t.Fatalf("no link was mailed to %s", to)
	return ""
}

func TestRegister(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		s := p.Stranger(t)
		ada := apptest.Object{
			"email": "ada@example.com", "password": apptest.PersonPassword, "username": "ada", "first_name": "Ada", "last_name": nil,
		}
		s.Post("/auth/register", ada).Golden("register")
		s.Post("/auth/register", apptest.Object{"email": "ada@example.com", "password": apptest.PersonPassword}).Golden("register")
		s.Post("/auth/register", apptest.Object{"email": "b@example.com", "password": "short"}).Golden("register_policy")
		s.Post("/auth/register", apptest.Object{"email": "no address", "password": apptest.PersonPassword}).Refused(422, "validation_failed")
		s.Post("/auth/register", apptest.Object{"email": "b@example.com", "password": apptest.PersonPassword, "roles": []string{"admin"}}).
			Refused(422, "validation_failed")

		login := apptest.Object{"email": "ada@example.com", "password": apptest.PersonPassword}
		s.Post("/auth/login", login).Golden("login_unverified")
		token := mailedToken(t, p, "ada@example.com")
		s.Post("/auth/verify-email", apptest.Object{"token": "x"}).Golden("verify_invalid")
		s.Post("/auth/verify-email", apptest.Object{}).Refused(422, "validation_failed")
		s.Post("/auth/verify-email", apptest.Object{"token": token}).Want(204)
		s.Post("/auth/verify-email", apptest.Object{"token": token}).Refused(400, "invalid_link")
		signed := s.Post("/auth/login", login).Want(200)
		if signed.At("user.first_name") != "Ada" || signed.At("user.roles.0") != "user" || signed.Len("user.roles") != 1 {
			t.Errorf("registered as %s", signed.Text)
		}
	})
}

func TestRegister_IsLimitedPerAddress(t *testing.T) {
	t.Parallel()
	p := apptest.Start(t, "embedded")
	s := p.Stranger(t)
	for range 10 {
		s.Post("/auth/register", apptest.Object{}).Refused(422, "validation_failed")
	}
	s.Post("/auth/register", apptest.Object{}).Refused(429, "rate_limited")
	p.Stranger(t).Post("/auth/register", apptest.Object{}).Refused(422, "validation_failed")
}

func TestResendVerification_AnswersAllAlike(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		p.Administrator(t).Post("/users", apptest.Object{"email": "ada@example.com", "password": apptest.PersonPassword}).Want(201)
		s := p.Stranger(t)
		for _, email := range []string{"ada@example.com", apptest.AdminEmail, "nobody@example.com", "no address"} {
			s.Post("/auth/resend-verification", apptest.Object{"email": email}).Golden("resend")
		}
		s.Post("/auth/resend-verification", apptest.Object{}).Refused(422, "validation_failed")
		s.Post("/auth/verify-email", apptest.Object{"token": mailedToken(t, p, "ada@example.com")}).Want(204)
		p.SignIn(t, "ada@example.com", apptest.PersonPassword)
	})
}

func TestSetup(t *testing.T) {
	t.Parallel()
	p := apptest.StartOn(t, slices.DeleteFunc(apptest.Environment(t, "embedded"), func(line string) bool {
		return strings.HasPrefix(line, "GATEHOUSE_ADMIN_EMAIL=") || strings.HasPrefix(line, "GATEHOUSE_ADMIN_PASSWORD=")
	}))
	secret, err := p.App.Signup.SetupLink(t.Context())
	if err != nil || secret == "" {
		t.Fatal("no link", err)
	}
	s := p.Stranger(t)
	body := func(token string) apptest.Object {
		return apptest.Object{"token": token, "email": apptest.AdminEmail, "password": apptest.AdminPassword}
	}
	s.Post("/auth/setup", body("st_x")).Refused(http.StatusBadRequest, "invalid_link")
	s.Post("/auth/setup", apptest.Object{"token": secret.Reveal(), "email": apptest.AdminEmail, "password": "short"}).
		Refused(422, "password_policy")
	s.Post("/auth/setup", body(secret.Reveal())).Want(204)
	s.Post("/auth/setup", body(secret.Reveal())).Refused(http.StatusBadRequest, "invalid_link")
	p.Administrator(t).Get("/users").Want(200)
}
