package telemetry_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"

	"gatehouse/internal/platform/telemetry"
)

func scrape(tb testing.TB, m *telemetry.Metrics) string {
	tb.Helper()
	families, err := m.Registry().Gather()
	if err != nil {
		tb.Fatal(err)
	}
	var out bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&out, f); err != nil {
			tb.Fatal(err)
		}
	}
	return out.String()
}

func TestMetrics_ShowWhatTheyRead(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics("gatehouse", "v1")
	depth := 0.0
	m.Gauge("queue_depth", "Passwords that wait.", func() float64 { return depth })
	m.Counter("refused_total", "Passwords refused.", func() float64 { return 7 })
	signIns := m.Outcomes("sign_ins_total", "Sign-ins by outcome.", "outcome", "succeeded", "failed")
	m.Spans("sealing_seconds", "Time to seal.", time.Millisecond, time.Second).Observe(500 * time.Millisecond)
	m.Pool(func() telemetry.PoolStats { return telemetry.PoolStats{InUse: 2, Idle: 1, Max: 20, Waits: 5} })
	for _, name := range []string{"session", "profile"} {
		m.Cache(name, func() telemetry.CacheStats { return telemetry.CacheStats{Hits: 3, Misses: 1, Up: true} })
	}
	depth = 4
	signIns.Add("failed")
	signIns.Add("made\nup")

	text := scrape(t, m)
	for _, want := range []string{
		`gatehouse_build_info{version="v1"} 1`, "gatehouse_queue_depth 4", "gatehouse_refused_total 7",
		`gatehouse_sign_ins_total{outcome="failed"} 1`, `gatehouse_sign_ins_total{outcome="succeeded"} 0`, `gatehouse_sign_ins_total{outcome="other"} 1`,
		`gatehouse_sealing_seconds_bucket{le="1"} 1`, "gatehouse_database_connections_in_use 2", "gatehouse_database_connection_waits_total 5",
		`gatehouse_cache_hits_total{cache="session"} 3`, `gatehouse_cache_up{cache="profile"} 1`, "go_goroutines", "process_resident_memory_bytes",
	} {
		if !strings.Contains(text, want+"\n") && !strings.Contains(text, "\n"+want+" ") {
			t.Errorf("no %q", want)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}
