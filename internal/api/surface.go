package api

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"gatehouse/internal/actor"
	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/secret"
	"gatehouse/internal/throttle"
)

// Authenticator turns an access token into an actor. It returns an error of
// kind Unauthenticated (token_invalid, token_expired, session_revoked), or
// Unavailable when it cannot know. It is safe for concurrent use.
type Authenticator interface {
	Authenticate(ctx context.Context, token string, origin actor.Origin) (actor.Actor, error)
}

// CSRF checks that the X-CSRF-Token header belongs to the session of the
// refresh cookie, in constant time. It returns an error of kind Forbidden
// (csrf_failed), or Unauthenticated for a cookie that is no refresh token.
// Package session has it.
type CSRF interface {
	VerifyCSRF(refresh secret.String, token string) error
}

// Keys are the keys that seal the cursors of lists. Package keyring has them.
type Keys interface {
	Current(p keyring.Purpose) (keyring.Named, error)
	ByID(p keyring.Purpose, id string) (secret.Key, error)
}

// Limiter counts requests and never fails. A decision with a Limit of 0 is one
// of a limiter that is off. Package throttle has it.
type Limiter interface {
	Allow(ctx context.Context, key throttle.Key, l throttle.Limit) throttle.Decision
	Peek(ctx context.Context, key throttle.Key, l throttle.Limit) throttle.Decision
}

// Deps are the parts that a surface calls. All are required.
type Deps struct {
	Authenticator Authenticator
	CSRF          CSRF
	Limiter       Limiter
	Denied        func(ctx context.Context, by actor.Actor, r Route, about string) // a signed-in person was refused what the path's first {name} names: for the audit log
	Pseudonym     func(u actor.UserID) string                                      // names a person in the access log (PRV-4)
	Keys          Keys
	Metrics       *Metrics
	Tracer        trace.Tracer
	Logger        *slog.Logger
	Now           func() time.Time
}

// Config is how a surface is reached. The zero value trusts nobody.
type Config struct {
	PublicURL      *url.URL       // base of links and an allowed origin
	AllowedOrigins []string       // further exact origins: scheme://host[:port]
	TrustedProxies []netip.Prefix // peers whose X-Forwarded-For and X-Request-Id count
	Hosts          []string       // further host names under which it answers
	CheckHost      bool           // refuse unknown hosts with 421 (production)
	PersonLimit    throttle.Limit // of one person on all bearer routes together; zero: 600 a minute
	Version        string         // of the program, for the OpenAPI document
}

// Surface is one service's routes and the http.Handler that serves them.
// Register everything first; from the first request on it is safe for
// concurrent use and fixed.
type Surface struct {
	name      string
	deps      Deps
	config    Config
	router    router
	endpoints []*endpoint
	origins   map[string]bool
	hosts     map[string]bool
	base      string   // the public URL, without a slash at its end
	fixed     []header // of every reply
	jsonType  []string
	tracing   bool
	unmatched meter
	buffers   sync.Pool // of *bytes.Buffer
}

// endpoint is a route with its code.
type endpoint struct {
	Route
	service string
	in      *input  // nil for a plain handler
	out     *output // nil for a plain handler
	serve   func(c *call) error
	meter   meter
}

// New returns an empty surface. Name is the service's: it stands in metrics
// and logs, and as the title of the OpenAPI document.
func New(name string, d Deps, c Config) *Surface {
	s := &Surface{
		name: name, deps: d, config: c,
		origins: map[string]bool{},
		hosts:   map[string]bool{},
		fixed:   fixedHeaders(),
		tracing: !isNoop(d.Tracer),
		buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }},

		jsonType: []string{JSON},
	}
	if c.PublicURL != nil {
		s.base = strings.TrimSuffix(c.PublicURL.String(), "/")
		s.origins[c.PublicURL.Scheme+"://"+strings.ToLower(c.PublicURL.Host)] = true
		s.hosts[strings.ToLower(c.PublicURL.Hostname())] = true
	}
	for _, o := range c.AllowedOrigins {
		s.origins[o] = true
	}
	for _, h := range c.Hosts {
		s.hosts[strings.ToLower(h)] = true
	}
	if s.config.PersonLimit == (throttle.Limit{}) {
		s.config.PersonLimit = throttle.Limit{Max: 600, Window: time.Minute} // LIM-3
	}
	s.unmatched = d.Metrics.meter(name, "other", "unmatched")
	return s
}

// Name returns the name of the service.
func (s *Surface) Name() string { return s.name }

// Routes returns the table, in the order of registration: for the generated
// test of access rules and for documents.
func (s *Surface) Routes() []Route {
	routes := make([]Route, 0, len(s.endpoints))
	for _, e := range s.endpoints {
		routes = append(routes, e.Route)
	}
	return routes
}

// Include adds every route of other that s does not have yet, so that the
// front serves all services on one origin. Paths that each service has for
// itself (health, the OpenAPI document) are s's own.
func (s *Surface) Include(other *Surface) {
	for _, e := range other.endpoints {
		if s.router.at(e.Path).methods[e.Method] != nil {
			continue
		}
		c := *e
		s.add(&c)
	}
}

func (s *Surface) add(e *endpoint) {
	r := s.router.at(e.Path)
	if r.methods[e.Method] != nil {
		panic(fmt.Sprintf("api: route %q is declared twice", e.Route))
	}
	e.meter = s.deps.Metrics.meter(e.service, e.Method, e.Path)
	r.add(e)
	s.endpoints = append(s.endpoints, e)
}
