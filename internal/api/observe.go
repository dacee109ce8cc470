package api

import (
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"gatehouse/internal/actor"
)

// Metrics counts and times requests by service, route template, method and
// status. One is shared by all surfaces of a process.
type Metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

// NewMetrics registers the metrics of requests.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_http_requests_total",
			Help: "Requests by service, route template, method and status.",
		}, []string{"service", "route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "gatehouse_http_request_duration_seconds",
			Help:    "Time from the header of a request to the end of its reply.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"service", "route", "method"}),
	}
	r.MustRegister(m.requests, m.seconds)
	return m
}

// meter holds the metrics of one route, looked up once.
type meter struct {
	requests *prometheus.CounterVec
	seconds  prometheus.Observer
}

func (m *Metrics) meter(service, method, route string) meter {
	labels := prometheus.Labels{"service": service, "route": route, "method": method}
	return meter{requests: m.requests.MustCurryWith(labels), seconds: m.seconds.With(labels)}
}

func (c *call) count(took time.Duration) {
	m := c.s.unmatched
	if c.e != nil {
		m = c.e.meter
	}
	m.requests.WithLabelValues(strconv.Itoa(c.status)).Inc()
	m.seconds.Observe(took.Seconds())
}

// log writes the line of the access log. It names a person by a pseudonym and
// an address by its network (PRV-4), and never holds a path or a query.
func (c *call) log(took time.Duration) {
	l := c.s.deps.Logger
	if !l.Enabled(c.ctx, slog.LevelInfo) {
		return
	}
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs,
		slog.String("service", c.service()),
		slog.String("request_id", c.by.Origin.RequestID),
		slog.String("method", knownMethod(c.r.Method)),
		slog.String("route", c.template()),
		slog.Int("status", c.status),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
		slog.Int64("bytes", c.bytes),
		slog.String("ip", cutAddr(c.by.Origin.IP)))
	if c.by.Type == actor.User {
		attrs = append(attrs, slog.String("user", c.s.deps.Pseudonym(c.by.UserID)))
	}
	if c.span != nil {
		attrs = append(attrs, slog.String("trace_id", c.span.SpanContext().TraceID().String()))
	}
	l.LogAttrs(c.ctx, slog.LevelInfo, "request", attrs...)
}

// knownMethod keeps made-up methods out of logs.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions, http.MethodTrace, http.MethodConnect:
		return m
	}
	return "other"
}

func (c *call) startSpan() {
	c.ctx, c.span = c.s.deps.Tracer.Start(c.ctx, c.e.Route.String(),
		trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(
			attribute.String("http.request.method", c.e.Method),
			attribute.String("http.route", c.e.Path),
			attribute.String("request_id", c.by.Origin.RequestID)))
}

func (c *call) endSpan() {
	c.span.SetAttributes(attribute.Int("http.response.status_code", c.status))
	if c.status >= http.StatusInternalServerError {
		c.span.SetStatus(codes.Error, "")
	}
	c.span.End()
}
