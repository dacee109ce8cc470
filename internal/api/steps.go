package api

import (
	"context"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/throttle"
)

const (
	maxURL     = 4 << 10
	maxHeaders = 32 << 10
)

// secure sets the headers that every reply carries (TLS-1).
func (c *call) secure() {
	h := c.ResponseWriter.Header()
	for _, f := range c.s.fixed {
		h[f.name] = f.value
	}
	h["X-Request-Id"] = []string{c.by.Origin.RequestID}
	if len(c.r.TransferEncoding) > 0 && c.r.ProtoMajor == 1 {
		// A length may have been sent beside it, which net/http drops: nothing
		// more may come over this connection (RFC 9112, 6.1).
		h["Connection"] = []string{"close"}
	}
}

// header is a header whose value is the same on every reply. The slice is
// shared: Header.Set replaces it, and nothing writes into it.
type header struct {
	name  string
	value []string
}

func fixedHeaders() []header {
	return []header{
		{"Strict-Transport-Security", []string{"max-age=31536000; includeSubDomains"}},
		{"Content-Security-Policy", []string{"default-src 'none'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"}},
		{"X-Content-Type-Options", []string{"nosniff"}},
		{"X-Frame-Options", []string{"DENY"}},
		{"Referrer-Policy", []string{"no-referrer"}},
		{"Cross-Origin-Resource-Policy", []string{"same-origin"}},
		{"Cache-Control", []string{"no-store"}},
		{"Vary", []string{"Origin"}},
	}
}

// locate finds the endpoint. What is missing is told later, so that host and
// sizes are judged first.
func (c *call) locate() error {
	c.resource, c.params = c.s.router.find(c.r.URL)
	if c.resource != nil {
		c.e = c.resource.methods[c.r.Method]
	}
	if c.e != nil && c.s.tracing {
		c.startSpan()
	}
	return nil
}

// host refuses a Host that is not ours, where that is configured (REC-2).
func (c *call) host() error {
	if !c.s.config.CheckHost || c.e != nil && c.e.AnyHost {
		return nil
	}
	if !c.s.hosts[hostname(c.r.Host)] {
		return errMisdirected
	}
	return nil
}

// hostname returns a Host without its port, in lower case.
func hostname(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// sizes refuses long URLs and headers (IN-3).
func (c *call) sizes() error {
	if len(c.r.RequestURI) > maxURL {
		return errURITooLong
	}
	n := 0
	for name, values := range c.r.Header {
		for _, v := range values {
			n += len(name) + len(v) + len(": \r\n")
		}
	}
	if n > maxHeaders {
		return errHeadersTooLarge
	}
	return nil
}

// method answers OPTIONS and refuses what is not there.
func (c *call) method() error {
	switch {
	case c.e != nil:
		return nil
	case c.resource == nil:
		return ErrNotFound
	}
	c.Header()["Allow"] = c.resource.allow
	if c.r.Method == http.MethodOptions {
		c.WriteHeader(http.StatusNoContent)
		return nil
	}
	return errMethodNotAllowed
}

// throttle counts the request for its address, where the route has a limit.
func (c *call) throttle() error {
	if c.e.Limit.Max == 0 {
		return nil
	}
	return c.decide(c.s.deps.Limiter.Allow(c.ctx, throttle.ByIP(c.by.Origin.IP, c.e.Path), c.e.Limit))
}

// decide shows a decision to the client; of two, what throttle makes of both.
func (c *call) decide(d throttle.Decision) error {
	if d.Limit == 0 {
		return nil
	}
	if c.decision.Limit != 0 {
		d = c.decision.And(d)
	}
	c.decision = d
	h := c.Header()
	h["Ratelimit-Limit"] = []string{strconv.Itoa(d.Limit)}
	h["Ratelimit-Remaining"] = []string{strconv.Itoa(d.Remaining)}
	h["Ratelimit-Reset"] = []string{seconds(d.Reset)}
	return d.Err()
}

// seconds rounds up, so that who waits that long is not too early.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// authenticate decides who is asking and whether they may. It comes before
// anything that the client sent is decoded.
func (c *call) authenticate() error {
	switch {
	case c.e.Access.Anonymous():
		return nil
	case c.cookieBorne():
		return nil
	}
	token, err := bearer(c.r.Header["Authorization"])
	if err != nil {
		return err
	}
	by, err := c.s.deps.Authenticator.Authenticate(c.ctx, token, c.by.Origin)
	if err != nil {
		return err
	}
	by.Origin = c.by.Origin
	c.by = by
	if err := c.decide(c.s.deps.Limiter.Allow(c.ctx, throttle.ByUser(by.UserID, "api"), c.s.config.PersonLimit)); err != nil {
		return err
	}
	if by.MustChangePassword && !c.e.Owing {
		return errOwesPassword
	}
	if p := c.e.Access.permission; p != "" {
		return by.Require(p)
	}
	return nil
}

// cookieBorne reports whether the refresh cookie is what speaks for the caller.
func (c *call) cookieBorne() bool {
	switch c.e.Access.kind {
	case accessCookie:
		return cookieValue(c.r, RefreshCookie) != ""
	case accessBearerOrCookie:
		return c.r.Header["Authorization"] == nil && cookieValue(c.r, RefreshCookie) != ""
	}
	return false
}

// bearer returns the token of the one Authorization header (RFC 6750, 2.1).
func bearer(values []string) (string, error) {
	if len(values) == 0 {
		return "", errNoToken
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") || !isToken68(token) {
		return "", ErrTokenInvalid
	}
	return token, nil
}

func isToken68(s string) bool {
	body := strings.TrimRight(s, "=")
	for i := range len(body) {
		if ch := body[i]; !isAlnum(ch) && strings.IndexByte("-._~+/", ch) < 0 {
			return false
		}
	}
	return body != ""
}

// media refuses a body of a kind or size that the route does not take, and
// notes the Idempotency-Key.
func (c *call) media() error {
	if c.e.in == nil {
		return nil
	}
	if c.e.IdempotencyKey {
		if err := c.idempotencyKey(); err != nil {
			return err
		}
	}
	if c.r.ContentLength == 0 || c.r.Body == http.NoBody {
		return nil
	}
	if e := c.r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return errCompressed
	}
	if !hasMediaType(c.r.Header["Content-Type"], c.e.Consumes) {
		return errUnsupportedMedia.Detail("accepts", c.e.Consumes)
	}
	if c.r.ContentLength > c.e.MaxBody {
		c.Header()["Connection"] = []string{"close"}
		return errTooLarge
	}
	return nil
}

// hasMediaType reports whether there is one Content-Type and it is want, in
// UTF-8 if it says a character set.
func hasMediaType(values []string, want string) bool {
	if len(values) != 1 {
		return false
	}
	if values[0] == want {
		return true
	}
	got, params, err := mime.ParseMediaType(values[0])
	if err != nil || got != want {
		return false
	}
	for name, v := range params {
		if name != "charset" || !strings.EqualFold(v, "utf-8") {
			return false
		}
	}
	return true
}

// idempotencyKey reads 1 to 255 visible ASCII characters.
func (c *call) idempotencyKey() error {
	values := c.r.Header["Idempotency-Key"]
	if values == nil {
		return nil
	}
	invisible := func(r rune) bool { return r <= ' ' || r > '~' }
	if len(values) != 1 || values[0] == "" || len(values[0]) > 255 || strings.ContainsFunc(values[0], invisible) {
		return errs.InvalidField("Idempotency-Key", "format", "Must be sent once, as 1 to 255 visible ASCII characters.")
	}
	c.by.Origin.IdempotencyKey = values[0]
	return nil
}

// denied tells the audit log of a refusal to a signed-in person.
func (c *call) denied(err error) {
	if errs.KindOf(err) == errs.Forbidden && c.by.Type == actor.User {
		about := ""
		if len(c.params) > 0 {
			about = c.params[0]
		}
		c.s.deps.Denied(context.WithoutCancel(c.ctx), c.by, c.e.Route, about)
	}
}
