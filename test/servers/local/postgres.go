package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// PostgresOptions say how a PostgreSQL server runs. The zero value is a fast
// server on a free port that doesn't outlive a crash of the machine.
type PostgresOptions struct {
	Bin      string            // the program postgres; empty: PostgresBin()
	Port     int               // 0: a free one
	Durable  bool              // fsync and full page writes on, as in production
	Settings map[string]string // further server settings, for example ssl
}

// Postgres is a PostgreSQL server with its data in one directory. Its methods
// are not safe for concurrent use.
type Postgres struct {
	bin, dir string
	port     int
	settings []string
	cred     *syscall.Credential
	proc     *process
}

// PostgresBin returns the path of the program postgres: the newest version
// that Debian's packages installed, or the one in PATH.
func PostgresBin() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	if len(found) > 0 {
		return slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) }), nil
	}
	path, err := exec.LookPath("postgres")
	if err != nil {
		return "", fmt.Errorf("PostgreSQL is %w: no postgres in /usr/lib/postgresql/*/bin nor in PATH; on Debian: apt-get install postgresql", ErrNotInstalled)
	}
	return path, nil
}

// StartPostgres starts a server and returns when it accepts connections. On
// the first start in dir it makes a cluster there whose superuser "postgres"
// needs no password from loopback.
//
// PostgreSQL refuses to run as root: for root, dir and the server belong to
// the system user "postgres", and parents of dir that lie inside the
// temporary directory are opened for passing through.
func StartPostgres(dir string, o PostgresOptions) (*Postgres, error) {
	p := &Postgres{bin: o.Bin, dir: dir, port: o.Port, settings: postgresSettings(o)}
	var err error
	if p.bin == "" {
		if p.bin, err = PostgresBin(); err != nil {
			return nil, err
		}
	}
	if p.port == 0 {
		if p.port, err = freePort(); err != nil {
			return nil, err
		}
	}
	if err := p.prepare(); err != nil {
		return nil, err
	}
	if err := p.Start(); err != nil {
		return nil, err
	}
	return p, nil
}

func postgresSettings(o PostgresOptions) []string {
	s := []string{
		"max_connections=300", "shared_buffers=128MB", "unix_socket_directories=",
		"listen_addresses=127.0.0.1", "log_min_messages=warning", "timezone=UTC",
	}
	if !o.Durable {
		s = append(s, "fsync=off", "synchronous_commit=off", "full_page_writes=off")
	}
	for name, value := range o.Settings {
		s = append(s, name+"="+value)
	}
	return s
}

// prepare makes the directory and, if it is new, the cluster in it.
func (p *Postgres) prepare() error {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	if os.Geteuid() == 0 {
		if err := p.dropPrivileges(); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(p.data(), "PG_VERSION")); err == nil {
		return nil
	}
	initdb := exec.CommandContext(context.Background(), filepath.Join(filepath.Dir(p.bin), "initdb"),
		"--pgdata", p.data(), "--username", "postgres", "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--no-instructions")
	initdb.Dir = p.dir
	initdb.SysProcAttr = processAttributes(p.cred)
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// dropPrivileges gives the directory and the coming server to the user
// "postgres".
func (p *Postgres) dropPrivileges() error {
	u, err := user.Lookup("postgres")
	if err != nil {
		return fmt.Errorf("PostgreSQL doesn't run as root, and there is no user postgres to run it as: %w", err)
	}
	uid, errU := strconv.ParseUint(u.Uid, 10, 32)
	gid, errG := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(errU, errG); err != nil {
		return fmt.Errorf("read ids of user postgres: %w", err)
	}
	p.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	if err := os.Chown(p.dir, int(uid), int(gid)); err != nil {
		return fmt.Errorf("give away data directory: %w", err)
	}
	temp := filepath.Clean(os.TempDir()) + string(filepath.Separator)
	for parent := filepath.Dir(p.dir); strings.HasPrefix(parent, temp); parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		if err != nil {
			return fmt.Errorf("open parent directory: %w", err)
		}
		if err := os.Chmod(parent, info.Mode().Perm()|0o011); err != nil {
			return fmt.Errorf("open parent directory: %w", err)
		}
	}
	return nil
}

// Start starts the server again, on the same port and data, after Stop or
// Kill. It does nothing while the server runs.
func (p *Postgres) Start() error {
	if p.proc != nil && p.proc.running() {
		return nil
	}
	args := []string{"-D", p.data(), "-p", strconv.Itoa(p.port)}
	for _, s := range p.settings {
		args = append(args, "-c", s)
	}
	proc, err := startProcess(filepath.Join(p.dir, "postgres.log"), p.cred, p.ready, p.bin, args...)
	if err != nil {
		return err
	}
	p.proc = proc
	return nil
}

// ready reads the status that the server keeps in its pid file, as pg_ctl
// does. The file of a server that was killed still says "ready", under
// another pid.
func (p *Postgres) ready(pid int) bool {
	const statusLine = 7
	file, err := os.ReadFile(filepath.Join(p.data(), "postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(string(file), "\n")
	return len(lines) > statusLine && lines[0] == strconv.Itoa(pid) && strings.TrimSpace(lines[statusLine]) == "ready"
}

// Stop ends the server in order: open transactions are rolled back, what was
// committed is on disk.
func (p *Postgres) Stop() error { return p.proc.stop(syscall.SIGINT) }

// Kill ends every process of the server at once, as the end of its machine
// would.
func (p *Postgres) Kill() { p.proc.kill() }

// Pause freezes the server: it keeps its connections and answers nothing.
func (p *Postgres) Pause() { p.proc.signalAll(syscall.SIGSTOP) }

// Resume ends Pause.
func (p *Postgres) Resume() { p.proc.signalAll(syscall.SIGCONT) }

// Addr returns host and port.
func (p *Postgres) Addr() string { return addr(p.port) }

// URL returns the address of a database for the superuser.
func (p *Postgres) URL(database string) string {
	return "postgres://postgres@" + p.Addr() + "/" + database + "?sslmode=disable"
}

func (p *Postgres) data() string { return filepath.Join(p.dir, "data") }
