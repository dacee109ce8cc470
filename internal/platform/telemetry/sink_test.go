package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"gatehouse/internal/platform/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gate is a writer that stands still until it is opened.
type gate struct {
	open chan struct{}
	mu   sync.Mutex
	bytes.Buffer
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.Buffer.Write(p)
}

func TestSink_StuckWriterStopsNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		s := telemetry.NewSink(g)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		synctest.Wait()
		line := []byte(strings.Repeat("x", 1023) + "\n")
		const sent = 4096 // KiB
		for range sent {
			if _, err := s.Write(line); err != nil {
				t.Fatal(err)
			}
		}
		if s.Dropped() == 0 {
			t.Error("nothing was dropped: the spool has no bound")
		}
		close(g.open)
		synctest.Wait()
		_, _ = s.Write([]byte("last but one\n"))
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_, _ = s.Write([]byte("last\n"))
		if got := bytes.Count(g.Bytes(), []byte("\n")); uint64(got)+s.Dropped() != sent+2 || !strings.HasSuffix(g.String(), "\nlast but one\nlast\n") {
			t.Errorf("%d written and %d dropped of %d", got, s.Dropped(), sent+2)
		}
	})
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestSink_CountsWhatItsWriterRefuses(t *testing.T) {
	t.Parallel()
	s := telemetry.NewSink(broken{})
	if n, err := s.Write([]byte("a\nb\n")); n != 4 || err != nil || s.Dropped() != 2 {
		t.Errorf("Write: %d, %v; %d dropped", n, err, s.Dropped())
	}
}
