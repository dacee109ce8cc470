package blackbox_test

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestMainJob_PeopleSignInKeepTheirProfileRefreshAndSignOut(t *testing.T) {
	t.Parallel()
	bothStacks(t, func(t *testing.T, stack string) {
		n := install(t, stack).start()
		c := n.connect()
		admin := c.admin()
		made := admin.create("ada@example.com")
		if !made.EmailVerified || made.AccountStatus != "active" {
			t.Errorf("created %+v", made)
		}

		session := c.signIn("ada@example.com", personPass)
		ada := c.as(session.AccessToken)
		if session.ExpiresIn != 900 || session.User.ID != made.ID {
			t.Errorf("signed in as %+v for %d s", session.User, session.ExpiresIn)
		}
		first := ada.send("GET", "/users/profile", nil).want(200)
		changed := ada.send("PUT", "/users/profile", map[string]string{"username": "ada", "first_name": "Ada", "last_name": "Lovelace"}).want(200)
		ada.send("PUT", "/users/profile", map[string]string{"first_name": "Eve"}, "If-Match: "+first.header.Get("ETag")).
			refused(412, "precondition_failed")
		ada.send("PATCH", "/users/profile", `{"last_name":null}`, "Content-Type: application/merge-patch+json", "If-Match: "+changed.header.Get("ETag")).want(200)
		var now user
		ada.send("GET", "/users/profile", nil).want(200).into(&now)
		if now.Username == nil || *now.Username != "ada" || now.FirstName == nil || *now.FirstName != "Ada" || now.LastName != nil {
			t.Errorf("the profile is %+v", now)
		}

		var renewed signedIn
		c.send("POST", "/auth/refresh", map[string]string{"refresh_token": session.RefreshToken}).want(200).into(&renewed)
		if renewed.SessionID != session.SessionID || renewed.RefreshToken == session.RefreshToken {
			t.Error("a refresh must keep the session and change the token")
		}
		again := c.as(renewed.AccessToken)
		again.send("GET", "/users/profile", nil).want(200)
		again.send("POST", "/auth/logout", nil).want(204)
		for _, token := range []string{session.AccessToken, renewed.AccessToken} {
			c.as(token).send("GET", "/users/profile", nil).refused(401, "session_revoked")
		}
		c.send("POST", "/auth/refresh", map[string]string{"refresh_token": renewed.RefreshToken}).refused(401, "session_revoked")
	})
}

func TestMainJob_ABrowserKeepsItsSessionInCookies(t *testing.T) {
	t.Parallel()
	bothStacks(t, func(t *testing.T, stack string) {
		n := install(t, stack).start()
		c := n.connect()
		login := c.send("POST", "/auth/login", map[string]string{"email": adminEmail, "password": adminPassword}).want(200)
		var s signedIn
		login.into(&s)
		if s.RefreshToken != "" {
			t.Error("a refresh token that is a cookie must not stand in the body")
		}
		jar := cookies(login)
		refresh, csrf := jar["__Host-refresh_token"], jar["__Host-csrf_token"]
		if refresh == nil || csrf == nil || !refresh.HttpOnly || !refresh.Secure || refresh.SameSite != http.SameSiteStrictMode ||
			refresh.Path != "/" || refresh.Domain != "" || csrf.HttpOnly || csrf.Value != s.CSRFToken {
			t.Fatalf("cookies: %v", login.header["Set-Cookie"])
		}
		cookie := "Cookie: __Host-refresh_token=" + refresh.Value
		const ours, theirs = "Origin: http://localhost:3000", "Origin: https://evil.example"
		c.send("POST", "/auth/refresh", nil, cookie, ours).refused(403, "csrf_failed")
		c.send("POST", "/auth/refresh", nil, cookie, ours, "X-CSRF-Token: "+strings.Repeat("x", len(csrf.Value))).refused(403, "csrf_failed")
		c.send("POST", "/auth/refresh", nil, cookie, theirs, "X-CSRF-Token: "+csrf.Value).refused(403, "csrf_failed")
		renewed := c.send("POST", "/auth/refresh", nil, cookie, ours, "X-CSRF-Token: "+csrf.Value).want(200)
		jar = cookies(renewed)
		renewed.into(&s)
		out := c.send("POST", "/auth/logout", nil, ours,
			"Cookie: __Host-refresh_token="+jar["__Host-refresh_token"].Value, "X-CSRF-Token: "+s.CSRFToken).want(204)
		if out.header.Get("Clear-Site-Data") == "" || cookies(out)["__Host-refresh_token"].MaxAge >= 0 {
			t.Errorf("sign-out must clear the browser: %v", out.header)
		}
		c.as(s.AccessToken).send("GET", "/users/profile", nil).refused(401, "session_revoked")
	})
}

func cookies(r reply) map[string]*http.Cookie {
	jar := map[string]*http.Cookie{}
	for _, c := range (&http.Response{Header: r.header}).Cookies() {
		jar[c.Name] = c
	}
	return jar
}

func TestMainJob_WhatIsNotAllowedIsRefused(t *testing.T) {
	t.Parallel()
	bothStacks(t, func(t *testing.T, stack string) {
		n := install(t, stack).start()
		c := n.connect()
		admin := c.admin()
		bob := admin.create("bob@example.com")
		eve := c.as(c.elsewhere().signInNew(admin, "eve@example.com"))
		sam := c.as(c.elsewhere().signInNew(admin, "sam@example.com", "support"))

		for _, r := range []struct{ method, path, body string }{
			{"GET", "/users", ""},
			{"POST", "/users", `{"email":"x@example.com"}`},
			{"GET", "/users/" + bob.ID, ""},
			{"PUT", "/users/" + bob.ID, `{"first_name":"X"}`},
			{"DELETE", "/users/" + bob.ID, ""},
			{"GET", "/admin/roles", ""},
			{"POST", "/admin/roles", `{"name":"boss","permissions":["users:read"]}`},
			{"POST", "/admin/users/" + bob.ID + "/roles", `{"role":"admin"}`},
			{"GET", "/admin/audit-logs", ""},
			{"GET", "/admin/audit-logs/verify", ""},
			{"GET", "/admin/permissions", ""},
			{"GET", "/admin/users/" + bob.ID + "/sessions", ""},
		} {
			var body any
			if r.body != "" {
				body = r.body
			}
			eve.send(r.method, r.path, body).refused(403, "forbidden")
			bare := c.send(r.method, r.path, body)
			if bare.want(401).header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: no WWW-Authenticate", bare.what)
			}
			c.as(eve.token+"x").send(r.method, r.path, body).refused(401, "token_invalid")
		}
		eve.send("PUT", "/users/profile", `{"roles":["admin"]}`).refused(422, "validation_failed")
		eve.send("PUT", "/users/profile", `{"email_verified":true}`).refused(422, "validation_failed")
		eve.send("DELETE", "/auth/sessions/"+c.signIn(adminEmail, adminPassword).SessionID, nil).refused(404, "not_found")
		sam.send("GET", "/users/"+bob.ID, nil).want(200)
		sam.send("POST", "/admin/users/"+bob.ID+"/roles", `{"role":"support"}`).refused(403, "forbidden")
		sam.send("PATCH", "/users/"+adminID(admin), `{"email":"mine@example.com"}`, mergePatch).refused(403, "forbidden")
		admin.send("POST", "/admin/users/"+adminID(admin)+"/roles", `{"role":"support"}`).refused(403, "forbidden")
		c.send("POST", "/auth/login", credentials("bob@example.com", "not the pass phrase 17")).refused(401, "invalid_credentials")
		c.send("POST", "/auth/login", credentials("nobody@example.com", personPass)).refused(401, "invalid_credentials")
		if got := admin.logged("access.denied"); len(got) == 0 {
			t.Error("no refusal is in the log")
		}
	})
}

const mergePatch = "Content-Type: application/merge-patch+json"

// signInNew makes a person and returns an access token of theirs.
func (c client) signInNew(admin client, email string, roles ...string) string {
	c.tb.Helper()
	admin.create(email, roles...)
	return c.signIn(email, personPass).AccessToken
}

func adminID(admin client) string {
	var u user
	admin.send("GET", "/users/profile", nil).want(200).into(&u)
	return u.ID
}

func TestMainJob_WhoRegistersSignsInAfterTheMailedLink(t *testing.T) {
	t.Parallel()
	bothStacks(t, func(t *testing.T, stack string) {
		i := install(t, stack)
		c := i.start().connect()
		form := map[string]string{"email": "new@example.com", "password": personPass}
		first := c.send("POST", "/auth/register", form).want(202)
		again := c.send("POST", "/auth/register", form).want(202)
		if string(first.body) != string(again.body) {
			t.Error("a known address is told from a new one")
		}
		c.send("POST", "/auth/login", credentials("new@example.com", personPass)).refused(403, "email_not_verified")
		c.send("POST", "/auth/login", credentials("new@example.com", personPass+"x")).refused(401, "invalid_credentials")
		token := linkToken.FindStringSubmatch(i.mail(10*time.Second, "new@example.com", "#token="))
		if token == nil {
			t.Fatal("the mail has no link")
		}
		c.send("POST", "/auth/verify-email", map[string]string{"token": token[1]}).want(204)
		c.send("POST", "/auth/verify-email", map[string]string{"token": token[1]}).refused(400, "invalid_link")
		c.signIn("new@example.com", personPass)
	})
}

var linkToken = regexp.MustCompile(`#token=([A-Za-z0-9_.~-]+)`)

func TestServe_RunsOnlyTheServicesAskedFor(t *testing.T) {
	t.Parallel()
	i := install(t, embedded)
	n := i.startNode("a", nil, "--services", "user,jobs")
	if len(n.urls) != 1 || n.urls["user"] == "" {
		t.Fatalf("listens at %v", n.urls)
	}
	c := connect(t, n.urls["user"])
	c.send("GET", "/health/ready", nil).want(200)
	c.send("GET", "/users/profile", nil).want(401)
	c.send("POST", "/auth/login", credentials(adminEmail, adminPassword)).refused(404, "not_found")
	c.send("GET", "/admin/roles", nil).refused(404, "not_found")
}

func TestServe_EveryListenerServesItsOwnPaths(t *testing.T) {
	t.Parallel()
	n := install(t, embedded).start()
	own := map[string]string{"auth": "/.well-known/jwks.json", "user": "/users/profile", "admin": "/admin/roles", "front": "/.well-known/jwks.json"}
	for name, path := range own {
		c := connect(t, n.urls[name])
		for _, common := range []string{"/health/live", "/health/ready", "/health/metrics", "/openapi.json"} {
			c.send("GET", common, nil).want(200)
		}
		if got := c.send("GET", path, nil); got.status == 404 {
			t.Errorf("%s has no %s", name, path)
		}
	}
	connect(t, n.urls["user"]).send("GET", "/admin/roles", nil).refused(404, "not_found")
}

func TestServe_IsReadySoonOnAnEmptyFolder(t *testing.T) {
	t.Parallel()
	n := install(t, embedded, "GATEHOUSE_PASSWORD_COST=12").start()
	t.Logf("ready after %v", n.startup)
	if n.startup > 5*time.Second { // 1 s on a machine with nothing else to do
		t.Errorf("ready after %v", n.startup)
	}
	if mode := fileMode(t, filepath.Join(n.dir, "master.key")); mode != 0o600 {
		t.Errorf("the master key has mode %o", mode)
	}
}
