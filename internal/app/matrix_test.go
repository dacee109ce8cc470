package app_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/api"
	"gatehouse/internal/app/apptest"
)

// contract says who may call each route. A route that is not here, or here
// under another rule, fails the test.
func contract() map[string]string {
	return map[string]string{
		"POST /auth/login":                        "public",
		"POST /auth/refresh":                      "cookie",
		"POST /auth/logout":                       "bearer or cookie",
		"POST /auth/register":                     "public",
		"POST /auth/verify-email":                 "public",
		"POST /auth/resend-verification":          "public",
		"POST /auth/setup":                        "public",
		"POST /auth/change-password":              "bearer",
		"GET /auth/sessions":                      "bearer",
		"DELETE /auth/sessions/{id}":              "bearer",
		"GET /.well-known/jwks.json":              "public",
		"GET /users/profile":                      "bearer",
		"PUT /users/profile":                      "bearer",
		"PATCH /users/profile":                    "bearer",
		"GET /users":                              "users:read",
		"POST /users":                             "users:write",
		"GET /users/{id}":                         "users:read",
		"PUT /users/{id}":                         "users:write",
		"PATCH /users/{id}":                       "users:write",
		"DELETE /users/{id}":                      "users:delete",
		"POST /users/{id}/restore":                "users:write",
		"GET /admin/permissions":                  "roles:read",
		"GET /admin/roles":                        "roles:read",
		"POST /admin/roles":                       "roles:write",
		"GET /admin/roles/{id}":                   "roles:read",
		"PUT /admin/roles/{id}":                   "roles:write",
		"DELETE /admin/roles/{id}":                "roles:write",
		"POST /admin/users/{id}/roles":            "roles:assign",
		"DELETE /admin/users/{id}/roles/{roleId}": "roles:assign",
		"GET /admin/users/{id}/sessions":          "sessions:read",
		"DELETE /admin/users/{id}/sessions":       "sessions:revoke",
		"GET /admin/audit-logs":                   "audit:read",
		"GET /admin/audit-logs/verify":            "audit:read",
	}
}

// owing are the routes for a person who must first choose a password.
func owing() []string {
	return []string{
		"POST /auth/logout", "POST /auth/change-password", "GET /auth/sessions", "DELETE /auth/sessions/{id}", "GET /users/profile",
	}
}

// builtIn says what the built-in roles hold of what endpoints check.
func builtIn() map[string][]string {
	return map[string][]string{
		"admin": {
			"audit:read", "roles:assign", "roles:read", "roles:write", "sessions:read", "sessions:revoke",
			"users:delete", "users:read", "users:write",
		},
		"auditor": {"audit:read", "roles:read", "users:read"},
		"support": {"sessions:read", "sessions:revoke", "users:read", "users:write"},
		"user":    {},
	}
}

func TestAccess_EveryRouteIsInTheContract(t *testing.T) {
	t.Parallel()
	p := apptest.Start(t, "embedded")
	got := map[string]string{}
	for _, r := range p.App.Routes() {
		got[r.String()] = r.Access.String()
		if open := slices.Contains(owing(), r.String()); r.Owing != open {
			t.Errorf("%s: open to those who owe a password: %t, want %t", r, r.Owing, open)
		}
	}
	if diff := cmp.Diff(contract(), got); diff != "" {
		t.Errorf("routes (-contract +program):\n%s", diff)
	}
}

// Every route is called without a token, with a forged one, by somebody of
// each built-in role, and by somebody who lacks one permission alone (RBAC-1).
func TestAccess_EveryRouteForEveryone(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		root := p.Administrator(t)
		routes := p.App.Routes()
		// The sign-out comes last: it ends what the other calls need.
		slices.SortStableFunc(routes, func(a, b api.Route) int {
			return strings.Compare(signOutLast(a), signOutLast(b))
		})
		nobody, forger := p.Stranger(t), p.Stranger(t)
		forger.Token = root.Token[:len(root.Token)-4] + "AAAA"
		for _, r := range routes {
			if r.Access.Anonymous() {
				continue
			}
			call(nobody, r, broken).Refused(http.StatusUnauthorized, "token_invalid")
			call(forger, r, broken).Refused(http.StatusUnauthorized, "token_invalid")
		}
		for role, held := range builtIn() {
			check(t, root.Person("has-"+role, role), routes, held)
		}
		all := builtIn()["admin"]
		for _, missing := range all {
			held := slices.DeleteFunc(slices.Clone(all), func(p string) bool { return p == missing })
			name := strings.ReplaceAll(missing, ":", "-")
			root.Post("/admin/roles", apptest.Object{"name": "lacks " + name, "permissions": held}).Want(http.StatusCreated)
			check(t, root.Person("lacks-"+name, "lacks "+name), routes, held)
		}
	})
}

func signOutLast(r api.Route) string {
	if r.Path == "/auth/logout" {
		return "2"
	}
	return "1"
}

// check calls every route as c, who holds some permissions.
func check(t *testing.T, c *apptest.Caller, routes []api.Route, held []string) {
	t.Helper()
	for _, r := range routes {
		p := string(r.Access.Permission())
		switch {
		case r.Access.Anonymous():
			continue
		case p != "" && !slices.Contains(held, p):
			// Refused before anything of the body is looked at.
			call(c, r, broken).Refused(http.StatusForbidden, "forbidden")
		default:
			reply := call(c, r, empty)
			if s := reply.Status; s == http.StatusUnauthorized || s == http.StatusForbidden || s >= http.StatusInternalServerError {
				t.Errorf("%s by one who holds %v: %d %s", r, held, s, reply.Text)
			}
		}
	}
}

func TestAccess_WhoOwesAPasswordMayDoNothingElse(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		p.Administrator(t).Post("/users", apptest.Object{
			"email": "ada@example.com", "password": apptest.PersonPassword, "password_change_required": true,
			"email_verified": true, "roles": []string{"admin"},
		}).Want(http.StatusCreated)
		ada := p.SignIn(t, "ada@example.com", apptest.PersonPassword)
		for _, r := range p.App.Routes() {
			if !r.Access.Anonymous() && !slices.Contains(owing(), r.String()) {
				call(ada, r, broken).Refused(http.StatusForbidden, "step_up_required")
			}
		}
		ada.Get("/users/profile").Want(http.StatusOK)
	})
}

// Bodies of calls that change nothing.
const (
	empty  = "{}"
	broken = "{"
)

// call sends a request to a route, about things that do not exist.
func call(c *apptest.Caller, r api.Route, body string) apptest.Reply {
	const none = "00000000-0000-7000-8000-000000000000"
	path := strings.NewReplacer("{id}", none, "{roleId}", none).Replace(r.Path)
	if r.Method == http.MethodGet || r.Method == http.MethodDelete {
		return c.Do(r.Method, path, nil)
	}
	if strings.HasSuffix(path, "/restore") {
		body = ""
	}
	return c.Do(r.Method, path, body, "Content-Type: "+r.Consumes)
}
