package authapi_test

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/internal/app/apptest"
)

// browser is a client that was handed its session in cookies.
type browser struct {
	*apptest.Caller
	refresh, csrf string
}

// adopt takes the cookies of a reply over.
func (b *browser) adopt(r apptest.Reply) apptest.Reply {
	res := http.Response{Header: r.Header}
	for _, c := range res.Cookies() {
		switch c.Name {
		case "__Host-refresh_token":
			b.refresh = c.Value
		case "__Host-csrf_token":
			b.csrf = c.Value
		}
	}
	return r
}

func open(t *testing.T, p *apptest.Program, email, password string) *browser {
	t.Helper()
	b := &browser{Caller: p.Stranger(t)}
	b.adopt(b.Post("/auth/login", apptest.Object{"email": email, "password": password}).Want(http.StatusOK))
	return b
}

// post sends what a page of ours would send, and then the further header.
func (b *browser) post(path string, body any, header ...string) apptest.Reply {
	return b.Post(path, body, append([]string{
		"Cookie: __Host-refresh_token=" + b.refresh + "; __Host-csrf_token=" + b.csrf, "X-CSRF-Token: " + b.csrf,
		"Origin: http://localhost:3000", "Sec-Fetch-Site: same-origin",
	}, header...)...)
}

func TestLogin(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		root := p.Administrator(t)
		root.Person("ada")
		s := p.Stranger(t)
		ada := apptest.Object{"email": "Ada@Example.com", "password": apptest.PersonPassword}
		s.Post("/auth/login", ada).Golden("login_cookie")
		s.Post("/auth/login", apptest.Object{"username": "ADA", "password": apptest.PersonPassword, "token_delivery": "body"}).
			Golden("login_body")

		wrong := s.Post("/auth/login", apptest.Object{"email": "ada@example.com", "password": "wrong horse"}).Golden("login_wrong")
		unknown := s.Post("/auth/login", apptest.Object{"email": "eve@example.com", "password": "wrong horse"})
		if wrong.Status != unknown.Status || wrong.At("detail") != unknown.At("detail") {
			t.Errorf("unknown answers %s, known %s", unknown.Text, wrong.Text)
		}
		s.Post("/auth/login", apptest.Object{"email": "ada@example.com", "username": "ada", "password": "x"}).Golden("login_both_names")
		s.Post("/auth/login", apptest.Object{"password": "x"}).Refused(422, "validation_failed")
		s.Post("/auth/login", apptest.Object{"email": "ada", "password": apptest.PersonPassword}).Refused(422, "validation_failed")
		s.Post("/auth/login", apptest.Object{"email": "ada@example.com"}).Refused(422, "validation_failed")
		s.Post("/auth/login", `{"email":"ada@example.com","password":"x","token_delivery":"pigeon"}`).Refused(422, "validation_failed")
		s.Post("/auth/login", `{"email":`).Refused(400, "malformed_request")
		s.Post("/auth/login", ada, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site").Refused(403, "csrf_failed")
	})
}

func TestLogin_TellsTheStateOnlyAfterTheRightPassword(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		root := p.Administrator(t)
		make := func(name string, more apptest.Object) string {
			body := apptest.Object{"email": name + "@example.com", "password": apptest.PersonPassword, "email_verified": true}
			for k, v := range more {
				body[k] = v
			}
			return root.Post("/users", body).Want(201).At("id")
		}
		make("unproven", apptest.Object{"email_verified": false})
		root.Do("PATCH", "/users/"+make("suspended", nil), `{"account_status":"suspended"}`,
			"Content-Type: application/merge-patch+json").Want(200)
		root.Do("DELETE", "/users/"+make("deleted", nil), nil).Want(204)
		for name, code := range map[string]string{
			"unproven": "email_not_verified", "suspended": "account_suspended", "deleted": "invalid_credentials",
		} {
			right, wrong := p.Stranger(t), apptest.Object{"email": name + "@example.com", "password": "wrong horse"}
			status := http.StatusForbidden
			if code == "invalid_credentials" {
				status = http.StatusUnauthorized
			}
			right.Post("/auth/login", apptest.Object{"email": name + "@example.com", "password": apptest.PersonPassword}).Refused(status, code)
			right.Post("/auth/login", wrong).Refused(401, "invalid_credentials")
		}
	})
}

func TestRefresh_ByCookie(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		p.Administrator(t).Person("ada")
		b := open(t, p, "ada@example.com", apptest.PersonPassword)
		first := b.refresh

		b.post("/auth/refresh", nil, "X-CSRF-Token: ").Refused(403, "csrf_failed")
		b.post("/auth/refresh", nil, "X-CSRF-Token: "+strings.Repeat("x", 40)).Refused(403, "csrf_failed")
		b.post("/auth/refresh", nil, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site").Refused(403, "csrf_failed")
		b.post("/auth/refresh", apptest.Object{"refresh_token": "rt_x"}).Refused(422, "validation_failed")
		p.Stranger(t).Post("/auth/refresh", nil).Golden("refresh_missing")

		b.adopt(b.post("/auth/refresh", nil).Golden("refresh_cookie"))
		if b.refresh == first {
			t.Error("a refused request or the refresh rotated nothing")
		}
		// The successor of a spent token goes to a racing tab as well.
		old := *b
		old.refresh = first
		if again := old.adopt(old.post("/auth/refresh", nil).Want(200)); old.refresh != b.refresh {
			t.Errorf("a repeat got another successor: %s", again.Text)
		}
		// Once that was used, the spent token is worth nothing.
		b.adopt(b.post("/auth/refresh", nil).Want(200))
		old.refresh = first
		old.post("/auth/refresh", nil).Refused(401, "token_invalid")
	})
}

func TestRefresh_ByBody(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		p.Administrator(t).Person("ada")
		s := p.Stranger(t)
		login := apptest.Object{"email": "ada@example.com", "password": apptest.PersonPassword, "token_delivery": "body"}
		token := s.Post("/auth/login", login).Want(200).At("refresh_token")
		s.Post("/auth/refresh", apptest.Object{"refresh_token": token}).Golden("refresh_body")
		s.Post("/auth/refresh", apptest.Object{"refresh_token": "rt_" + strings.Repeat("A", 64)}).Refused(401, "token_invalid")
		s.Post("/auth/refresh", apptest.Object{"refresh_token": "x"}).Refused(401, "token_invalid")
		s.Post("/auth/refresh", apptest.Object{"token": "x"}).Refused(422, "validation_failed")

		// A cookie's token does not count in a body.
		b := open(t, p, "ada@example.com", apptest.PersonPassword)
		s.Post("/auth/refresh", apptest.Object{"refresh_token": b.refresh}).Refused(401, "token_invalid")
	})
}

func TestRefresh_IsLimitedPerSession(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		p.Administrator(t).Person("ada")
		b, other := open(t, p, "ada@example.com", apptest.PersonPassword), open(t, p, "ada@example.com", apptest.PersonPassword)
		for range 30 {
			b.adopt(b.post("/auth/refresh", nil).Want(200))
		}
		r := b.post("/auth/refresh", nil).Refused(429, "rate_limited")
		if r.Header.Get("Retry-After") == "" {
			t.Errorf("header %v", r.Header)
		}
		other.post("/auth/refresh", nil).Want(200)
	})
}

func TestLogout(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		ada := p.Administrator(t).Person("ada")
		again := p.SignIn(t, "ada@example.com", apptest.PersonPassword)

		ada.Post("/auth/logout", nil).Golden("logout")
		ada.Get("/users/profile").Golden("session_revoked")
		again.Get("/users/profile").Want(200)

		b := open(t, p, "ada@example.com", apptest.PersonPassword)
		b.post("/auth/logout", nil, "X-CSRF-Token: ").Refused(403, "csrf_failed")
		b.post("/auth/logout", apptest.Object{"all_sessions": true, "x": 1}).Refused(422, "validation_failed")
		b.post("/auth/logout", apptest.Object{"all_sessions": true}).Want(204)
		again.Get("/users/profile").Refused(401, "session_revoked")
		b.post("/auth/logout", nil).Refused(401, "token_invalid")
		b.post("/auth/refresh", nil).Want(401)
		p.Stranger(t).Post("/auth/logout", nil).Refused(401, "token_invalid")
	})
}

func TestSessions(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		root := p.Administrator(t)
		ada := root.Person("ada")
		other := p.SignIn(t, "ada@example.com", apptest.PersonPassword)

		ada.Get("/auth/sessions").Golden("sessions")
		first := ada.Get("/auth/sessions?limit=1&include_total=true").Want(200)
		if first.At("items.0.id") != other.SessionID || first.Value("total") != 2.0 {
			t.Errorf("first page: %s", first.Text)
		}
		second := ada.Get("/auth/sessions?limit=1&cursor=" + first.At("next_cursor")).Want(200)
		if second.At("items.0.id") != ada.SessionID || second.Value("next_cursor") != nil {
			t.Errorf("second page: %s", second.Text)
		}
		ada.Get("/auth/sessions?limit=0").Refused(422, "validation_failed")
		ada.Get("/auth/sessions?cursor=x").Refused(422, "validation_failed")

		// A foreign session answers as one that never was (RBAC-2).
		ada.Do("DELETE", "/auth/sessions/"+root.SessionID, nil).Refused(404, "not_found")
		ada.Do("DELETE", "/auth/sessions/00000000-0000-7000-8000-000000000000", nil).Refused(404, "not_found")
		ada.Do("DELETE", "/auth/sessions/x", nil).Refused(404, "not_found")
		ada.Do("DELETE", "/auth/sessions/"+other.SessionID, nil).Want(204)
		ada.Do("DELETE", "/auth/sessions/"+other.SessionID, nil).Refused(404, "not_found")
		other.Get("/users/profile").Refused(401, "session_revoked")
		ada.Get("/users/profile").Want(200)
	})
}
