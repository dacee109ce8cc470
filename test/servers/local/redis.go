package local

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// RedisOptions say how a Redis server runs. The zero value is a server on a
// free port that keeps nothing on disk.
type RedisOptions struct {
	Bin  string   // the program redis-server; empty: RedisBin()
	Port int      // 0: a free one
	Args []string // further arguments, for example "--maxmemory", "2mb"
}

// Redis is a Redis server. Its methods are not safe for concurrent use.
type Redis struct {
	bin, dir string
	port     int
	args     []string
	proc     *process
}

// RedisBin returns the path of the program redis-server.
func RedisBin() (string, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return "", fmt.Errorf("redis is %w: no redis-server in PATH; on Debian: apt-get install redis-server", ErrNotInstalled)
	}
	return path, nil
}

// StartRedis starts a server with its working files in dir and returns when it
// answers.
func StartRedis(dir string, o RedisOptions) (*Redis, error) {
	r := &Redis{bin: o.Bin, dir: dir, port: o.Port, args: o.Args}
	var err error
	if r.bin == "" {
		if r.bin, err = RedisBin(); err != nil {
			return nil, err
		}
	}
	if r.port == 0 {
		if r.port, err = freePort(); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory of redis: %w", err)
	}
	if err := r.Start(); err != nil {
		return nil, err
	}
	return r, nil
}

// Start starts the server again, on the same port and empty, after Stop or
// Kill. It does nothing while the server runs.
func (r *Redis) Start() error {
	if r.proc != nil && r.proc.running() {
		return nil
	}
	args := append([]string{
		"--port", strconv.Itoa(r.port), "--bind", "127.0.0.1", "--dir", r.dir, "--save", "", "--appendonly", "no",
	}, r.args...)
	proc, err := startProcess(filepath.Join(r.dir, "redis.log"), nil, r.ready, r.bin, args...)
	if err != nil {
		return err
	}
	r.proc = proc
	return nil
}

// ready reports whether the server answers a PING, be it by asking for a
// password.
func (r *Redis) ready(int) bool {
	const limit = time.Second
	conn, err := (&net.Dialer{Timeout: limit}).DialContext(context.Background(), "tcp", r.Addr())
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(limit))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	reply := make([]byte, 64)
	n, err := conn.Read(reply)
	return err == nil && (strings.HasPrefix(string(reply[:n]), "+PONG") || strings.HasPrefix(string(reply[:n]), "-NOAUTH"))
}

// Stop ends the server in order.
func (r *Redis) Stop() error { return r.proc.stop(syscall.SIGTERM) }

// Kill ends the server at once.
func (r *Redis) Kill() { r.proc.kill() }

// Pause freezes the server: it keeps its connections and answers nothing.
func (r *Redis) Pause() { r.proc.signalAll(syscall.SIGSTOP) }

// Resume ends Pause.
func (r *Redis) Resume() { r.proc.signalAll(syscall.SIGCONT) }

// Addr returns host and port.
func (r *Redis) Addr() string { return addr(r.port) }

// URL returns the address as GATEHOUSE_REDIS_URL takes it.
func (r *Redis) URL() string { return "redis://" + r.Addr() }
