package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// reply is an answer. Its body is valid until the next call on the connection.
type reply struct {
	status int
	body   []byte
}

// conn is a connection that is kept open and carries one request at a time. It
// does no more than a load needs, since clients and server share the machine:
// requests come ready-made, and of an answer only status and body are read.
type conn struct {
	net.Conn
	r    *bufio.Reader
	body []byte
}

// dialTimeout bounds how long a connection may take to open.
const dialTimeout = 10 * time.Second

// dial opens a connection that works until the deadline.
func dial(ctx context.Context, addr string, deadline time.Time) (*conn, error) {
	nc, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if err := nc.SetDeadline(deadline); err != nil {
		return nil, fmt.Errorf("set deadline: %w", err)
	}
	return &conn{Conn: nc, r: bufio.NewReaderSize(nc, 16<<10)}, nil
}

var errReply = errors.New("not an HTTP/1.1 answer")

// do sends a request and reads the answer to it.
func (c *conn) do(request []byte) (reply, error) {
	if _, err := c.Write(request); err != nil {
		return reply{}, fmt.Errorf("send request: %w", err)
	}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return reply{}, fmt.Errorf("read status: %w", err)
	}
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return reply{}, errReply
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return reply{}, errReply
	}
	length, chunked, err := c.head()
	if err != nil {
		return reply{}, err
	}
	c.body = c.body[:0]
	if chunked {
		err = c.chunks()
	} else {
		err = c.take(length)
	}
	return reply{status: status, body: c.body}, err
}

// head reads the headers and returns what they say of the body.
func (c *conn) head() (length int, chunked bool, err error) {
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return 0, false, fmt.Errorf("read headers: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return length, chunked, nil
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, false, errReply
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
}

// take adds the next n bytes to the body.
func (c *conn) take(n int) error {
	at := len(c.body)
	if at+n > cap(c.body) {
		c.body = append(make([]byte, 0, 2*(at+n)), c.body...)
	}
	c.body = c.body[:at+n]
	if _, err := io.ReadFull(c.r, c.body[at:]); err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	return nil
}

func (c *conn) chunks() error {
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("read chunk: %w", err)
		}
		n, err := strconv.ParseUint(string(bytes.TrimRight(line, "\r\n")), 16, 31)
		if err != nil {
			return errReply
		}
		if err := c.take(int(n)); err != nil {
			return err
		}
		if _, err := c.r.Discard(len("\r\n")); err != nil {
			return fmt.Errorf("read chunk: %w", err)
		}
		if n == 0 {
			return nil
		}
	}
}

// request builds a request of the client at the address from. Body is JSON or
// empty, token a bearer token or empty.
func request(method, path, from, token, body string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: gatehouse-bench\r\nX-Forwarded-For: %s\r\n", method, path, from)
	if token != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", token)
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.WriteString(body)
	return []byte(b.String())
}

// field returns the text of a member of a JSON object whose value needs no
// unescaping, as tokens and cursors don't, or "".
func field(body []byte, name string) string {
	_, rest, found := bytes.Cut(body, []byte(`"`+name+`":"`))
	value, _, closed := bytes.Cut(rest, []byte{'"'})
	if !found || !closed {
		return ""
	}
	return string(value)
}
