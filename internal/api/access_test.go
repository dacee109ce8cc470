package api_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/api"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/throttle"
)

func TestRegister_RefusesAnIncompleteRoute(t *testing.T) {
	t.Parallel()
	none := func(context.Context, actor.Actor, *api.None) (*api.None, error) { return nil, nil }
	for want, register := range map[string]func(*api.Surface){
		"declares no access rule": func(s *api.Surface) { api.Register(s, api.Route{Method: "GET", Path: "/x"}, none) },
		"method": func(s *api.Surface) {
			api.Register(s, api.Route{Method: "get", Path: "/x", Access: api.Public()}, none)
		},
		"path": func(s *api.Surface) { api.Register(s, api.Route{Method: "GET", Path: "x", Access: api.Public()}, none) },
		"declared twice": func(s *api.Surface) {
			api.Register(s, api.Route{Method: "GET", Path: "/things", Access: api.Public()}, none)
		},
		"no field for {id}": func(s *api.Surface) {
			api.Register(s, api.Route{Method: "GET", Path: "/x/{id}", Access: api.Public()}, none)
		},
		"comes from nowhere": func(s *api.Surface) {
			api.Register(s, api.Route{Method: "GET", Path: "/x", Access: api.Public()},
				func(context.Context, actor.Actor, *struct{ Lost string }) (*api.None, error) { return nil, nil })
		},
		"goes nowhere": func(s *api.Surface) {
			api.Register(s, api.Route{Method: "GET", Path: "/x", Access: api.Public()},
				func(context.Context, actor.Actor, *api.None) (*struct{ Lost string }, error) { return nil, nil })
		},
		"limit": func(s *api.Surface) {
			api.Register(s, api.Route{Method: "GET", Path: "/x", Access: api.Public(), Limit: throttle.Limit{Max: 1}}, none)
		},
	} {
		s := api.New("bad", newGate().deps(), testConfig())
		sampleRoutes(s)
		func() {
			defer func() {
				if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), want) {
					t.Errorf("want a panic about %q, got %v", want, p)
				}
			}()
			register(s)
		}()
	}
}

func TestBearer(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), nil)
	for header, challenge := range map[string]string{
		"":                  `Bearer realm="gatehouse"`,
		"Bearer":            `Bearer realm="gatehouse", error="invalid_token", error_description="token invalid"`,
		"Bearer ":           `Bearer realm="gatehouse", error="invalid_token", error_description="token invalid"`,
		"Basic cGxhaW46":    `Bearer realm="gatehouse", error="invalid_token", error_description="token invalid"`,
		"Bearer plain x":    `Bearer realm="gatehouse", error="invalid_token", error_description="token invalid"`,
		"Bearer pl\"ain":    `Bearer realm="gatehouse", error="invalid_token", error_description="token invalid"`,
		"Bearer never-seen": `Bearer realm="gatehouse", error="invalid_token", error_description="token invalid"`,
	} {
		var headers []string
		if header != "" {
			headers = []string{"Authorization", header}
		}
		r := s.do(t, "GET", "/things/mine", "", headers...)
		r.wants(t, 401, "token_invalid")
		if got := r.Header.Get("WWW-Authenticate"); got != challenge {
			t.Errorf("%q: challenge %q", header, got)
		}
		if strings.Contains(r.text, "never-seen") {
			t.Error("the token is echoed")
		}
	}
	s.do(t, "GET", "/things/mine", "", "Authorization", "Bearer expired").wants(t, 401, "token_expired")
	s.do(t, "GET", "/things/mine", "", "Authorization", "Bearer plain", "Authorization", "Bearer plain").wants(t, 401, "token_invalid")
	s.do(t, "GET", "/things/mine?access_token=plain", "").wants(t, 401, "token_invalid")
	if r := s.do(t, "GET", "/things/mine", "", "Authorization", "bearer plain"); r.StatusCode != 200 {
		t.Errorf("scheme in lower case: %d", r.StatusCode)
	}
	r := s.do(t, "GET", "/things/mine", "", "Authorization", "Bearer down")
	r.wants(t, 503, "unavailable")
	if r.Header.Get("Retry-After") == "" || strings.Contains(r.text, "10.0.0.1") {
		t.Errorf("503: Retry-After %q, %s", r.Header.Get("Retry-After"), r.text)
	}
	if !strings.Contains(s.logged(), "10.0.0.1") {
		t.Error("the cause of the 503 was not logged")
	}
}

// TestAccess_EveryRouteForEveryCaller derives the answers from the table.
func TestAccess_EveryRouteForEveryCaller(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), nil)
	held := map[string][]actor.Permission{"": nil, "plain": nil, "reader": {"things:read", "things:write"}}
	for _, r := range s.api.Routes() {
		path := strings.ReplaceAll(r.Path, "{id}", s.ada.String())
		for token, permissions := range held {
			var headers []string
			if token != "" {
				headers = []string{"Authorization", "Bearer " + token}
			}
			body := ""
			if r.Method == "POST" || r.Method == "PATCH" {
				body = "{" // access is decided before the body is looked at
			}
			got := s.do(t, r.Method, path, body, append(headers, "Content-Type", r.Consumes)...).StatusCode
			p := r.Access.Permission()
			switch may := p == "" || (actor.Actor{Permissions: permissions}).Has(p); {
			case r.Access.Anonymous():
				if got == 401 || got == 403 {
					t.Errorf("%s with %q: %d", r, token, got)
				}
			case token == "" && got != 401, token != "" && !may && got != 403, token != "" && may && (got == 401 || got == 403):
				t.Errorf("%s (%s) with %q: %d", r, r.Access, token, got)
			}
		}
	}
}

func TestDenied_IsReportedForSignedInPeopleOnly(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), nil)
	s.do(t, "GET", "/things/"+s.ada.String(), "").wants(t, 401, "token_invalid")
	s.do(t, "GET", "/things/"+s.ada.String(), "", "Authorization", "Bearer plain").wants(t, 403, "forbidden")
	s.do(t, "POST", "/login", `{"password":"x"}`, "Origin", "https://evil.example").wants(t, 403, "csrf_failed")
	if len(s.denied) != 1 || s.denied[0] != s.ada.String()+" GET /things/{id}" {
		t.Errorf("reported: %v", s.denied)
	}
}

func TestCSRF(t *testing.T) {
	t.Parallel()
	const ours, token = "__Host-refresh_token=rt", "csrf-of-rt"
	for _, c := range []struct {
		name    string
		path    string
		headers []string
		status  int
	}{
		{"all three", "/refresh", []string{"Cookie", ours, "X-CSRF-Token", token, "Origin", "https://app.example.com"}, 200},
		{"own origin", "/refresh", []string{"Cookie", ours, "X-CSRF-Token", token, "Origin", "https://id.example.com", "Sec-Fetch-Site", "same-origin"}, 200},
		{"no browser", "/refresh", []string{"Cookie", ours, "X-CSRF-Token", token}, 200},
		{"logout by cookie", "/logout", []string{"Cookie", ours, "X-CSRF-Token", token}, 200},
		{"logout by bearer", "/logout", []string{"Cookie", ours, "Authorization", "Bearer plain"}, 200},
		{"logout by nothing", "/logout", nil, 401},
		{"logout without token", "/logout", []string{"Cookie", ours}, 403},
		{"no token", "/refresh", []string{"Cookie", ours, "Origin", "https://app.example.com"}, 403},
		{"wrong token", "/refresh", []string{"Cookie", ours, "X-CSRF-Token", "csrf-of-other"}, 403},
		{"two tokens", "/refresh", []string{"Cookie", ours, "X-CSRF-Token", token, "X-CSRF-Token", "x"}, 403},
		{"foreign origin", "/refresh", []string{"Cookie", ours, "X-CSRF-Token", token, "Origin", "https://evil.example"}, 403},
		{"foreign origin that claims the same site", "/refresh", []string{"Cookie", ours, "X-CSRF-Token", token, "Origin", "https://evil.example", "Sec-Fetch-Site", "same-origin"}, 403},
		{"null origin", "/refresh", []string{"Cookie", ours, "X-CSRF-Token", token, "Origin", "null"}, 403},
		{"cross-site without origin", "/refresh", []string{"Cookie", ours, "X-CSRF-Token", token, "Sec-Fetch-Site", "cross-site"}, 403},
		{"without cookie no token is needed", "/refresh", nil, 200},
		{"without cookie the origin counts", "/refresh", []string{"Origin", "https://evil.example"}, 403},
		{"cookie twice counts as none", "/refresh", []string{"Cookie", ours + "; __Host-refresh_token=other"}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, testConfig(), nil).do(t, "POST", c.path, "", c.headers...)
			if r.StatusCode != c.status {
				t.Fatalf("%d, want %d: %s", r.StatusCode, c.status, r.text)
			}
			if c.status == 403 {
				r.wants(t, 403, "csrf_failed")
			}
		})
	}
	s := start(t, testConfig(), nil)
	s.do(t, "POST", "/login", `{"password":"x"}`, "Sec-Fetch-Site", "cross-site").wants(t, 403, "csrf_failed")
	if r := s.do(t, "POST", "/login", `{"password":"x"}`, "Origin", "https://app.example.com", "Sec-Fetch-Site", "same-site"); r.StatusCode != 204 {
		t.Errorf("login from an allowed origin: %d", r.StatusCode)
	}
	s.do(t, "POST", "/refresh", `{}`, "Cookie", ours, "X-CSRF-Token", token, "Content-Type", "text/plain").wants(t, 415, "unsupported_media_type")
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), nil)
	r := s.do(t, "POST", "/login", `{"password":"x"}`)
	if r.Header.Get("RateLimit-Limit") != "20" || r.Header.Get("RateLimit-Remaining") != "19" || r.Header.Get("RateLimit-Reset") != "60" {
		t.Errorf("headers: %v", r.Header)
	}
	if r := s.do(t, "GET", "/things/mine", "", "Authorization", "Bearer plain"); r.Header.Get("RateLimit-Limit") != "600" {
		t.Errorf("bearer route: %v", r.Header)
	}
	s.mu.Lock()
	s.decision = throttle.Decision{Limit: 20, Reset: time.Minute, RetryAfter: 1500 * time.Millisecond}
	s.mu.Unlock()
	for _, body := range []string{`{"password":"x"}`, `{`} {
		r = s.do(t, "POST", "/login", body)
		r.wants(t, 429, "rate_limited")
		if r.Header.Get("Retry-After") != "2" || r.Header.Get("RateLimit-Remaining") != "0" {
			t.Errorf("headers: %v", r.Header)
		}
	}
}

func TestErrors_MapToProblems(t *testing.T) {
	t.Parallel()
	for kind, status := range map[errs.Kind]int{
		errs.Malformed: 400, errs.Unauthenticated: 401, errs.Forbidden: 403, errs.NotFound: 404, errs.Conflict: 409,
		errs.PreconditionFailed: 412, errs.TooLarge: 413, errs.UnsupportedMedia: 415, errs.Misdirected: 421,
		errs.Invalid: 422, errs.RateLimited: 429, errs.Upstream: 502, errs.Unavailable: 503,
	} {
		err := fmt.Errorf("do it: %w", errs.New(kind, "some_code", "Safe <text>.").With(errors.New("hunter2")).Detail("max_age", 300))
		r := failing(t, err).do(t, "GET", "/fail", "")
		r.wants(t, status, "some_code")
		if r.json["max_age"] != 300.0 || r.json["title"] != "Some code" || r.json["detail"] != "Safe <text>." || r.json["status"] != float64(status) {
			t.Errorf("problem: %s", r.text)
		}
		if strings.Contains(r.text, "hunter2") || strings.Contains(r.text, "<") {
			t.Errorf("the cause or raw HTML is shown: %s", r.text)
		}
	}
	s := failing(t, errors.New("sql: hunter2"))
	r := s.do(t, "GET", "/fail", "")
	r.wants(t, 500, "internal_error")
	if strings.Contains(r.text, "hunter2") {
		t.Errorf("the cause is shown: %s", r.text)
	}
	if got := strings.Count(waitFor(t, s, `"msg":"request"`), "hunter2"); got != 1 {
		t.Errorf("logged %d times", got)
	}
	failing(t, fmt.Errorf("query: %w", context.DeadlineExceeded)).do(t, "GET", "/fail", "").wants(t, 503, "unavailable")
	if got := failing(t, errs.New(errs.Unavailable, "overloaded", "Busy.").After(3*time.Second)).do(t, "GET", "/fail", "").Header.Get("Retry-After"); got != "3" {
		t.Errorf("Retry-After %q", got)
	}
}

// failing starts a surface with a route that returns err.
func failing(tb testing.TB, err error) *server {
	tb.Helper()
	return start(tb, testConfig(), func(s *api.Surface) {
		api.Register(s, api.Route{Method: "GET", Path: "/fail", Access: api.Public()},
			func(context.Context, actor.Actor, *api.None) (*api.None, error) { return nil, err })
	})
}
