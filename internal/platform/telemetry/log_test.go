package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"gatehouse/internal/platform/secret"
	"gatehouse/internal/platform/telemetry"
)

const canary = "c4n4ry"

// lines runs log and returns what it wrote, one decoded object a line.
func lines(tb testing.TB, log func(l *slog.Logger)) (objects []map[string]any, raw string) {
	tb.Helper()
	var out bytes.Buffer
	log(telemetry.NewLogger(&out, telemetry.LogConfig{Service: "gatehouse"}))
	for line := range strings.Lines(out.String()) {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			tb.Fatalf("%q is not one JSON object: %v", line, err)
		}
		objects = append(objects, o)
	}
	return objects, out.String()
}

func TestLogger_OneObjectALineInUTC(t *testing.T) {
	t.Parallel()
	hostile := "x\n{\"level\":\"ERROR\"}\r\u2028\",\"admin\":true,\"a\":\"\x00\x1b[31m\xff"
	objects, raw := lines(t, func(l *slog.Logger) {
		telemetry.WithRequestID(l, "r-1").Info("signed in", "user_agent", hostile, "at", time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600)))
	})
	if len(objects) != 1 || strings.Count(raw, "\n") != 1 || strings.Contains(raw, "\u2028") {
		t.Fatalf("text began a line: %q", raw)
	}
	o := objects[0]
	if o["admin"] != nil || o["level"] != "INFO" || o["service"] != "gatehouse" || o["request_id"] != "r-1" || o["at"] != "2026-01-02T02:04:05Z" {
		t.Errorf("got %v", o)
	}
	if at, err := time.Parse(time.RFC3339Nano, o["time"].(string)); err != nil || at.Location() != time.UTC {
		t.Errorf("time %v is not RFC 3339 in UTC: %v", o["time"], err)
	}
}

func TestLogger_TextStaysOnItsLine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := telemetry.NewLogger(&out, telemetry.LogConfig{Text: true})
	l.Info("x", "user_agent", "a b=c\nlevel=ERROR", "thing", struct{ hidden secret.String }{canary})
	if s := out.String(); strings.Count(s, "\n") != 1 || strings.Contains(s, canary) || !strings.Contains(s, `user_agent="a b=c\nlevel=ERROR"`) {
		t.Errorf("got %q", s)
	}
}

func TestLogger_Redacts(t *testing.T) {
	t.Parallel()
	for _, text := range []bool{false, true} {
		var out bytes.Buffer
		l := telemetry.NewLogger(&out, telemetry.LogConfig{Text: text})
		type body struct {
			Name     string
			Password secret.String
		}
		l.With("refresh_token", canary).WithGroup("request").Info("x",
			"password", canary, "X-Api-Key", canary, "Authorization", "Bearer "+canary, "set-cookie", []string{canary}, "client_secret", []byte(canary),
			"typed", secret.String(canary), "body", body{"ada", canary}, "headers", http.Header{"X-Anything": {canary}},
			slog.Group("inner", "new_password", canary),
			"tokens", 3)
		if s := out.String(); strings.Contains(s, canary) || !strings.Contains(s, "ada") || !strings.Contains(s, "3") {
			t.Errorf("text %v: %s", text, s)
		}
	}
}

func TestLogger_CutsAddressesAndLongText(t *testing.T) {
	t.Parallel()
	objects, _ := lines(t, func(l *slog.Logger) {
		l.Info("x", "v4", netip.MustParseAddr("203.0.113.77"), "v6", netip.MustParseAddrPort("[2001:db8:1:2::3]:80"), "mapped", netip.MustParseAddr("::ffff:203.0.113.77"),
			"long", strings.Repeat("é", 5000), "error", errors.New("no"))
	})
	o := objects[0]
	if o["v4"] != "203.0.113.0/24" || o["v6"] != "2001:db8:1::/48" || o["mapped"] != "203.0.113.0/24" || o["error"] != "no" {
		t.Errorf("got %v", o)
	}
	if n := len(o["long"].(string)); n > 5000 {
		t.Errorf("%d bytes of one attribute", n)
	}
}

func TestLogger_ServiceAndTraceOnce(t *testing.T) {
	t.Parallel()
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	ctx := trace.ContextWithSpanContext(t.Context(), span)
	objects, raw := lines(t, func(l *slog.Logger) {
		l.InfoContext(ctx, "a")
		l.InfoContext(ctx, "b", "service", "auth", "trace_id", "mine")
		l.With("service", "user").InfoContext(context.Background(), "c")
		l.WithGroup("g").InfoContext(ctx, "d", "k", "v")
	})
	if objects[0]["trace_id"] != span.TraceID().String() || objects[1]["trace_id"] != "mine" || objects[1]["service"] != "auth" ||
		objects[2]["service"] != "user" || objects[3]["service"] != "gatehouse" || strings.Count(raw, `"service"`) != 4 {
		t.Errorf("got %s", raw)
	}
}

func FuzzLogger(f *testing.F) {
	f.Add("a\nb", "k")
	f.Add("\",\"level\":\"ERROR", "msg")
	f.Fuzz(func(t *testing.T, text, key string) {
		_, raw := lines(t, func(l *slog.Logger) { l.Info("event", "k", text, "error", errors.New(text), key, 1) })
		if strings.Count(raw, "\n") != 1 {
			t.Fatalf("%q", raw)
		}
		var out bytes.Buffer
		telemetry.NewLogger(&out, telemetry.LogConfig{Text: true}).Info("event", "k", text)
		if bytes.Count(out.Bytes(), []byte("\n")) != 1 {
			t.Fatalf("%q", &out)
		}
	})
}

func BenchmarkLogger(b *testing.B) {
	l := telemetry.NewLogger(telemetry.NewSink(discard{}), telemetry.LogConfig{Service: "gatehouse"})
	b.ReportAllocs()
	for b.Loop() {
		l.LogAttrs(b.Context(), slog.LevelInfo, "request", slog.String("service", "auth"), slog.String("request_id", "r"), slog.String("method", "GET"),
			slog.String("route", "/users/profile"), slog.Int("status", 200), slog.Float64("duration_ms", 1.5), slog.String("ip", "203.0.113.0/24"))
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
