package telemetry

import (
	"context"
	"io"
	"log/slog"
	"os"

	"go.opentelemetry.io/otel/trace"
)

// The attribute keys that every line may carry.
const (
	keyService   = "service"
	keyRequestID = "request_id"
	keyTraceID   = "trace_id"
)

// LogConfig says what is logged and how it looks. The zero value logs from
// Info as JSON.
type LogConfig struct {
	Level   slog.Leveler
	Text    bool   // lines for people, instead of JSON
	Service string // named in every line that does not name one itself
}

// NewLogger returns a logger that writes one line per record to w in a single
// Write, with instants in UTC. Text from outside is escaped, so that it starts
// neither a line nor a field. It is safe for concurrent use if w is.
func NewLogger(w io.Writer, c LogConfig) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.Level, ReplaceAttr: redactor{text: c.Text}.replace}
	var h slog.Handler = slog.NewJSONHandler(w, options)
	if c.Text {
		h = slog.NewTextHandler(w, options)
	}
	return slog.New(&handler{Handler: h, service: c.Service})
}

// WithRequestID returns a logger whose lines carry the id of a request.
func WithRequestID(l *slog.Logger, id string) *slog.Logger {
	return l.With(slog.String(keyRequestID, id))
}

// IsTerminal reports whether a person is likely to read what f gets.
func IsTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// handler adds the service and the trace to lines that do not have them.
type handler struct {
	slog.Handler
	service string // empty: already there, or none
	traced  bool   // the trace is already there
	grouped bool   // attributes would land in a group
}

// Handle writes the line.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	service, traced := h.service, h.traced || h.grouped
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case keyService:
			service = ""
		case keyTraceID:
			traced = true
		}
		return true
	})
	span := trace.SpanContextFromContext(ctx)
	if service == "" && (traced || !span.IsValid()) {
		return h.Handler.Handle(ctx, r)
	}
	r = r.Clone()
	if service != "" {
		r.AddAttrs(slog.String(keyService, service))
	}
	if !traced && span.IsValid() {
		r.AddAttrs(slog.String(keyTraceID, span.TraceID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs returns a handler whose lines carry attrs.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	for _, a := range attrs {
		switch a.Key {
		case keyService:
			c.service = ""
		case keyTraceID:
			c.traced = true
		}
	}
	c.Handler = h.Handler.WithAttrs(attrs)
	return &c
}

// WithGroup returns a handler that puts later attributes into a group.
func (h *handler) WithGroup(name string) slog.Handler {
	c := *h
	inner := h.Handler
	if c.service != "" { // it belongs to the line, not to the group
		inner = inner.WithAttrs([]slog.Attr{slog.String(keyService, c.service)})
		c.service = ""
	}
	c.grouped = true
	c.Handler = inner.WithGroup(name)
	return &c
}
