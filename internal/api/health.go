package api

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gatehouse/internal/actor"
)

// Health is the answer of /health/ready.
type Health struct {
	Status string            `json:"status" enum:"ready,degraded,not_ready"`
	Checks map[string]string `json:"checks,omitempty" doc:"What each dependency is: up, degraded or down"`
}

// The statuses of Health. With the last one the reply is a 503.
const (
	Ready    = "ready"
	Degraded = "degraded"
	NotReady = "not_ready"
)

type healthOutput struct {
	Status int
	Body   Health
}

// AddHealth adds /health/live and /health/ready. Without detail the reply
// holds the status alone: where there is a management listener, only that one
// tells more (TLS-4).
func AddHealth(s *Surface, ready func(ctx context.Context) Health, detail bool) {
	Register(s, healthRoute("/health/live", "Whether the process runs"),
		func(context.Context, actor.Actor, *None) (*healthOutput, error) {
			return &healthOutput{Body: Health{Status: "live"}}, nil
		})
	Register(s, healthRoute("/health/ready", "Whether it can do its work"),
		func(ctx context.Context, _ actor.Actor, _ *None) (*healthOutput, error) {
			out := &healthOutput{Body: ready(ctx)}
			if out.Body.Status == NotReady {
				out.Status = http.StatusServiceUnavailable
			}
			if !detail {
				out.Body.Checks = nil
			}
			return out, nil
		})
}

// AddMetrics adds /health/metrics in the text format of Prometheus.
func AddMetrics(s *Surface, g prometheus.Gatherer) {
	Handle(s, healthRoute("/health/metrics", "Metrics for Prometheus"), promhttp.HandlerFor(g, promhttp.HandlerOpts{}))
}

func healthRoute(path, summary string) Route {
	return Route{
		Method: http.MethodGet, Path: path, Access: Public(),
		Tag: "Health", Summary: summary, AnyHost: true,
	}
}
