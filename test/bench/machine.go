package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"gatehouse/test/servers/local"
)

// machine is what the figures were measured on.
type machine struct {
	Cores           int
	Model, Memory   string
	Kernel          string
	Postgres, Redis string
	Commit          string
}

func readMachine(ctx context.Context) machine {
	m := machine{Cores: runtime.NumCPU(), Model: runtime.GOARCH, Memory: "unknown", Kernel: output(ctx, "uname", "-sr")}
	if v := procValue("/proc/cpuinfo", "model name"); v != "" {
		m.Model = v
	}
	if kb, err := strconv.Atoi(strings.TrimSuffix(procValue("/proc/meminfo", "MemTotal"), " kB")); err == nil {
		m.Memory = fmt.Sprintf("%.0f GiB", float64(kb)/(1<<20))
	}
	if bin, err := local.PostgresBin(); err == nil {
		m.Postgres = strings.TrimPrefix(output(ctx, bin, "--version"), "postgres (PostgreSQL) ")
	}
	if bin, err := local.RedisBin(); err == nil {
		if _, v, ok := strings.Cut(output(ctx, bin, "--version"), "v="); ok {
			m.Redis, _, _ = strings.Cut(v, " ")
		}
	}
	m.Commit = output(ctx, "git", "rev-parse", "--short=12", "HEAD")
	if m.Commit == "" {
		m.Commit = "unknown"
	} else if output(ctx, "git", "status", "--porcelain") != "" {
		m.Commit += " with changes that are not committed"
	}
	return m
}

// output returns what a command prints, or "" where it fails.
func output(ctx context.Context, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// procValue returns the value behind the first line "name: value" of a file in
// /proc, or "".
func procValue(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// resident returns the resident memory of a process in MiB.
func resident(pid int) float64 {
	kb, _ := strconv.ParseFloat(strings.TrimSuffix(procValue(fmt.Sprintf("/proc/%d/status", pid), "VmRSS"), " kB"), 64)
	return kb / (1 << 10)
}

// ticks is processor time by who used it, in ticks of the kernel.
type ticks struct {
	busy, steal                      int
	server, database, redis, clients int
}

// shares is how much of all cores each used during a sample, 0 to 1. What is
// elsewhere ran beside the measurement and should be close to nothing.
type shares struct{ server, database, redis, clients, elsewhere float64 }

// since returns the shares from the earlier reading t0 to t, over seconds.
func (t ticks) since(t0 ticks, seconds float64) shares {
	const perSecond = 100 // USER_HZ, on every Linux that Go runs on
	all := perSecond * seconds * float64(runtime.NumCPU())
	s := shares{
		server: float64(t.server-t0.server) / all, database: float64(t.database-t0.database) / all,
		redis: float64(t.redis-t0.redis) / all, clients: float64(t.clients-t0.clients) / all,
	}
	used := float64(t.busy+t.steal-t0.busy-t0.steal) / all
	s.elsewhere = max(0, used-s.server-s.database-s.redis-s.clients)
	return s
}

// readTicks adds up the processor time of this process and of all that it
// started.
func readTicks() ticks {
	var t ticks
	if stat, err := os.ReadFile("/proc/stat"); err == nil {
		f := bytes.Fields(stat[:bytes.IndexByte(stat, '\n')])
		for _, i := range []int{1, 2, 3, 6, 7} { // user, nice, system, irq, softirq
			t.busy += number(f[i])
		}
		t.steal = number(f[8])
	}
	type process struct {
		name         string
		parent, used int
	}
	all := map[int]process{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		open, shut := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
		f := bytes.Fields(stat[shut+1:])
		all[number(stat[:open])] = process{string(stat[open+1 : shut]), number(f[1]), number(f[11]) + number(f[12])}
	}
	self := os.Getpid()
	for pid, p := range all {
		ours := pid == self
		for up := p.parent; up > 1 && !ours; up = all[up].parent {
			ours = up == self
		}
		switch {
		case !ours:
		case pid == self:
			t.clients += p.used
		case p.name == "postgres":
			t.database += p.used
		case p.name == "redis-server":
			t.redis += p.used
		default:
			t.server += p.used
		}
	}
	return t
}

func number(text []byte) int {
	n, _ := strconv.Atoi(string(bytes.TrimSpace(text)))
	return n
}
