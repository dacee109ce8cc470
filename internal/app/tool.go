package app

import (
	"context"

	"gatehouse/internal/config"
)

// NewTool builds the program for a command that acts on the database, beside
// servers or without any. It leaves out what only a server needs: certificate,
// Redis and traces. Servers learn of its changes from the database.
func NewTool(ctx context.Context, cfg config.Config, o Options) (*App, error) {
	cfg.TLS, cfg.RedisURL, cfg.OTLPEndpoint = config.TLS{}, "", ""
	return New(ctx, cfg, o)
}
