package blackbox_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"gatehouse/test/servers/local"
)

// redisDo sends one command to a Redis and returns the strings of its answer.
func redisDo(tb testing.TB, r *local.Redis, args ...string) []string {
	tb.Helper()
	conn, err := net.DialTimeout("tcp", r.Addr(), 5*time.Second)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	command := fmt.Sprintf("*%d\r\n", len(args))
	for _, a := range args {
		command += fmt.Sprintf("$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := conn.Write([]byte(command)); err != nil {
		tb.Fatal(err)
	}
	answer, err := readRESP(bufio.NewReader(conn))
	if err != nil {
		tb.Fatalf("redis %s: %v", args[0], err)
	}
	return answer
}

func readRESP(r *bufio.Reader) ([]string, error) {
	line, err := r.ReadString('\n')
	if err != nil || len(line) < 3 {
		return nil, fmt.Errorf("%q: %w", line, err)
	}
	kind, rest := line[0], line[1:len(line)-2]
	switch kind {
	case '+', ':':
		return []string{rest}, nil
	case '-':
		return nil, fmt.Errorf("%s", rest)
	}
	n, err := strconv.Atoi(rest)
	if err != nil || n < 0 {
		return nil, err
	}
	if kind == '$' {
		text := make([]byte, n+2)
		_, err := io.ReadFull(r, text)
		return []string{string(text[:n])}, err
	}
	var list []string
	for range n {
		item, err := readRESP(r)
		if err != nil {
			return nil, err
		}
		list = append(list, item...)
	}
	return list, nil
}
