package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"go.opentelemetry.io/otel/trace"

	"gatehouse/internal/actor"
	"gatehouse/internal/throttle"
)

// call is one request on its way. It is the http.ResponseWriter of plain
// handlers, so that status and size are known for the log.
type call struct {
	http.ResponseWriter
	s        *Surface
	r        *http.Request
	resource *resource // nil until the path is known
	e        *endpoint // nil until the route is known
	ctx      context.Context
	by       actor.Actor

	start  time.Time
	params []string // values of the path's {names}
	span   trace.Span
	status int // 0 until the header is written
	bytes  int64
	broken bool // the reply ended in the middle

	decision throttle.Decision // as shown so far; zero: none
}

// ServeHTTP takes a request through the steps, in the one order that there is.
func (s *Surface) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{ResponseWriter: w, s: s, r: r, ctx: r.Context(), start: s.deps.Now()}
	c.identify()
	c.secure()
	defer c.finish()
	if err := c.run(); err != nil {
		c.fail(err)
	}
}

func (c *call) run() error {
	for _, step := range [...]func(*call) error{
		(*call).locate,       // from here on logs name the route's template
		(*call).host,         // 421
		(*call).sizes,        // 414, 431
		(*call).cors,         // headers for allowed origins, also on refusals
		(*call).method,       // 404, 405, OPTIONS
		(*call).throttle,     // 429 for the address: refused requests count too
		(*call).csrf,         // 403
		(*call).authenticate, // 401, 403, 429 for the person
		(*call).media,        // 415, 413
	} {
		if err := step(c); err != nil || c.status != 0 {
			return err
		}
	}
	if !c.e.Unbounded {
		ctx, cancel := context.WithTimeout(c.ctx, handlerTimeout)
		defer cancel()
		c.ctx = ctx
	}
	return c.e.serve(c)
}

// finish turns a panic into a reply, ends the span, counts and logs.
func (c *call) finish() {
	p := recover()
	if p != nil && p != http.ErrAbortHandler {
		c.report(slog.LevelError, "panic", fmt.Errorf("%s\n%s", panicType(p), debug.Stack()))
		if c.status == 0 {
			c.problem(errInternal)
			p = nil
		}
	}
	if c.status == 0 {
		c.status = http.StatusOK
	}
	if c.span != nil {
		c.endSpan()
	}
	took := c.s.deps.Now().Sub(c.start)
	c.count(took)
	c.log(took)
	if p != nil || c.broken {
		panic(http.ErrAbortHandler) // the reply is half written: cut the connection
	}
}

// panicType names a panic without its text, which may hold what was submitted.
// A runtime error holds none.
func panicType(p any) string {
	if err, ok := p.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", p)
}

// WriteHeader notes the status.
func (c *call) WriteHeader(status int) {
	if c.status == 0 && status >= http.StatusOK {
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes.
func (c *call) Write(b []byte) (int, error) {
	if c.status == 0 {
		c.WriteHeader(http.StatusOK)
	}
	n, err := c.ResponseWriter.Write(b)
	c.bytes += int64(n)
	return n, err
}

// Unwrap gives http.ResponseController the connection.
func (c *call) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// service names who serves: on the front it is the service that owns the route.
func (c *call) service() string {
	if c.e == nil {
		return c.s.name
	}
	return c.e.service
}

// template returns the route template, the only form of a path that is logged.
func (c *call) template() string {
	if c.e == nil {
		return "unmatched"
	}
	return c.e.Path
}
