package production_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gatehouse/test/binary"
	"gatehouse/test/servers/local"
)

var program string

func TestMain(m *testing.M) { os.Exit(binary.Main(m, &program)) }

const (
	adminEmail    = "ada@example.com"
	adminPassword = "a lantern under nine rivers"

	ownerPassword = "owner-of-the-tables"
	appPassword   = "works-with-the-tables"
	redisPassword = "keeps-what-may-be-lost"
)

// stack is an installation with servers of its own.
type stack struct {
	tb   testing.TB
	dir  string
	ca   *authority
	pg   *local.Postgres
	host string // of the front, as the public URL has it
	env  []string
}

func newStack(tb testing.TB) *stack {
	tb.Helper()
	s := &stack{tb: tb, dir: tb.TempDir()}
	s.ca = newAuthority(tb)
	s.write("ca.pem", s.ca.pem, 0o644)
	s.certificate("gatehouse")
	s.postgres()
	redis := s.redis()
	s.host = net.JoinHostPort("localhost", freePort(tb))
	s.env = []string{
		"PATH=" + os.Getenv("PATH"), "SSL_CERT_FILE=" + s.path("ca.pem"),
		"GATEHOUSE_PROFILE=production", "GATEHOUSE_DATA_DIR=" + s.path("data"),
		"GATEHOUSE_PUBLIC_URL=https://" + s.host, "GATEHOUSE_FRONT_ADDR=" + strings.Replace(s.host, "localhost", "127.0.0.1", 1),
		"GATEHOUSE_AUTH_ADDR=127.0.0.1:0", "GATEHOUSE_USER_ADDR=127.0.0.1:0", "GATEHOUSE_ADMIN_ADDR=127.0.0.1:0",
		"GATEHOUSE_MANAGEMENT_ADDR=127.0.0.1:0",
		"GATEHOUSE_TLS_CERT=" + s.path("gatehouse.pem"), "GATEHOUSE_TLS_KEY=" + s.path("gatehouse.key"),
		"GATEHOUSE_DATABASE_URL_FILE=" + s.secret("database-url", s.url("gatehouse", appPassword)),
		"GATEHOUSE_MIGRATE_DATABASE_URL_FILE=" + s.secret("owner-url", s.url("gatehouse_owner", ownerPassword)),
		"GATEHOUSE_REDIS_URL_FILE=" + s.secret("redis-url", redis),
		"GATEHOUSE_MASTER_KEY_FILE=" + s.secret("master-key", newMasterKey()),
		"GATEHOUSE_ADMIN_EMAIL=" + adminEmail, "GATEHOUSE_ADMIN_PASSWORD_FILE=" + s.secret("admin-password", adminPassword),
	}
	return s
}

func (s *stack) path(name string) string { return filepath.Join(s.dir, name) }

func (s *stack) write(name string, content []byte, mode os.FileMode) {
	s.tb.Helper()
	if err := os.WriteFile(s.path(name), content, mode); err != nil {
		s.tb.Fatal(err)
	}
}

// secret writes a file that only its owner reads, and returns its path.
func (s *stack) secret(name, content string) string {
	s.tb.Helper()
	s.write(name, []byte(content+"\n"), 0o400)
	return s.path(name)
}

// certificate writes name.pem and name.key.
func (s *stack) certificate(name string) {
	s.tb.Helper()
	cert, key := s.ca.issue(s.tb)
	s.write(name+".pem", cert, 0o644)
	s.write(name+".key", key, 0o600)
}

// postgres starts a server that speaks TLS only and asks everyone but its
// superuser for a password, with both roles and their database.
func (s *stack) postgres() {
	s.tb.Helper()
	s.certificate("postgres")
	s.write("hba.conf", []byte("hostssl all postgres 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"), 0o644)
	if os.Geteuid() == 0 {
		s.giveToPostgres("postgres.key")
	}
	pg, err := local.StartPostgres(s.path("postgres"), local.PostgresOptions{Settings: map[string]string{
		"ssl": "on", "ssl_cert_file": s.path("postgres.pem"), "ssl_key_file": s.path("postgres.key"),
		"ssl_min_protocol_version": "TLSv1.3", "hba_file": s.path("hba.conf"),
	}})
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(pg.Kill)
	s.pg = pg
	for _, sql := range []string{
		"CREATE ROLE gatehouse_owner LOGIN PASSWORD '" + ownerPassword + "'",
		"CREATE ROLE gatehouse LOGIN PASSWORD '" + appPassword + "'",
		"CREATE DATABASE gatehouse OWNER gatehouse_owner",
	} {
		if out, err := s.psql("postgres://postgres@"+pg.Addr()+"/postgres?sslmode=require", sql); err != nil {
			s.tb.Fatalf("%s: %v\n%s", sql, err, out)
		}
	}
}

// giveToPostgres makes the server's own user the owner of a file.
func (s *stack) giveToPostgres(name string) {
	s.tb.Helper()
	u, err := user.Lookup("postgres")
	if err != nil {
		s.tb.Fatal(err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		s.tb.Fatal(err)
	}
	if err := os.Chown(s.path(name), uid, -1); err != nil {
		s.tb.Fatal(err)
	}
}

// url returns the address of the database for a role.
func (s *stack) url(role, password string) string {
	return "postgres://" + role + ":" + password + "@" + s.pg.Addr() + "/gatehouse?sslmode=verify-full&sslrootcert=" + s.path("ca.pem")
}

// psql runs one statement.
func (s *stack) psql(url, sql string) (string, error) {
	s.tb.Helper()
	postgres, err := local.PostgresBin()
	if err != nil {
		s.tb.Fatal(err)
	}
	cmd := exec.CommandContext(s.tb.Context(), filepath.Join(filepath.Dir(postgres), "psql"), "-qAtc", sql, url)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// redis starts a server with a listener for TLS, and returns the URL of that.
func (s *stack) redis() string {
	s.tb.Helper()
	s.certificate("redis")
	port := freePort(s.tb)
	r, err := local.StartRedis(s.path("redis"), local.RedisOptions{Args: []string{
		"--tls-port", port, "--tls-cert-file", s.path("redis.pem"), "--tls-key-file", s.path("redis.key"),
		"--tls-ca-cert-file", s.path("ca.pem"), "--tls-auth-clients", "no", "--requirepass", redisPassword,
	}})
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(r.Kill)
	return "rediss://:" + redisPassword + "@localhost:" + port
}

// command runs the program to its end and returns what it printed.
func (s *stack) command(args ...string) (string, error) {
	s.tb.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(s.tb.Context()), program, args...)
	cmd.Dir, cmd.Env = s.dir, s.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func newMasterKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return base64.StdEncoding.EncodeToString(key)
}

// freePort returns a port that nothing listens on right now.
func freePort(tb testing.TB) string {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	return port
}
