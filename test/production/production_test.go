package production_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/test/binary"
)

// TestProduction_TheMainJob signs people in with everything that an operator
// must set up in earnest.
func TestProduction_TheMainJob(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	for _, args := range [][]string{{"config", "check"}, {"migrate", "up"}, {"migrate", "status"}} {
		if out, err := s.command(args...); err != nil {
			t.Fatalf("gatehouse %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	node := binary.Serve(t, program, s.dir, s.env)
	if out, err := s.command("health"); err != nil {
		t.Errorf("gatehouse health: %v\n%s", err, out)
	}
	peopleSignIn(t, s)
	listenersAreStrict(t, s)
	applicationRoleIsConfined(t, s)
	if code := node.Stop(); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
	for _, secret := range []string{ownerPassword, appPassword, redisPassword, adminPassword} {
		if strings.Contains(node.Printed()+node.Logged(), secret) {
			t.Error("a secret was printed")
		}
	}
}

func peopleSignIn(t *testing.T, s *stack) {
	t.Helper()
	const email, password = "grace@example.com", "seven bridges to the harbour"
	admin := s.browser()
	admin.signIn(adminEmail, adminPassword)
	var grace struct{ ID string }
	admin.want(http.StatusCreated, "POST", "/users", map[string]any{"email": email, "password": password, "email_verified": true}, &grace)

	person := s.browser()
	person.want(http.StatusForbidden, "POST", "/auth/register", map[string]string{"email": "eve@example.com", "password": password}, nil)
	person.signIn(email, password)
	var profile struct{ Email string }
	person.want(http.StatusOK, "GET", "/users/profile", nil, &profile)
	if profile.Email != email {
		t.Errorf("the profile is of %s", profile.Email)
	}
	person.want(http.StatusOK, "PUT", "/users/profile", map[string]string{"first_name": "Grace", "last_name": "Hopper"}, nil)
	person.want(http.StatusForbidden, "GET", "/users", nil, nil)
	person.remember("POST", "/auth/refresh", nil)

	admin.want(http.StatusOK, "POST", "/admin/users/"+grace.ID+"/roles", map[string]string{"role": "support"}, nil)
	person.want(http.StatusOK, "GET", "/users?q=hopper", nil, nil)
	person.want(http.StatusNoContent, "POST", "/auth/logout", nil, nil)
	person.want(http.StatusUnauthorized, "GET", "/users/profile", nil, nil)

	var proof struct {
		OK      bool
		Entries int
	}
	admin.want(http.StatusOK, "GET", "/admin/audit-logs/verify", nil, &proof)
	if !proof.OK {
		t.Error("the log is not whole")
	}
}

func listenersAreStrict(t *testing.T, s *stack) {
	t.Helper()
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	old := &tls.Config{RootCAs: s.ca.pool(), MaxVersion: tls.VersionTLS12}
	if conn, err := tls.DialWithDialer(dialer, "tcp", s.host, old); err == nil {
		conn.Close()
		t.Error("TLS 1.2 is spoken")
	}
	stranger := s.browser()
	stranger.base = strings.Replace(stranger.base, "localhost", "127.0.0.1", 1)
	stranger.want(http.StatusMisdirectedRequest, "GET", "/users/profile", nil, nil)
	stranger = s.browser()
	stranger.want(http.StatusNotFound, "GET", "/health/metrics", nil, nil)
}

func applicationRoleIsConfined(t *testing.T, s *stack) {
	t.Helper()
	app := s.url("gatehouse", appPassword)
	if out, err := s.psql(app, "SELECT count(*) > 0 FROM audit_logs"); err != nil || out != "t" {
		t.Errorf("reading the log: %v %s", err, out)
	}
	for _, sql := range []string{
		"UPDATE audit_logs SET action = 'user.created'", "DELETE FROM audit_seals", "TRUNCATE audit_logs",
		"DELETE FROM audit_heads", "DROP TABLE users", "CREATE TABLE mine (id INT)", "DELETE FROM schema_migrations",
	} {
		if out, err := s.psql(app, sql); err == nil {
			t.Errorf("the application's role may %s\n%s", sql, out)
		}
	}
	plain := strings.Replace(app, "sslmode=verify-full", "sslmode=disable", 1)
	if _, err := s.psql(plain, "SELECT 1"); err == nil {
		t.Error("PostgreSQL of the test speaks without TLS")
	}
}
