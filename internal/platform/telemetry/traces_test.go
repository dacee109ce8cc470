package telemetry_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"gatehouse/internal/platform/telemetry"
)

func TestTraces_OffByDefault(t *testing.T) {
	t.Parallel()
	traces, err := telemetry.NewTraces(t.Context(), telemetry.TraceConfig{Service: "gatehouse"})
	if err != nil {
		t.Fatal(err)
	}
	if _, off := traces.Tracer().(noop.Tracer); !off || traces.Shutdown(t.Context()) != nil {
		t.Errorf("tracer is %T", traces.Tracer())
	}
}

func TestTraces_ReachTheCollectorUnderTheCallersTrace(t *testing.T) {
	t.Parallel()
	bodies := make(chan []byte, 1)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/otlp/v1/traces" {
			body, _ := io.ReadAll(r.Body)
			bodies <- body
		}
	}))
	defer collector.Close()
	traces, err := telemetry.NewTraces(t.Context(), telemetry.TraceConfig{Endpoint: collector.URL + "/otlp", Service: "gatehouse", Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{"Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}
	ctx := propagation.TraceContext{}.Extract(t.Context(), propagation.HeaderCarrier(header))
	_, span := traces.Tracer().Start(ctx, "GET /users/profile")
	id := span.SpanContext().TraceID()
	span.End()
	if err := traces.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	body := <-bodies
	if want, _ := trace.TraceIDFromHex("4bf92f3577b34da6a3ce929d0e0e4736"); id != want || !bytes.Contains(body, want[:]) {
		t.Errorf("trace %s", id)
	}
	if !bytes.Contains(body, []byte("GET /users/profile")) || !bytes.Contains(body, []byte("service.name")) || traces.Lost() != 0 {
		t.Errorf("collector got %q, lost %d", body, traces.Lost())
	}
}

func TestTraces_LossIsCountedAndLogged(t *testing.T) {
	t.Parallel()
	collector := httptest.NewServer(http.NotFoundHandler())
	defer collector.Close()
	var out bytes.Buffer
	traces, err := telemetry.NewTraces(t.Context(), telemetry.TraceConfig{Endpoint: collector.URL, Service: "gatehouse", Logger: slog.New(slog.NewJSONHandler(&out, nil))})
	if err != nil {
		t.Fatal(err)
	}
	_, span := traces.Tracer().Start(t.Context(), "x")
	span.End()
	if err := traces.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if traces.Lost() != 1 || !strings.Contains(out.String(), "traces are lost") {
		t.Errorf("lost %d, log %s", traces.Lost(), &out)
	}
}
