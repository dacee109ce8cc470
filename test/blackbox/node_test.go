package blackbox_test

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gatehouse/test/servers/local"
)

const (
	adminEmail    = "root@example.com"
	adminPassword = "correct horse battery staple 42"
	personPass    = "a rather long pass phrase 17"
	masterKey     = "p3Zk9mXw0Q2h7VbT5sYd8LrN1cGf4JuE6aHoKiMxPqA="

	embedded   = "embedded"
	production = "production"

	startLimit = 30 * time.Second
)

// bothStacks runs fn once on each stack.
func bothStacks(t *testing.T, fn func(t *testing.T, stack string)) {
	t.Helper()
	for _, stack := range []string{embedded, production} {
		t.Run(stack, func(t *testing.T) {
			t.Parallel()
			fn(t, stack)
		})
	}
}

// installation is what the nodes of one Gatehouse share.
type installation struct {
	tb    testing.TB
	stack string
	dir   string
	env   []string
	redis *local.Redis // nil on the embedded stack
}

// install makes an empty installation whose first administrator comes from the
// environment. Settings are "NAME=value"; later ones win.
func install(tb testing.TB, stack string, settings ...string) *installation {
	tb.Helper()
	if stack == embedded {
		return newInstallation(tb, stack, settings)
	}
	redis, err := local.StartRedis(tb.TempDir(), local.RedisOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(redis.Kill)
	return installOn(tb, common.url(tb), redis, settings...)
}

// installOn is install on the production stack with given servers.
func installOn(tb testing.TB, postgres string, redis *local.Redis, settings ...string) *installation {
	tb.Helper()
	i := newInstallation(tb, production, append([]string{
		"GATEHOUSE_DATABASE_URL=" + database(tb, postgres),
		"GATEHOUSE_REDIS_URL=" + redis.URL(),
		"GATEHOUSE_MASTER_KEY=" + masterKey,
	}, settings...))
	i.redis = redis
	if r := i.command("migrate", "up"); r.code != 0 {
		tb.Fatalf("migrate: %s%s", r.stdout, r.stderr)
	}
	return i
}

func newInstallation(tb testing.TB, stack string, settings []string) *installation {
	tb.Helper()
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"),
		"GATEHOUSE_FRONT_ADDR=127.0.0.1:0", "GATEHOUSE_AUTH_ADDR=127.0.0.1:0",
		"GATEHOUSE_USER_ADDR=127.0.0.1:0", "GATEHOUSE_ADMIN_ADDR=127.0.0.1:0",
		"GATEHOUSE_PASSWORD_COST=10", "GATEHOUSE_TRUSTED_PROXIES=127.0.0.1/32",
		"GATEHOUSE_ADMIN_EMAIL=" + adminEmail, "GATEHOUSE_ADMIN_PASSWORD=" + adminPassword,
	}
	return &installation{tb: tb, stack: stack, dir: tb.TempDir(), env: append(env, settings...)}
}

var databases atomic.Int64

// database makes an empty database and returns its URL.
func database(tb testing.TB, server string) string {
	tb.Helper()
	name := "blackbox_" + strconv.Itoa(os.Getpid()) + "_" + strconv.FormatInt(databases.Add(1), 10)
	psql(tb, server, "CREATE DATABASE "+name)
	u, err := url.Parse(server)
	if err != nil {
		tb.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func psql(tb testing.TB, server, sql string) string {
	tb.Helper()
	postgres, err := local.PostgresBin()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(tb.Context(), filepath.Join(filepath.Dir(postgres), "psql"), "-qAtc", sql, server)
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("%s: %v\n%s", sql, err, out)
	}
	return strings.TrimSpace(string(out))
}

// environment returns the settings of a node with its files in dir.
func (i *installation) environment(dir string, settings []string) []string {
	return append(append(slices.Clone(i.env), "GATEHOUSE_DATA_DIR="+dir), settings...)
}

// result is what a command of the program did.
type result struct {
	code           int
	stdout, stderr string
	took           time.Duration
}

// command runs a command beside the nodes, in the folder of the first one.
func (i *installation) command(args ...string) result {
	i.tb.Helper()
	return execute(i.tb, i.environment(i.data("a"), nil), args...)
}

// data returns the data folder of a node. The embedded stack has one.
func (i *installation) data(name string) string {
	if i.stack == embedded {
		name = "a"
	}
	return filepath.Join(i.dir, name)
}

func execute(tb testing.TB, env []string, args ...string) result {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), startLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = env
	cmd.SysProcAttr = tied()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		tb.Fatalf("gatehouse %s: %v", strings.Join(args, " "), err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String(), time.Since(began)}
}

// node is a running process of the program.
type node struct {
	tb             testing.TB
	cmd            *exec.Cmd
	urls           map[string]string // by listener
	url            string            // of the front
	stdout, stderr *output
	exited         chan struct{}
	startup        time.Duration // until it said that it is ready
	dir            string
}

// start starts the node "a" and waits until it is ready.
func (i *installation) start(settings ...string) *node {
	i.tb.Helper()
	return i.startNode("a", settings)
}

func (i *installation) startNode(name string, settings []string, args ...string) *node {
	i.tb.Helper()
	n := launch(i.tb, i.environment(i.data(name), settings), args...)
	n.dir = i.data(name)
	if err := n.await(); err != nil {
		i.tb.Fatal(err)
	}
	return n
}

// pair starts two nodes.
func (i *installation) pair() (a, b *node) {
	i.tb.Helper()
	return i.startNode("a", nil), i.startNode("b", nil)
}

func launch(tb testing.TB, env []string, args ...string) *node {
	tb.Helper()
	n := &node{tb: tb, stdout: &output{}, stderr: &output{}, exited: make(chan struct{})}
	n.cmd = exec.CommandContext(context.Background(), binary, append([]string{"serve"}, args...)...)
	n.cmd.Env, n.cmd.SysProcAttr = env, tied()
	n.cmd.Stdout, n.cmd.Stderr = n.stdout, n.stderr
	if err := n.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		_ = n.cmd.Wait()
		close(n.exited)
	}()
	tb.Cleanup(func() {
		n.kill()
		log := n.stderr.String()
		if strings.Contains(log, "panic") || strings.Contains(log, "goroutine ") {
			tb.Errorf("the program panicked")
		}
		if tb.Failed() {
			tb.Logf("stdout:\n%s\nstderr (its end):\n%s", n.stdout.String(), log[max(0, len(log)-4000):])
		}
	})
	return n
}

var greeting = regexp.MustCompile(`(?m)^ +([a-z]+) +(https?://\S+)$`)

// await waits for the greeting and reads the addresses from it.
func (n *node) await() error {
	began := time.Now()
	for time.Since(began) < startLimit {
		if text := n.stdout.String(); strings.Contains(text, "ready in") && strings.HasSuffix(text, "\n") {
			n.startup = time.Since(began)
			n.urls = map[string]string{}
			for _, m := range greeting.FindAllStringSubmatch(text, -1) {
				n.urls[m[1]] = m[2]
			}
			n.url = n.urls["front"]
			return nil
		}
		select {
		case <-n.exited:
			return errors.New("the program ended while starting")
		case <-time.After(2 * time.Millisecond):
		}
	}
	return errors.New("the program is not ready after " + startLimit.String())
}

// kill ends the process at once.
func (n *node) kill() {
	_ = n.cmd.Process.Kill()
	<-n.exited
}

// terminate asks the process to end.
func (n *node) terminate() {
	n.tb.Helper()
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		n.tb.Fatal(err)
	}
}

// stopped waits for the end of the process and returns its exit code.
func (n *node) stopped(limit time.Duration) (code int, ok bool) {
	select {
	case <-n.exited:
		return n.cmd.ProcessState.ExitCode(), true
	case <-time.After(limit):
		return 0, false
	}
}

// output gathers what a process prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
