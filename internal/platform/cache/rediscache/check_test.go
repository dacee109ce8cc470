package rediscache_test

import (
	"log/slog"
	"testing"

	"gatehouse/internal/platform/cache/rediscache"
)

func TestCheck_WantsARedisThatTakesWrites(t *testing.T) {
	t.Parallel()
	server := mustRedis(t)
	r, err := rediscache.New(rediscache.Config{URL: server.URL(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	mustCommand(t, server.Addr(), "CONFIG SET maxmemory 1")
	if err := r.Check(t.Context()); err == nil {
		t.Error("a full Redis is fine")
	}
	nobody, err := rediscache.New(rediscache.Config{URL: "redis://127.0.0.1:1", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := nobody.Check(t.Context()); err == nil {
		t.Error("no Redis is fine")
	}
}
