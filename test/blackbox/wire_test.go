package blackbox_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// wire sends raw bytes and returns the status of the answer, 0 for none, and
// whether the connection was closed after it.
func wire(t *testing.T, n *node, request string) (status int, closed bool) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, request)
	in := bufio.NewReader(conn)
	r, err := http.ReadResponse(in, nil)
	if err != nil {
		return 0, true
	}
	_, _ = io.Copy(io.Discard, r.Body)
	r.Body.Close()
	_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	_, err = in.ReadByte()
	return r.StatusCode, errors.Is(err, io.EOF)
}

func TestWire_AmbiguousFramingIsRefusedAndTheConnectionCloses(t *testing.T) {
	t.Parallel()
	n := install(t, embedded).start()
	const head = "POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	for what, request := range map[string]string{
		"two lengths":           head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
		"negative length":       head + "Content-Length: -1\r\n\r\n{}",
		"signed length":         head + "Content-Length: +2\r\n\r\n{}",
		"hexadecimal length":    head + "Content-Length: 0x2\r\n\r\n{}",
		"unknown coding":        head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"odd coding":            head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"space before colon":    head + "Content-Length : 2\r\n\r\n{}",
		"folded header":         head + "X-A: b\r\n c\r\nContent-Length : 2\r\n\r\n{}",
		"no host":               "GET /health/live HTTP/1.1\r\n\r\n",
		"two hosts":             "GET /health/live HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"NUL in a header":       "GET /health/live HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
		"not HTTP":              "hostile\r\n\r\n",
		"broken chunk":          head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
		"space in the target":   "GET /health/live x HTTP/1.1\r\nHost: a\r\n\r\n",
		"control in the target": "GET /health/\x01live HTTP/1.1\r\nHost: a\r\n\r\n",
		"bad version":           "GET /health/live HTTP/9.9\r\nHost: a\r\n\r\n",
	} {
		status, closed := wire(t, n, request)
		if status != 0 && (status < 400 || status > 599 || status == 500) {
			t.Errorf("%s: answered %d", what, status)
		}
		if !closed {
			t.Errorf("%s: answered %d, and the connection stays open", what, status)
		}
	}
	n.connect().send("GET", "/health/live", nil).want(200)
}

func TestWire_ASlowSenderIsCut(t *testing.T) {
	t.Parallel()
	n := install(t, embedded).start()
	addr := strings.TrimPrefix(n.url, "http://")
	for what, begin := range map[string]string{
		"header": "POST /auth/login HTTP/1.1\r\nHost: localhost\r\n",
		"body":   "POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		began := time.Now()
		_, _ = io.WriteString(conn, begin)
		go func() {
			for {
				if _, err := fmt.Fprint(conn, "x"); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		}()
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		_, err = io.Copy(io.Discard, conn)
		took := time.Since(began)
		if errors.Is(err, os.ErrDeadlineExceeded) || took > 17*time.Second {
			t.Errorf("slow %s: not cut after %v: %v", what, took, err)
		}
		t.Logf("slow %s: cut after %v", what, took)
	}
}
