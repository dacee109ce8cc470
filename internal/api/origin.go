package api

import (
	"net/http"
	"net/url"
	"strings"

	"gatehouse/internal/platform/secret"
)

// cors tells browsers which foreign pages may read the reply: those of the
// exact allow-list and no others, never by "*" or "null" (CK-7).
func (c *call) cors() error {
	origin := c.r.Header.Get("Origin")
	if origin == "" || !c.s.origins[origin] {
		return nil
	}
	h := c.Header()
	h["Access-Control-Allow-Origin"] = []string{origin}
	h["Access-Control-Allow-Credentials"] = []string{"true"}
	if c.r.Method != http.MethodOptions || c.r.Header.Get("Access-Control-Request-Method") == "" {
		h["Access-Control-Expose-Headers"] = []string{"ETag, Link, Location, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, WWW-Authenticate, X-Request-Id"}
		return nil
	}
	if c.resource != nil {
		h["Access-Control-Allow-Methods"] = c.resource.allow
	}
	h["Access-Control-Allow-Headers"] = []string{"Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-CSRF-Token, Traceparent"}
	h["Access-Control-Max-Age"] = []string{"600"}
	h["Vary"] = []string{"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"}
	return nil
}

// csrf refuses what a foreign page may have sent (CK-5). A request with a
// token in its Authorization header needs no check: no page can make a browser
// add that.
func (c *call) csrf() error {
	kind := c.e.Access.kind
	if !c.e.unsafe() || kind == accessBearer {
		return nil
	}
	borne := c.cookieBorne()
	if kind == accessBearerOrCookie && !borne {
		return nil
	}
	if !c.s.ownOrigin(c.r) {
		return errCSRF
	}
	if !borne {
		return nil
	}
	tokens := c.r.Header["X-Csrf-Token"]
	if len(tokens) != 1 {
		return errCSRF
	}
	return c.s.deps.CSRF.VerifyCSRF(secret.String(cookieValue(c.r, RefreshCookie)), tokens[0])
}

// ownOrigin has the logic of http.CrossOriginProtection, but an Origin that is
// sent must be right whatever Sec-Fetch-Site says. A request with neither is
// from no browser.
func (s *Surface) ownOrigin(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	sameSite := site == "" || site == "same-origin" || site == "none"
	origins := r.Header["Origin"]
	switch len(origins) {
	case 0:
		return sameSite
	case 1:
		return s.origins[origins[0]] || sameSite && s.sameOrigin(origins[0], r.Host)
	}
	return false
}

// sameOrigin reports whether origin is where the request went, by the public
// URL's scheme.
func (s *Surface) sameOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host) && u.Scheme == s.config.PublicURL.Scheme
}
