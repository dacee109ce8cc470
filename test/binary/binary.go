// Package binary builds the program and runs it as its users do: a process
// with an environment, a folder and a greeting. It is for tests and imports
// nothing of the product.
package binary

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	startLimit = 30 * time.Second
	stopLimit  = 30 * time.Second // DEP-3
)

// Main runs the tests of a package between Build and its clean-up, and returns
// the exit code. Call it from TestMain. *path is the program.
func Main(m *testing.M, path *string) int {
	dir, err := os.MkdirTemp("", "gatehouse-binary-")
	if err == nil {
		defer os.RemoveAll(dir)
		*path, err = Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	return m.Run()
}

// Build builds the program into dir and returns its path.
func Build(dir string) (string, error) {
	path := filepath.Join(dir, "gatehouse")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", path, "gatehouse/cmd/gatehouse")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
}

// Node is a running "gatehouse serve".
type Node struct {
	tb             testing.TB
	cmd            *exec.Cmd
	stdout, stderr output
	exited         chan struct{}
}

// Serve starts the program in dir and returns when it says that it is ready.
// The environment is env alone. The process ends with the test.
func Serve(tb testing.TB, path, dir string, env []string, args ...string) *Node {
	tb.Helper()
	n := &Node{tb: tb, exited: make(chan struct{})}
	n.cmd = exec.CommandContext(context.Background(), path, append([]string{"serve"}, args...)...)
	n.cmd.Dir, n.cmd.Env = dir, env
	n.cmd.Stdout, n.cmd.Stderr = &n.stdout, &n.stderr
	if err := n.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		_ = n.cmd.Wait()
		close(n.exited)
	}()
	tb.Cleanup(func() {
		_ = n.cmd.Process.Kill()
		<-n.exited
		if tb.Failed() {
			tb.Logf("gatehouse serve printed:\n%s%s", n.stdout.String(), n.stderr.String())
		}
	})
	if err := n.await(); err != nil {
		tb.Fatal(err)
	}
	return n
}

// await waits for the greeting.
func (n *Node) await() error {
	for began := time.Now(); time.Since(began) < startLimit; {
		if text := n.stdout.String(); strings.Contains(text, "ready in") && strings.HasSuffix(text, "\n") {
			return nil
		}
		select {
		case <-n.exited:
			return errors.New("the program ended while starting")
		case <-time.After(5 * time.Millisecond):
		}
	}
	return fmt.Errorf("the program is not ready after %s", startLimit)
}

// Printed returns what the program wrote to standard output so far.
func (n *Node) Printed() string { return n.stdout.String() }

// Logged returns what the program wrote to standard error so far.
func (n *Node) Logged() string { return n.stderr.String() }

// URL returns the address that the greeting gives for a listener.
func (n *Node) URL(listener string) string {
	n.tb.Helper()
	line := regexp.MustCompile(`(?m)^ +` + regexp.QuoteMeta(listener) + ` +(https?://\S+)$`)
	found := line.FindStringSubmatch(n.Printed())
	if found == nil {
		n.tb.Fatalf("the greeting names no listener %s:\n%s", listener, n.Printed())
	}
	return found[1]
}

// Stop asks the process to end, waits, and returns its exit code.
func (n *Node) Stop() int {
	n.tb.Helper()
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		n.tb.Fatal(err)
	}
	select {
	case <-n.exited:
	case <-time.After(stopLimit):
		n.tb.Fatalf("the program runs on %s after SIGTERM", stopLimit)
	}
	return n.cmd.ProcessState.ExitCode()
}

// output gathers what a process prints. It is safe for concurrent use.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write never fails.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String returns everything written so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
