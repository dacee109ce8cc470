package rediscache_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy passes connections on to a server and delays what the server says.
type proxy struct {
	listener net.Listener
	lag      atomic.Int64
}

func mustProxy(tb testing.TB, server string) *proxy {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &proxy{listener: listener}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := (&net.Dialer{}).DialContext(tb.Context(), "tcp", server)
			if err != nil {
				client.Close()
				continue
			}
			wg.Go(func() { p.copy(upstream, client, false) })
			wg.Go(func() { p.copy(client, upstream, true) })
		}
	})
	tb.Cleanup(func() {
		listener.Close()
		wg.Wait()
	})
	return p
}

// copy ends both connections when either ends.
func (p *proxy) copy(to, from net.Conn, slowly bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if lag := time.Duration(p.lag.Load()); slowly && lag > 0 {
				<-time.After(lag)
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) delay(d time.Duration) { p.lag.Store(int64(d)) }
