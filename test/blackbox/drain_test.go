package blackbox_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestDrain_ReadinessEndsAtOnceAndTheListenerLater(t *testing.T) {
	t.Parallel()
	n := install(t, embedded).start()
	c := n.connect()
	person := c.admin()

	// A request is under way when the listener closes: its body comes in two
	// parts.
	body, more := io.Pipe()
	slow := make(chan reply, 1)
	go func() {
		r, err := person.try("PUT", "/users/profile", io.Reader(body))
		if err != nil {
			t.Error(err)
		}
		slow <- r
	}()
	if _, err := io.WriteString(more, `{"first_name":`); err != nil {
		t.Fatal(err)
	}
	n.terminate()
	told := time.Now()
	took := eventually(t, 500*time.Millisecond, "not ready", func() bool { return c.send("GET", "/health/ready", nil).status == 503 })
	c.send("GET", "/health/live", nil).want(200)

	for connects(n.url) {
		if time.Since(told) < 4*time.Second {
			fresh := connect(t, n.url)
			fresh.send("GET", "/health/live", nil).want(200)
			fresh.as(person.token).send("GET", "/users/profile", nil).want(200)
		}
		if time.Since(told) > 8*time.Second {
			t.Fatal("the listener stays open")
		}
		time.Sleep(20 * time.Millisecond)
	}
	open := time.Since(told)
	if open < 4900*time.Millisecond {
		t.Errorf("the listener was open for %v only", open)
	}
	if _, err := io.WriteString(more, `"Ada"}`); err != nil {
		t.Error(err)
	}
	more.Close()
	(<-slow).want(200)
	code, ok := n.stopped(30*time.Second - time.Since(told))
	if !ok || code != 0 {
		t.Fatalf("ended: %v with exit code %d", ok, code)
	}
	t.Logf("not ready after %v, listener open for %v, ended after %v", took, open, time.Since(told))
}

// connects reports whether somebody listens.
func connects(url string) bool {
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(url, "http://"), time.Second)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func TestDrain_EndsWithinHalfAMinuteAlthoughAClientStalls(t *testing.T) {
	t.Parallel()
	n := install(t, embedded).start()
	conn, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	n.connect().send("GET", "/health/live", nil).want(200)
	n.terminate()
	if code, ok := n.stopped(30 * time.Second); !ok {
		t.Errorf("still running after 30 s")
	} else if code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// balancer spreads requests over the nodes that say they are ready, which it
// asks often, as a load balancer does. It never tries again.
type balancer struct {
	mu    sync.Mutex
	nodes []*node
	ready []client
	next  int
}

func (b *balancer) set(nodes ...*node) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nodes = nodes
}

func (b *balancer) probe(c client) {
	b.mu.Lock()
	nodes := b.nodes
	b.mu.Unlock()
	var ready []client
	for _, n := range nodes {
		if r, err := c.at(n).try("GET", "/health/ready", nil); err == nil && r.status == 200 {
			ready = append(ready, c.at(n))
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready = ready
}

func (b *balancer) pick() (client, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.ready) == 0 {
		return client{}, false
	}
	b.next++
	return b.ready[b.next%len(b.ready)], true
}

func TestDrain_ARollingRestartFailsNoRequest(t *testing.T) {
	t.Parallel()
	const perSecond = 100
	i := install(t, production, "GATEHOUSE_RATE_LIMITS=off")
	a, b := i.pair()
	admin := a.connect().admin()
	person := admin.as(admin.signInNew(admin, "ada@example.com"))

	lb := &balancer{}
	lb.set(a, b)
	lb.probe(person)
	stop := make(chan struct{})
	var probes, load sync.WaitGroup
	probes.Go(func() {
		for !closed(stop) {
			lb.probe(person)
			time.Sleep(200 * time.Millisecond)
		}
	})
	var sent, failed atomic.Int64
	load.Go(func() {
		tick := time.NewTicker(time.Second / perSecond)
		defer tick.Stop()
		for k := 0; !closed(stop); k++ {
			<-tick.C
			load.Go(func() {
				sent.Add(1)
				if err := oneRequest(lb, k); err != nil && failed.Add(1) < 10 {
					t.Error(err)
				}
			})
		}
	})
	for k, old := range []*node{a, b} {
		old.terminate()
		if code, ok := old.stopped(30 * time.Second); !ok || code != 0 {
			t.Fatalf("a node ended: %v with exit code %d", ok, code)
		}
		renewed := i.startNode(string(rune('a'+k)), nil)
		if k == 0 {
			a = renewed
		} else {
			b = renewed
		}
		lb.set(a, b)
		eventually(t, 10*time.Second, "both nodes are ready", func() bool {
			lb.mu.Lock()
			defer lb.mu.Unlock()
			return len(lb.ready) == 2
		})
	}
	close(stop)
	probes.Wait()
	load.Wait()
	t.Logf("%d requests, %d failed", sent.Load(), failed.Load())
	if failed.Load() > 0 || sent.Load() < 500 {
		t.Errorf("%d of %d requests failed", failed.Load(), sent.Load())
	}
}

// oneRequest sends a read, or each fifth time a write.
func oneRequest(lb *balancer, k int) error {
	c, ok := lb.pick()
	if !ok {
		return fmt.Errorf("no node is ready")
	}
	method, body := "GET", any(nil)
	if k%5 == 0 {
		method, body = "PATCH", fmt.Sprintf(`{"first_name":"N%d"}`, k)
	}
	r, err := c.try(method, "/users/profile", body, mergePatch)
	if err != nil {
		return err
	}
	if r.status != 200 {
		return fmt.Errorf("%s: %d %s", r.what, r.status, r.body)
	}
	return nil
}
