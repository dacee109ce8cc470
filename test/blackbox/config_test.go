package blackbox_test

import (
	"bufio"
	"encoding/json"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse/test/servers/local"
)

func TestConfig_ABadOneStopsTheStartAndNamesEveryFault(t *testing.T) {
	t.Parallel()
	const canary = "c4n4ry"
	bad := map[string]string{
		"GATEHOUSE_NO_SUCH_NAME":              canary,
		"GATEHOUSE_PROFILE":                   "prod-" + canary,
		"GATEHOUSE_PASSWORD_COST":             "3",
		"GATEHOUSE_DATABASE_URL":              "mysql://u:" + canary + "@localhost/x",
		"GATEHOUSE_REDIS_URL":                 "http://:" + canary + "@localhost",
		"GATEHOUSE_MASTER_KEY":                canary,
		"GATEHOUSE_ADMIN_EMAIL":               "not an address",
		"GATEHOUSE_PUBLIC_URL":                "ftp://example.com",
		"GATEHOUSE_FRONT_ADDR":                "nowhere",
		"GATEHOUSE_TRUSTED_PROXIES":           "300.0.0.0/8",
		"GATEHOUSE_LOG_LEVEL":                 "loud",
		"GATEHOUSE_SMTP_URL":                  "smtp://u:" + canary + "@",
		"GATEHOUSE_ADMIN_PASSWORD":            strings.Repeat(canary, 300),
		"GATEHOUSE_RATE_LIMITS":               "sometimes",
		"GATEHOUSE_BLOB_URL":                  "s3://" + canary,
		"GATEHOUSE_ALLOWED_ORIGINS":           "*",
		"GATEHOUSE_TLS_CERT":                  "/nowhere/" + "cert.pem",
		"GATEHOUSE_MIGRATE_DATABASE_URL_FILE": "/nowhere/" + canary,
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "GATEHOUSE_DATA_DIR=" + t.TempDir()}
	for name, value := range bad {
		env = append(env, name+"="+value)
	}
	r := execute(t, env, "serve")
	if r.code != 2 {
		t.Errorf("exit code %d", r.code)
	}
	if r.took > 2*time.Second {
		t.Errorf("took %v", r.took)
	}
	for name := range bad {
		if !strings.Contains(r.stderr, strings.TrimSuffix(name, "_FILE")) {
			t.Errorf("%s is not named", name)
		}
	}
	if strings.Contains(r.stdout+r.stderr, canary) {
		t.Errorf("a secret is printed:\n%s%s", r.stdout, r.stderr)
	}
}

func TestConfig_TheProductionProfileRefusesWhatWouldWeakenIt(t *testing.T) {
	t.Parallel()
	env := []string{
		"PATH=" + os.Getenv("PATH"), "GATEHOUSE_DATA_DIR=" + t.TempDir(), "GATEHOUSE_PROFILE=production",
		"GATEHOUSE_RATE_LIMITS=off", "GATEHOUSE_PASSWORD_COST=10", "GATEHOUSE_REDIS_URL=redis://localhost",
		"GATEHOUSE_DATABASE_URL=postgres://u:p@localhost/x?sslmode=disable",
	}
	r := execute(t, env, "serve")
	if r.code != 2 || r.took > 2*time.Second {
		t.Errorf("exit code %d after %v", r.code, r.took)
	}
	for _, name := range []string{
		"PUBLIC_URL", "TLS_CERT", "TLS_KEY", "MASTER_KEY", "PASSWORD_COST", "RATE_LIMITS", "DATABASE_URL", "REDIS_URL",
	} {
		if !strings.Contains(r.stderr, "GATEHOUSE_"+name) {
			t.Errorf("GATEHOUSE_%s is not named:\n%s", name, r.stderr)
		}
	}
}

func TestConfig_AWrongListOfServicesIsAUsageError(t *testing.T) {
	t.Parallel()
	i := install(t, embedded)
	if r := i.command("serve", "--services", "auth,frontend"); r.code != 2 || !strings.Contains(r.stderr, "frontend") {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
}

func TestConfig_AnotherMasterKeyIsRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	i := install(t, production)
	i.start().kill()
	other := "GATEHOUSE_MASTER_KEY=9Jt4mXw0Q2h7VbT5sYd8LrN1cGf4JuE6aHoKiMxPqAA="
	n := launch(t, i.environment(i.data("b"), []string{other}))
	code, ok := n.stopped(5 * time.Second)
	if !ok || code == 0 {
		t.Errorf("ended: %v with exit code %d", ok, code)
	}
	if text := n.stderr.String(); !strings.Contains(text, "master key") {
		t.Errorf("the reason is not told: %s", text)
	}
}

func TestConfig_AnOldSchemaIsRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	i := newInstallation(t, production, []string{
		"GATEHOUSE_DATABASE_URL=" + database(t, common.url(t)), "GATEHOUSE_MASTER_KEY=" + masterKey,
	})
	n := launch(t, i.environment(i.data("a"), nil))
	code, ok := n.stopped(5 * time.Second)
	if text := n.stderr.String(); !ok || code == 0 || !strings.Contains(text, "migrate") {
		t.Errorf("ended: %v with exit code %d: %s", ok, code, text)
	}
}

// TestLogs_HoldNoSecretsAndNoPersonalData does the main job with canaries in
// every secret and personal field, and looks for them in all that is printed.
func TestLogs_HoldNoSecretsAndNoPersonalData(t *testing.T) {
	t.Parallel()
	bothStacks(t, func(t *testing.T, stack string) {
		const email, first, last, phone, agent = "canary.person@example.com", "Canaryfirst", "Canarylast", "+441234567890", "Canary-Agent"
		canaries := []string{adminPassword, personPass, masterKey, email, first, last, phone, agent, "canary-typed", adminEmail}
		settings := []string{"GATEHOUSE_LOG_LEVEL=debug", "GATEHOUSE_LOG_FORMAT=json"}
		i := canaryInstallation(t, stack, settings, &canaries)
		n := i.start()
		c := n.connect()
		canaries = append(canaries, c.ip)
		s := c.signIn(adminEmail, adminPassword)
		admin := c.as(s.AccessToken)
		canaries = append(canaries, s.AccessToken, s.RefreshToken, s.CSRFToken)
		admin.send("POST", "/users", map[string]any{
			"email": email, "password": personPass, "first_name": first, "last_name": last, "phone": phone, "email_verified": true,
		}, "User-Agent: "+agent, "Idempotency-Key: canary-typed-key").want(201)
		p := c.signIn(email, personPass)
		canaries = append(canaries, p.AccessToken, p.RefreshToken)
		person := c.as(p.AccessToken)
		person.send("PUT", "/users/profile", map[string]string{"first_name": first + "x", "phone": phone}).want(200)
		admin.send("GET", "/users?q="+url.QueryEscape(first), nil).want(200)
		c.send("POST", "/auth/login", credentials(email, "canary-typed wrong password")).want(401)
		c.send("POST", "/auth/login", credentials("canary-typed@example.com", "canary-typed wrong")).want(401)
		c.send("POST", "/auth/refresh", renew("canary-typed")).want(401)
		c.send("POST", "/auth/verify-email", `{"token":"canary-typed"}`).want(400)
		c.as("canary-typed").send("GET", "/users/profile?canary-typed=canary-typed", nil)
		c.send("POST", "/auth/login", `{"email":"canary-typed@example.com","password":"canary-typed`).want(400)
		c.send("GET", "/canary-typed/%0a{\"level\":\"FAKE\"}", nil).want(404)
		person.send("POST", "/auth/logout", nil).want(204)

		metrics := string(c.send("GET", "/health/metrics", nil).want(200).body)
		n.terminate()
		if _, ok := n.stopped(30 * time.Second); !ok {
			t.Fatal("does not end")
		}
		for where, text := range map[string]string{"stdout": n.stdout.String(), "the log": n.stderr.String(), "metrics": metrics} {
			for _, canary := range canaries {
				if k := strings.Index(text, canary); k >= 0 {
					t.Errorf("%s holds %q: …%s…", where, canary, text[max(0, k-200):min(len(text), k+80)])
				}
			}
		}
		requireJSONLines(t, n.stderr.String())
	})
}

// canaryInstallation has passwords in every address.
func canaryInstallation(t *testing.T, stack string, settings []string, canaries *[]string) *installation {
	t.Helper()
	if stack == embedded {
		return install(t, embedded, settings...)
	}
	const database, store = "canary-database-pass", "canary-redis-pass"
	*canaries = append(*canaries, database, store)
	redis, err := local.StartRedis(t.TempDir(), local.RedisOptions{Args: []string{"--requirepass", store}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Kill)
	server, err := url.Parse(common.url(t))
	if err != nil {
		t.Fatal(err)
	}
	server.User = url.UserPassword(server.User.Username(), database)
	return installOn(t, server.String(), redis, append(settings, "GATEHOUSE_REDIS_URL=redis://:"+store+"@"+redis.Addr())...)
}

// requireJSONLines holds the log to one object a line (AUD-4).
func requireJSONLines(t *testing.T, log string) {
	t.Helper()
	requests := 0
	lines := bufio.NewScanner(strings.NewReader(log))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line map[string]any
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || line["level"] == "FAKE" {
			t.Errorf("not a line of the log: %s", lines.Bytes())
			continue
		}
		if line["time"] == nil || line["level"] == nil || line["msg"] == nil {
			t.Errorf("an incomplete line: %s", lines.Bytes())
		}
		if line["request_id"] != nil {
			requests++
		}
	}
	if requests == 0 {
		t.Error("no line has a request id")
	}
}
