package api

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/throttle"
)

// The content types that a body may have.
const (
	JSON       = "application/json"
	MergePatch = "application/merge-patch+json" // RFC 7396: absent stays, null clears
)

type accessKind uint8

const (
	accessUndeclared accessKind = iota
	accessPublic
	accessBearer
	accessCookie
	accessBearerOrCookie
)

// Access says who may call a route. The zero value is no rule, and a route
// without one does not start (RBAC-1).
type Access struct {
	kind       accessKind
	permission actor.Permission
}

// Public lets anyone call. Credentials are ignored; a request that may change
// state must not come from a foreign web page (CK-5).
func Public() Access { return Access{kind: accessPublic} }

// Bearer lets every signed-in person call.
func Bearer() Access { return Access{kind: accessBearer} }

// Needs lets people call who hold p.
func Needs(p actor.Permission) Access { return Access{kind: accessBearer, permission: p} }

// Cookie is for a route that proves the caller itself, from the refresh cookie
// or from its body. Where the cookie is sent the CSRF checks of CK-5 come
// first. The actor is anonymous.
func Cookie() Access { return Access{kind: accessCookie} }

// BearerOrCookie is Bearer when there is an Authorization header or no refresh
// cookie, and otherwise Cookie.
func BearerOrCookie() Access { return Access{kind: accessBearerOrCookie} }

// Permission returns what the caller must hold, or "".
func (a Access) Permission() actor.Permission { return a.permission }

// Anonymous reports whether someone without an access token may get through.
func (a Access) Anonymous() bool { return a.kind == accessPublic || a.kind == accessCookie }

// String names the rule: "public", "bearer", "cookie", "bearer or cookie", or
// the permission.
func (a Access) String() string {
	switch {
	case a.permission != "":
		return string(a.permission)
	case a.kind == accessPublic:
		return "public"
	case a.kind == accessBearer:
		return "bearer"
	case a.kind == accessCookie:
		return "cookie"
	case a.kind == accessBearerOrCookie:
		return "bearer or cookie"
	}
	return "undeclared"
}

// Route is one line of a surface's table.
type Route struct {
	Method string // one of GET, POST, PUT, PATCH, DELETE; GET also answers HEAD
	Path   string // a template such as "/users/{id}"
	Access Access
	Owing  bool           // open to a person who first has to choose a password of their own
	Limit  throttle.Limit // of one client address; bearer routes also count per person

	Tag     string
	Summary string

	Status         int      // of success; 0: 200, or 204 where the output has no body
	Consumes       string   // content type of the body; "": JSON
	Streams        []string // content types of a success that is streamed, for the OpenAPI document
	MaxBody        int64    // 0: 64 KiB
	IdempotencyKey bool     // read the Idempotency-Key header into the actor's origin
	CacheControl   string   // "": no-store
	AnyHost        bool     // answer under every Host: probes call by address
	Unbounded      bool     // a stream: no handler time limit, the write limit moves with progress
	Hidden         bool     // not in the OpenAPI document
}

// String returns "METHOD /path/{template}".
func (r Route) String() string { return r.Method + " " + r.Path }

func (r Route) unsafe() bool { return r.Method != http.MethodGet }

const (
	defaultMaxBody = 64 << 10
	handlerTimeout = 10 * time.Second
)

// complete checks a route and fills its defaults. It panics on a table that
// must not start.
func (r Route) complete() Route {
	methods := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	switch {
	case !slices.Contains(methods, r.Method):
		panic(fmt.Sprintf("api: route %q: method is not one of %v", r, methods))
	case !regexp.MustCompile(`^(/|(/[a-zA-Z0-9._-]+|/\{[a-zA-Z]+\})*(/\{[a-zA-Z]+\.\.\.\})?)$`).MatchString(r.Path):
		panic(fmt.Sprintf("api: route %q: path is not a template of plain segments, {names} and perhaps a last {name...}", r))
	case r.Access.kind == accessUndeclared:
		panic(fmt.Sprintf("api: route %q declares no access rule: use api.Public, api.Bearer, api.Needs, api.Cookie or api.BearerOrCookie", r))
	case (r.Limit.Max > 0) != (r.Limit.Window > 0):
		panic(fmt.Sprintf("api: route %q: a limit needs both a maximum and a window", r))
	}
	if r.Consumes == "" {
		r.Consumes = JSON
	}
	if r.MaxBody == 0 {
		r.MaxBody = defaultMaxBody
	}
	return r
}

// Func is an endpoint: one call into a capability or a journey, and the result
// in the shape of this surface. It returns domain errors; the adapter writes
// them. It may return nil output with a nil error.
type Func[I, O any] func(ctx context.Context, by actor.Actor, in *I) (*O, error)

// None is the input of an endpoint that takes nothing, or the output of one
// that returns nothing.
type None struct{}

// Register adds a route to the surface. It panics if the route is incomplete,
// declared twice, or has an input or output that cannot be read from its type.
//
// I is a struct. Its fields are tagged `path:"name"`, `query:"name"`,
// `header:"Name"` or `cookie:"name"`, or have the type Listing or IfMatch, or
// are named Body; an embedded struct counts as its fields. Parameters may say
// `required:"true"` or a `default`, and limits as below.
// O is a struct. Its fields are tagged `header:"Name"`, or are named Status
// (int), Cookies ([]*http.Cookie), Body or Stream (*Stream).
//
// Fields of a Body are tagged as in package json, and may say `minLength`,
// `maxLength` (code points), `min`, `max`, `maxItems` (default 100), `enum`
// (comma-separated), `pattern`, `format` and `doc`. A field may be missing if
// it is a pointer, an Optional or tagged omitempty or omitzero; null is
// allowed for pointers only. `format:"password"` lets control characters pass.
// A Body that is a pointer may be missing as a whole.
func Register[I, O any](s *Surface, r Route, h Func[I, O]) {
	r = r.complete()
	in, out := inputOf[I](r), outputOf[O](r)
	s.add(&endpoint{Route: r, service: s.name, in: in, out: out, serve: func(c *call) error {
		v := new(I)
		if err := in.read(c, v); err != nil {
			return err
		}
		o, err := h(c.ctx, c.by, v)
		if err != nil {
			return err
		}
		return out.write(c, o)
	}})
}

// Handle adds a plain handler: a page, a probe, anything that is no JSON
// endpoint. Everything up to the access decision is done as for Register; the
// query and the body are the handler's own.
func Handle(s *Surface, r Route, h http.Handler) {
	r = r.complete()
	s.add(&endpoint{Route: r, service: s.name, serve: func(c *call) error {
		h.ServeHTTP(c, c.r.WithContext(c.ctx))
		return nil
	}})
}
