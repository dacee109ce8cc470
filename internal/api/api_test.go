package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"gatehouse/internal/actor"
	"gatehouse/internal/api"
	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/id"
	"gatehouse/internal/platform/secret"
	"gatehouse/internal/throttle"
)

// gate is everything that a surface calls, with answers that a test can choose.
type gate struct {
	mu       sync.Mutex
	denied   []string
	keys     []throttle.Key // of addresses
	origins  []actor.Origin
	decision throttle.Decision // for addresses
	logs     bytes.Buffer
	registry *prometheus.Registry
	ada      actor.UserID
	key      secret.Key
}

var errExpired = errs.New(errs.Unauthenticated, "token_expired", "The access token has expired.")

// Authenticate knows four tokens: "plain", "reader", "expired" and "down".
func (g *gate) Authenticate(_ context.Context, token string, o actor.Origin) (actor.Actor, error) {
	g.mu.Lock()
	g.origins = append(g.origins, o)
	g.mu.Unlock()
	a := actor.Actor{Type: actor.User, UserID: g.ada}
	switch token {
	case "plain":
		return a, nil
	case "reader":
		a.Permissions = []actor.Permission{"things:read", "things:write"}
		return a, nil
	case "expired":
		return a, errExpired
	case "down":
		return a, errs.New(errs.Unavailable, "unavailable", "The database is away.").With(errors.New("dial 10.0.0.1"))
	}
	return a, api.ErrTokenInvalid
}

// VerifyCSRF accepts the token "csrf-of-<cookie>".
func (*gate) VerifyCSRF(refresh secret.String, token string) error {
	if token != "csrf-of-"+refresh.Reveal() {
		return errs.New(errs.Forbidden, "csrf_failed", "The CSRF token does not belong to this session.")
	}
	return nil
}

// Current and ByID know one key.
func (g *gate) Current(keyring.Purpose) (keyring.Named, error) {
	return keyring.Named{ID: "k1", Key: g.key}, nil
}

func (g *gate) ByID(_ keyring.Purpose, id string) (secret.Key, error) {
	if id != "k1" {
		return secret.Key{}, errors.New("no such key")
	}
	return g.key, nil
}

// Allow decides as the test says for addresses, and as usual for people.
func (g *gate) Peek(ctx context.Context, key throttle.Key, l throttle.Limit) throttle.Decision {
	return g.Allow(ctx, key, l)
}

func (g *gate) Allow(_ context.Context, key throttle.Key, l throttle.Limit) throttle.Decision {
	g.mu.Lock()
	defer g.mu.Unlock()
	if key == throttle.ByUser(g.ada, "api") {
		return throttle.Decision{Allowed: true, Limit: l.Max, Remaining: l.Max - 1, Reset: 30 * time.Second}
	}
	g.keys = append(g.keys, key)
	return g.decision
}

// Write is the sink of the logger.
func (g *gate) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.logs.Write(b)
}

func (g *gate) logged() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.logs.String()
}

func (g *gate) deps() api.Deps {
	return api.Deps{
		Authenticator: g, CSRF: g, Limiter: g,
		Denied: func(_ context.Context, by actor.Actor, r api.Route, _ string) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.denied = append(g.denied, by.UserID.String()+" "+r.String())
		},
		Pseudonym: func(actor.UserID) string { return "p-1234" },
		Keys:      g,
		Metrics:   api.NewMetrics(g.registry),
		Tracer:    noop.NewTracerProvider().Tracer(""),
		Logger:    slog.New(slog.NewJSONHandler(g, nil)),
		Now:       time.Now,
	}
}

func newGate() *gate {
	return &gate{
		registry: prometheus.NewRegistry(),
		decision: throttle.Decision{Allowed: true, Limit: 20, Remaining: 19, Reset: time.Minute},
		key:      secret.NewKey(),
		ada:      id.New[actor.Subject](time.Now()),
	}
}

func testConfig() api.Config {
	return api.Config{
		PublicURL:      &url.URL{Scheme: "https", Host: "id.example.com"},
		AllowedOrigins: []string{"https://app.example.com"},
		Version:        "1.2.3",
	}
}

// server is a running surface.
type server struct {
	*gate
	url string
	api *api.Surface
}

// start serves the sample routes, and what add registers, by a real server.
func start(tb testing.TB, config api.Config, add func(*api.Surface)) *server {
	tb.Helper()
	g := newGate()
	s := api.New("sample", g.deps(), config)
	sampleRoutes(s)
	if add != nil {
		add(s)
	}
	return &server{gate: g, url: listen(tb, s), api: s}
}

// listen serves h and returns its URL.
func listen(tb testing.TB, h http.Handler) string {
	tb.Helper()
	ts := httptest.NewUnstartedServer(nil)
	ts.Config = api.NewServer(h, slog.New(slog.DiscardHandler))
	ts.Start()
	tb.Cleanup(ts.Close)
	return ts.URL
}

// reply is an answer, read whole.
type reply struct {
	*http.Response
	text string
	json map[string]any
}

// do sends a request. Headers are pairs.
func (s *server) do(tb testing.TB, method, path, body string, headers ...string) *reply {
	tb.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(tb.Context(), method, s.url+path, r)
	if err != nil {
		tb.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header[http.CanonicalHeaderKey(headers[i])] = append(headersOf(req, headers, i), headers[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		tb.Fatal(err)
	}
	out := &reply{Response: res, text: string(b)}
	if strings.Contains(res.Header.Get("Content-Type"), "json") && len(b) > 0 {
		if err := json.Unmarshal(b, &out.json); err != nil {
			tb.Fatalf("%s %s: reply is no JSON: %v", method, path, err)
		}
	}
	return out
}

// headersOf lets a header be sent twice, and replaces what do set by itself.
func headersOf(req *http.Request, headers []string, i int) []string {
	for j := 0; j < i; j += 2 {
		if strings.EqualFold(headers[j], headers[i]) {
			return req.Header[http.CanonicalHeaderKey(headers[i])]
		}
	}
	return nil
}

// wants fails unless the reply is a problem of this status and code.
func (r *reply) wants(tb testing.TB, status int, code string) {
	tb.Helper()
	if r.StatusCode != status || r.json["code"] != code {
		tb.Fatalf("got %d %v, want %d %s; body: %s", r.StatusCode, r.json["code"], status, code, r.text)
	}
	if ct := r.Header.Get("Content-Type"); ct != "application/problem+json" {
		tb.Errorf("content type of a problem: %q", ct)
	}
	for _, member := range []string{"type", "title", "status", "detail", "instance", "request_id"} {
		if r.json[member] == nil {
			tb.Errorf("problem lacks %q: %s", member, r.text)
		}
	}
	if r.json["request_id"] != r.Header.Get("X-Request-Id") {
		tb.Errorf("request id of the problem is not that of the reply: %s", r.text)
	}
}

// faults returns the faults of a validation error as "field:code".
func (r *reply) faults() []string {
	var out []string
	list, _ := r.json["errors"].([]any)
	for _, e := range list {
		f := e.(map[string]any)
		out = append(out, f["field"].(string)+":"+f["code"].(string))
	}
	return out
}

type thing struct {
	ID        actor.UserID `json:"id"`
	Name      string       `json:"name"`
	Note      *string      `json:"note"`
	CreatedAt time.Time    `json:"created_at"`
}

type thingOutput struct {
	ETag     string `header:"ETag"`
	Location string `header:"Location"`
	Body     thing
}

type thingInput struct {
	ID actor.UserID `path:"id"`
}

type part struct {
	Size int8 `json:"size" min:"1"`
}

// base is embedded: its members are the body's own.
type base struct {
	Flag bool `json:"flag,omitempty"`
}

type createInput struct {
	Body struct {
		base
		Name     string         `json:"name" minLength:"1" maxLength:"5"`
		Kind     string         `json:"kind,omitempty" enum:"big,small"`
		Count    *int           `json:"count" min:"0" max:"10"`
		Owner    *actor.UserID  `json:"owner"`
		At       *time.Time     `json:"at"`
		Tags     []string       `json:"tags,omitempty" maxLength:"3"`
		Parts    []part         `json:"parts,omitempty" maxItems:"2"`
		Ratio    float64        `json:"ratio,omitempty"`
		Labels   map[string]int `json:"labels,omitempty"`
		Any      any            `json:"any,omitempty"`
		Password secret.String  `json:"password,omitempty" format:"password"`
	}
}

type patchInput struct {
	ID      actor.UserID `path:"id"`
	IfMatch api.IfMatch
	Body    struct {
		Name api.Optional[string]  `json:"name" maxLength:"5"`
		Note api.Optional[*string] `json:"note"`
	}
}

type listInput struct {
	api.Listing
	Q      string               `query:"q" minLength:"1" maxLength:"100"`
	Status string               `query:"status" enum:"on,off"`
	Since  *time.Time           `query:"since"`
	Active api.Optional[bool]   `query:"active"`
	Sort   string               `query:"sort" enum:"name,-name" default:"name"`
	Trace  api.Optional[string] `header:"X-Trace"`
}

type echo struct {
	Body map[string]any
}

// sampleRoutes are small routes of every kind.
func sampleRoutes(s *api.Surface) {
	things := []string{"a", "b", "c", "d", "e"}
	api.Register(s, api.Route{Method: "GET", Path: "/things/{id}", Access: api.Needs("things:read"), Summary: "One", Tag: "Things"},
		func(_ context.Context, _ actor.Actor, in *thingInput) (*thingOutput, error) {
			return &thingOutput{ETag: api.ETag(in.ID, 3), Body: thing{ID: in.ID, Name: "<b>&", CreatedAt: time.Unix(0, 0).UTC()}}, nil
		})
	api.Register(s, api.Route{Method: "GET", Path: "/things/mine", Access: api.Bearer(), Summary: "Mine"},
		func(_ context.Context, by actor.Actor, _ *api.None) (*thingOutput, error) {
			return &thingOutput{Body: thing{ID: by.UserID, Name: "mine"}}, nil
		})
	api.Register(s, api.Route{Method: "POST", Path: "/things", Access: api.Needs("things:write"), Status: 201, IdempotencyKey: true},
		func(_ context.Context, by actor.Actor, in *createInput) (*echo, error) {
			return &echo{Body: map[string]any{
				"name": in.Body.Name, "tags": in.Body.Tags, "any": in.Body.Any, "labels": in.Body.Labels, "parts": len(in.Body.Parts), "flag": in.Body.Flag,
				"password": in.Body.Password.Reveal(), "key": by.Origin.IdempotencyKey,
			}}, nil
		})
	api.Register(s, api.Route{Method: "PATCH", Path: "/things/{id}", Access: api.Needs("things:write"), Consumes: api.MergePatch},
		func(_ context.Context, _ actor.Actor, in *patchInput) (*echo, error) {
			v, err := in.IfMatch.Version(in.ID)
			if err != nil {
				return nil, err
			}
			return &echo{Body: map[string]any{
				"name_set": in.Body.Name.Set, "name": in.Body.Name.Value,
				"note_set": in.Body.Note.Set, "note": in.Body.Note.Value, "version": v,
			}}, nil
		})
	api.Register(s, api.Route{Method: "DELETE", Path: "/things/{id}", Access: api.Needs("things:delete")},
		func(context.Context, actor.Actor, *thingInput) (*api.None, error) { return nil, nil })
	api.Register(s, api.Route{Method: "GET", Path: "/things", Access: api.Bearer()},
		func(_ context.Context, _ actor.Actor, in *listInput) (*api.PageOutput[string], error) {
			var at int
			if _, err := in.After(&at); err != nil {
				return nil, err
			}
			end := min(at+in.Limit, len(things))
			var next any
			if end < len(things) {
				next = end
			}
			return api.NewPage(&in.Listing, things[at:end], next, nil)
		})
	api.Register(s, api.Route{Method: "POST", Path: "/login", Access: api.Public(), Limit: throttle.Limit{Max: 20, Window: time.Minute}},
		func(context.Context, actor.Actor, *struct {
			Body struct {
				Password secret.String `json:"password" format:"password"`
			}
		},
		) (*struct{ Cookies []*http.Cookie }, error) {
			return &struct{ Cookies []*http.Cookie }{api.SessionCookies("rt", "ct", time.Hour)}, nil
		})
	type refreshInput struct {
		Cookie string `cookie:"__Host-refresh_token"`
		Body   *struct {
			RefreshToken string `json:"refresh_token"`
		}
	}
	refresh := func(_ context.Context, by actor.Actor, in *refreshInput) (*echo, error) {
		return &echo{Body: map[string]any{"cookie": in.Cookie, "body": in.Body != nil, "type": by.Type}}, nil
	}
	api.Register(s, api.Route{Method: "POST", Path: "/refresh", Access: api.Cookie()}, refresh)
	api.Register(s, api.Route{Method: "POST", Path: "/logout", Access: api.BearerOrCookie()}, refresh)
}
