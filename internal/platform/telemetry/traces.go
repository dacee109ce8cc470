package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// TraceConfig says where traces go. The zero value makes none.
type TraceConfig struct {
	Endpoint string // base URL of an OTLP/HTTP collector; empty: no traces
	Service  string
	Version  string
	Logger   *slog.Logger
}

// Traces makes spans. It is safe for concurrent use.
type Traces struct {
	provider *sdktrace.TracerProvider // nil: no traces
	tracer   trace.Tracer
	lost     atomic.Uint64
}

// NewTraces returns a maker of spans that follow the sampling decision of their
// parent. It does not connect: a collector that is away costs spans, nothing
// else. Whose traceparent counts as a parent is for the caller to decide, since
// a parent can ask for sampling.
func NewTraces(ctx context.Context, c TraceConfig) (*Traces, error) {
	t := &Traces{tracer: noop.NewTracerProvider().Tracer(c.Service)}
	if c.Endpoint == "" {
		return t, nil
	}
	endpoint, err := url.JoinPath(c.Endpoint, "v1", "traces")
	if err != nil {
		return nil, errors.New("trace endpoint is not a URL")
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint))
	if err != nil {
		return nil, fmt.Errorf("make trace exporter: %w", err)
	}
	about, err := resource.New(ctx, resource.WithFromEnv(), resource.WithAttributes(
		attribute.String("service.name", c.Service), attribute.String("service.version", c.Version)))
	if err != nil {
		return nil, fmt.Errorf("read OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	t.provider = sdktrace.NewTracerProvider(
		sdktrace.WithResource(about),
		sdktrace.WithBatcher(&quietExporter{SpanExporter: exporter, t: t, logger: c.Logger}))
	t.tracer = t.provider.Tracer(c.Service)
	return t, nil
}

// Tracer returns the tracer. Where no traces are made it is a noop.Tracer.
func (t *Traces) Tracer() trace.Tracer { return t.tracer }

// Lost returns how many spans no collector took.
func (t *Traces) Lost() uint64 { return t.lost.Load() }

// Shutdown sends what is left, until ctx ends.
func (t *Traces) Shutdown(ctx context.Context) error {
	if t.provider == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// quietExporter reports failures to our own log, at most once a minute. The
// library would hand them to a global handler, which prints past it.
type quietExporter struct {
	sdktrace.SpanExporter
	t      *Traces
	logger *slog.Logger
	next   time.Time // before it, failures are only counted
}

// ExportSpans sends spans. The batcher calls it from one goroutine.
func (e *quietExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		return nil
	}
	lost := e.t.lost.Add(uint64(len(spans)))
	if now := time.Now(); now.After(e.next) {
		e.next = now.Add(time.Minute)
		e.logger.WarnContext(ctx, "traces are lost", slog.Any("error", err), slog.Uint64("spans_so_far", lost))
	}
	return nil
}
