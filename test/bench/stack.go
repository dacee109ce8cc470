package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"gatehouse/test/servers/local"
)

// The stacks.
const (
	embedded   = "embedded"
	production = "production"
)

// stack is an installation: its settings, the servers below it, and the
// processes of Gatehouse that run on them.
type stack struct {
	name  string
	bin   string // the program gatehouse
	dir   string
	count int // of processes
	env   []string
	// database is the URL of the PostgreSQL database in use.
	database string
	pg       *local.Postgres // nil: embedded
	redis    *local.Redis
	nodes    []*node
}

// newStack starts what the stack needs beside Gatehouse itself.
func newStack(name, bin, dir string) (*stack, error) {
	s := &stack{name: name, bin: bin, dir: dir, count: 1}
	s.env = []string{
		"GATEHOUSE_TRUSTED_PROXIES=127.0.0.1/32",
		"GATEHOUSE_FRONT_ADDR=127.0.0.1:0", "GATEHOUSE_AUTH_ADDR=127.0.0.1:0", "GATEHOUSE_USER_ADDR=127.0.0.1:0",
		"GATEHOUSE_ADMIN_ADDR=127.0.0.1:0", "GATEHOUSE_MANAGEMENT_ADDR=127.0.0.1:0",
	}
	if name == embedded {
		return s, nil
	}
	s.count = 2
	var errPG, errRedis error
	var wg sync.WaitGroup
	wg.Go(func() {
		s.pg, errPG = local.StartPostgres(filepath.Join(dir, "postgres"), local.PostgresOptions{Durable: true})
	})
	wg.Go(func() { s.redis, errRedis = local.StartRedis(filepath.Join(dir, "redis"), local.RedisOptions{}) })
	wg.Wait()
	if err := errors.Join(errPG, errRedis); err != nil {
		s.close()
		return nil, err
	}
	s.env = append(s.env, "GATEHOUSE_REDIS_URL="+s.redis.URL(), "GATEHOUSE_MASTER_KEY=Z2F0ZWhvdXNlLWJlbmNobWFyay1tYXN0ZXIta2V5LTE=")
	return s, nil
}

// use makes an empty database and points the stack at it.
func (s *stack) use(ctx context.Context, database string) error {
	s.env = append(s.env, "GATEHOUSE_DATA_DIR="+filepath.Join(s.dir, database))
	if s.name == embedded {
		return nil
	}
	conn, err := pgx.Connect(ctx, s.pg.URL("postgres"))
	if err != nil {
		return fmt.Errorf("make database: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{database}.Sanitize()); err != nil {
		return fmt.Errorf("make database: %w", err)
	}
	s.database = s.pg.URL(database)
	s.env = append(s.env, "GATEHOUSE_DATABASE_URL="+s.database)
	return nil
}

// migrate brings the schema up to date, which SQLite does by itself.
func (s *stack) migrate(ctx context.Context) error {
	if s.name == embedded {
		return nil
	}
	return s.command(ctx, "migrate", "up")
}

// command runs a command of Gatehouse on the installation.
func (s *stack) command(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, s.bin, args...)
	cmd.Env = s.environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("gatehouse %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// environ is the environment of a process: of settings with one name the last
// one counts.
func (s *stack) environ(more ...string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GATEHOUSE_") {
			env = append(env, v)
		}
	}
	return append(append(env, s.env...), more...)
}

// start runs the processes and returns how long the slowest took to be ready.
func (s *stack) start(ctx context.Context) (time.Duration, error) {
	var slowest time.Duration
	for i := range s.count {
		n, took, err := s.startNode(ctx, i)
		if err != nil {
			s.stop()
			return 0, err
		}
		s.nodes = append(s.nodes, n)
		slowest = max(slowest, took)
	}
	return slowest, nil
}

// stop ends the processes and waits for them.
func (s *stack) stop() {
	for _, n := range s.nodes {
		_ = n.cmd.Process.Signal(syscall.SIGTERM)
	}
	for _, n := range s.nodes {
		n.wait()
	}
	s.nodes = nil
}

// close ends everything.
func (s *stack) close() {
	s.stop()
	if s.pg != nil {
		if err := s.pg.Stop(); err != nil {
			progress("%v", err)
		}
	}
	if s.redis != nil {
		if err := s.redis.Stop(); err != nil {
			progress("%v", err)
		}
	}
}

// fronts returns the addresses of the processes.
func (s *stack) fronts() []string {
	var addrs []string
	for _, n := range s.nodes {
		addrs = append(addrs, n.addrs["front"])
	}
	return addrs
}

// memory returns the resident memory of the largest process in MiB.
func (s *stack) memory() float64 {
	var most float64
	for _, n := range s.nodes {
		most = max(most, resident(n.cmd.Process.Pid))
	}
	return most
}

// node is a running process of Gatehouse.
type node struct {
	cmd    *exec.Cmd
	addrs  map[string]string // of its listeners, by name
	exited chan struct{}
}

// Limits of one process.
const (
	startLimit = 30 * time.Second
	stopLimit  = 30 * time.Second
)

func (s *stack) startNode(ctx context.Context, i int) (*node, time.Duration, error) {
	log, err := os.OpenFile(filepath.Join(s.dir, "node-"+strconv.Itoa(i)+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("open log: %w", err)
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, s.bin, "serve")
	cmd.Stderr = log
	cmd.SysProcAttr = processAttributes()
	cmd.Env = s.environ()
	if i > 0 {
		cmd.Env = s.environ("GATEHOUSE_DATA_DIR=" + filepath.Join(s.dir, "data-"+strconv.Itoa(i)))
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, 0, fmt.Errorf("start gatehouse: %w", err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, 0, fmt.Errorf("start gatehouse: %w", err)
	}
	n := &node{cmd: cmd, exited: make(chan struct{})}
	said := make(chan map[string]string, 1)
	go n.watch(out, said)
	select {
	case n.addrs = <-said:
	case <-n.exited:
	case <-time.After(startLimit):
	}
	if n.addrs["front"] == "" || !n.awaitReady(ctx) {
		_ = cmd.Process.Kill()
		<-n.exited
		return nil, 0, fmt.Errorf("gatehouse did not get ready: see %s", log.Name())
	}
	return n, time.Since(began), nil
}

// watch reads which addresses the process says that it listens on, and takes
// note of its end.
func (n *node) watch(out io.Reader, said chan<- map[string]string) {
	addrs := map[string]string{}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) != 2 || !strings.HasPrefix(f[1], "http://") {
			continue
		}
		addrs[f[0]] = strings.TrimPrefix(f[1], "http://")
		if addrs["front"] != "" && addrs["management"] != "" && addrs["user"] != "" {
			said <- addrs
			break
		}
	}
	_, _ = io.Copy(io.Discard, out)
	_ = n.cmd.Wait() // how it ended stands in its log
	close(n.exited)
}

// awaitReady asks until the process says that it is ready.
func (n *node) awaitReady(ctx context.Context) bool {
	for limit := time.Now().Add(startLimit); time.Now().Before(limit) && ctx.Err() == nil; time.Sleep(time.Millisecond) {
		res, err := http.Get("http://" + n.addrs["front"] + "/health/ready")
		if err != nil {
			continue
		}
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return true
		}
	}
	return false
}

// wait waits for the end of the process, and ends it after a while.
func (n *node) wait() {
	select {
	case <-n.exited:
	case <-time.After(stopLimit):
		_ = n.cmd.Process.Kill()
		<-n.exited
	}
}

// profile writes a processor profile of the process to a file.
func (n *node) profile(ctx context.Context, file string, seconds int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second+drain)
	defer cancel()
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", n.addrs["management"], seconds)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("profile: %s %w", res.Status, err)
	}
	return os.WriteFile(file, body, 0o600)
}
