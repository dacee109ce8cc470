package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"gatehouse/internal/platform/errs"
)

// Errors that endpoints may return as well.
var (
	ErrTokenInvalid       = errs.New(errs.Unauthenticated, "token_invalid", "The access token is not valid.")
	ErrPreconditionFailed = errs.New(errs.PreconditionFailed, "precondition_failed", "The resource was changed since you read it.")
	ErrNotFound           = errs.New(errs.NotFound, "not_found", "There is nothing here.")
)

// What the adapter refuses by itself.
var (
	errInternal         = errs.New(errs.Internal, "internal_error", "Something went wrong on our side.")
	errNoToken          = errs.New(errs.Unauthenticated, "token_invalid", "An access token is required.")
	errMalformed        = errs.New(errs.Malformed, "malformed_request", "The request is malformed.")
	errMisdirected      = errs.New(errs.Misdirected, "misdirected_request", "This host is not served here.")
	errTimeout          = errs.New(errs.Unavailable, "unavailable", "The request took too long.")
	errCSRF             = errs.New(errs.Forbidden, "csrf_failed", "The request does not come from a page that may send it.")
	errTooLarge         = errs.New(errs.TooLarge, "payload_too_large", "The body is too large.")
	errUnsupportedMedia = errs.New(errs.UnsupportedMedia, "unsupported_media_type", "The body has a content type that is not accepted here.")
	errOwesPassword     = errs.New(errs.Forbidden, "step_up_required", "Choose a password of your own first.").Detail("required", "password_change")
	errCompressed       = errs.New(errs.UnsupportedMedia, "unsupported_media_type", "Compressed bodies are not accepted.")
)

// refusal is an error of the HTTP level, with a status that no rule below
// knows.
type refusal struct {
	problem *errs.Error
	status  int
}

// Error is the text of the problem.
func (r refusal) Error() string { return r.problem.Error() }

var (
	errMethodNotAllowed = refusal{errs.New(errs.Malformed, "method_not_allowed", "The method is not allowed here."), http.StatusMethodNotAllowed}
	errURITooLong       = refusal{errs.New(errs.Malformed, "uri_too_long", "The URL is too long."), http.StatusRequestURITooLong}
	errHeadersTooLarge  = refusal{errs.New(errs.Malformed, "headers_too_large", "The header fields are too large."), http.StatusRequestHeaderFieldsTooLarge}
)

// statusOf is the one place that turns a kind of failure into a status.
func statusOf(k errs.Kind) int {
	switch k {
	case errs.Malformed:
		return http.StatusBadRequest
	case errs.Unauthenticated:
		return http.StatusUnauthorized
	case errs.Forbidden:
		return http.StatusForbidden
	case errs.NotFound:
		return http.StatusNotFound
	case errs.Conflict:
		return http.StatusConflict
	case errs.PreconditionFailed:
		return http.StatusPreconditionFailed
	case errs.TooLarge:
		return http.StatusRequestEntityTooLarge
	case errs.UnsupportedMedia:
		return http.StatusUnsupportedMediaType
	case errs.Misdirected:
		return http.StatusMisdirectedRequest
	case errs.Invalid:
		return http.StatusUnprocessableEntity
	case errs.RateLimited:
		return http.StatusTooManyRequests
	case errs.Upstream:
		return http.StatusBadGateway
	case errs.Unavailable:
		return http.StatusServiceUnavailable
	case errs.Internal:
	}
	return http.StatusInternalServerError
}

// problem is a problem document (RFC 9457) as the OpenAPI document shows it.
type problem struct {
	Type      string         `json:"type" format:"uri" doc:"Names the kind of problem"`
	Title     string         `json:"title"`
	Status    int            `json:"status"`
	Detail    string         `json:"detail"`
	Instance  string         `json:"instance" format:"uri" doc:"Names this occurrence"`
	Code      string         `json:"code" doc:"Stable word to branch on"`
	RequestID string         `json:"request_id"`
	Errors    []problemField `json:"errors,omitempty" doc:"The faults of a validation_failed"`
}

type problemField struct {
	Field   string `json:"field"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// fail writes err as a problem document. What nobody classified is logged here,
// once, and tells the client nothing.
func (c *call) fail(err error) {
	if r, ok := errors.AsType[refusal](err); ok {
		c.write(r.problem, r.status)
		return
	}
	e, ok := errors.AsType[*errs.Error](err)
	if errors.Is(err, context.DeadlineExceeded) && (!ok || e.Kind == errs.Internal) {
		e, ok = errTimeout, true
	}
	switch {
	case errors.Is(err, context.Canceled) && c.r.Context().Err() != nil:
		c.status, c.broken = statusClientGone, true // nobody is there to be told
		return
	case !ok || e.Kind == errs.Internal:
		c.report(slog.LevelError, "request failed", err)
		e = errInternal
	case e.Kind == errs.Unavailable && e.Err != nil:
		c.report(slog.LevelWarn, "dependency failed", e.Err)
	}
	c.denied(e)
	c.problem(e)
}

// statusClientGone is what the log says of a client that left. It is never sent.
const statusClientGone = 499

// report logs what the client is not told.
func (c *call) report(level slog.Level, message string, err error) {
	c.s.deps.Logger.LogAttrs(c.ctx, level, message,
		slog.String("request_id", c.by.Origin.RequestID), slog.String("service", c.service()),
		slog.String("route", c.template()), slog.Any("error", err))
}

func (c *call) problem(e *errs.Error) { c.write(e, statusOf(e.Kind)) }

func (c *call) write(e *errs.Error, status int) {
	if c.status != 0 { // a stream that broke: its status is out
		c.broken = true
		return
	}
	h := c.Header()
	h["Content-Type"] = []string{"application/problem+json"}
	h["Cache-Control"] = []string{"no-store"}
	switch {
	case e.Kind == errs.Unauthenticated:
		h["Www-Authenticate"] = []string{c.challenge(e)}
	case e.Kind == errs.Unavailable, e.Kind == errs.RateLimited, e.RetryAfter > 0:
		h["Retry-After"] = []string{seconds(max(e.RetryAfter, time.Second))}
	}
	body, err := json.Marshal(c.document(e, status), json.Deterministic(true), jsontext.EscapeForHTML(true))
	if err != nil { // a detail that has no JSON form: a programmer's mistake
		c.report(slog.LevelError, "problem document", err)
		body = nil
	}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	c.WriteHeader(status)
	_, _ = c.Write(body) // a client that left cannot be told
}

// document holds the members of problem and those of e.Details beside them. It
// never holds a cause.
func (c *call) document(e *errs.Error, status int) map[string]any {
	doc := make(map[string]any, 8+len(e.Details))
	for name, v := range e.Details {
		doc[name] = v
	}
	doc["type"] = "urn:gatehouse:problem:" + e.Code
	doc["title"] = title(e.Code)
	doc["status"] = status
	doc["detail"] = e.Message
	doc["instance"] = "urn:gatehouse:request:" + c.by.Origin.RequestID
	doc["code"] = e.Code
	doc["request_id"] = c.by.Origin.RequestID
	if len(e.Fields) > 0 {
		fields := make([]problemField, len(e.Fields))
		for i, f := range e.Fields {
			fields[i] = problemField(f)
		}
		doc["errors"] = fields
	}
	return doc
}

// title is the code in words: it is the same for every occurrence.
func title(code string) string {
	if code == "" {
		return ""
	}
	return strings.ToUpper(code[:1]) + strings.ReplaceAll(code[1:], "_", " ")
}

// challenge is the WWW-Authenticate header (RFC 6750, 3): without an error code
// where no token was sent.
func (c *call) challenge(e *errs.Error) string {
	const realm = `Bearer realm="gatehouse"`
	switch e.Code {
	case "token_invalid", "token_expired", "session_revoked":
		if c.r.Header["Authorization"] != nil {
			return realm + `, error="invalid_token", error_description="` + strings.ReplaceAll(e.Code, "_", " ") + `"`
		}
	}
	return realm
}
