package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// startLimit bounds how long a server may take until it answers. It is long
// because test machines are busy, not because servers are slow.
const startLimit = 30 * time.Second

// stopLimit bounds how long a server may take to stop when asked to.
const stopLimit = 20 * time.Second

// poll is how often a starting server is asked whether it is ready.
const poll = 5 * time.Millisecond

// process is one run of a server program.
type process struct {
	cmd    *exec.Cmd
	log    string
	exited chan struct{} // closed when the program has ended
}

// startProcess starts bin in its own process group with its output appended
// to the file log, and waits until ready says yes.
func startProcess(log string, cred *syscall.Credential, ready func(pid int) bool, bin string, args ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", filepath.Base(bin), err)
	}
	defer out.Close() // the child has its own descriptor

	// The server outlives the call, so it has no context.
	cmd := exec.CommandContext(context.Background(), bin, args...)
	cmd.Dir = filepath.Dir(log)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = processAttributes(cred)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(bin), err)
	}
	p := &process{cmd: cmd, log: log, exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended shows in its log
		close(p.exited)
	}()
	if err := p.await(ready); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

func (p *process) await(ready func(pid int) bool) error {
	deadline := time.NewTimer(startLimit)
	defer deadline.Stop()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended while starting:\n%s", p.name(), tail(p.log))
		case <-deadline.C:
			return fmt.Errorf("%s is not ready after %s:\n%s", p.name(), startLimit, tail(p.log))
		case <-tick.C:
			if ready(p.cmd.Process.Pid) {
				return nil
			}
		}
	}
}

// stop asks the process to end with sig and waits. It kills one that won't.
func (p *process) stop(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name(), err)
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(stopLimit):
		p.kill()
		return fmt.Errorf("%s did not stop within %s and was killed", p.name(), stopLimit)
	}
}

// kill ends the process and its children with SIGKILL and waits. The children
// of PostgreSQL lead process groups of their own, so they are killed one by
// one; the parent is frozen first, so that it forks no more.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGSTOP)
	for _, child := range children(p.cmd.Process.Pid) {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// signalAll sends sig to the process and its children: SIGSTOP makes a server
// that accepts connections and never answers, SIGCONT lets it go on.
func (p *process) signalAll(sig syscall.Signal) {
	_ = p.cmd.Process.Signal(sig)
	for _, child := range children(p.cmd.Process.Pid) {
		_ = syscall.Kill(child, sig)
	}
}

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

func (p *process) name() string { return filepath.Base(p.cmd.Path) }

// children lists the child processes of pid; none where the system doesn't
// tell.
func children(pid int) []int {
	list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	var pids []int
	for field := range bytes.FieldsSeq(list) {
		if n, err := strconv.Atoi(string(field)); err == nil {
			pids = append(pids, n)
		}
	}
	return pids
}

// tail returns the end of a log.
func tail(path string) string {
	const most = 2000
	log, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(log[max(0, len(log)-most):])
}

// freePort returns a loopback port that nothing listens on right now.
func freePort() (int, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// addr returns the loopback address of port.
func addr(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
