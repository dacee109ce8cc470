package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/config"
)

// result is what one run of the program did.
type result struct {
	code           int
	stdout, stderr string
}

// gatehouse runs the program in this process.
func gatehouse(tb testing.TB, environ []string, args ...string) result {
	tb.Helper()
	var stdout, stderr bytes.Buffer
	code := run(tb.Context(), args, &env{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Environ: environ})
	return result{code, stdout.String(), stderr.String()}
}

func mustWrite(tb testing.TB, name, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func TestCommands(t *testing.T) {
	t.Parallel()
	yaml := mustWrite(t, "gatehouse.yaml", "password_cost: 13\nlog_level: warn\n")
	tests := map[string]struct {
		environ        []string
		args           string
		code           int
		stdout, stderr string // what each must contain; empty: nothing at all
	}{
		"no command":            {args: "", code: 2, stderr: "expected one of"},
		"unknown command":       {args: "fly", code: 2, stderr: "try --help"},
		"unknown flag":          {args: "version --fast", code: 2, stderr: "unknown flag --fast"},
		"wrong output":          {args: "version --output xml", code: 2, stderr: "--output must be one of"},
		"help":                  {args: "--help", stdout: "Commands:"},
		"help of a group":       {args: "config --help", stdout: "config check"},
		"help of a command":     {args: "config print --help", stdout: "--database-url-file=FILE"},
		"help of health":        {args: "health --help", stdout: "--service="},
		"help of hash":          {args: "hash calibrate --help", stdout: "--output="},
		"version":               {args: "version", stdout: "gatehouse "},
		"version as JSON":       {args: "version --output json", stdout: `"go": "go1.`},
		"check":                 {args: "config check", stdout: "the configuration is valid\n"},
		"check warns":           {environ: []string{"GATEHOUSE_RATE_LIMITS=off"}, args: "config check", stdout: "valid", stderr: "warning: rate limits are off"},
		"check fails":           {environ: []string{"GATEHOUSE_PROFILE=production"}, args: "config check", code: 2, stderr: "\n  GATEHOUSE_TLS_KEY: is required in the production profile\n"},
		"check fails as JSON":   {environ: []string{"GATEHOUSE_NOPE=1"}, args: "config check --output=json", code: 2, stdout: `"name": "GATEHOUSE_NOPE"`},
		"flag is checked":       {args: "config check --password-cost=3", code: 2, stderr: "GATEHOUSE_PASSWORD_COST (flag --password-cost): must be a whole number from 10 to 14"},
		"print":                 {environ: []string{"GATEHOUSE_LOG_LEVEL=debug"}, args: "config print --config " + yaml, stdout: "log_level: debug # environment GATEHOUSE_LOG_LEVEL\n"},
		"print from the file":   {args: "config print --config " + yaml, stdout: "password_cost: \"13\" # file gatehouse.yaml:1\n"},
		"print as JSON":         {args: "config print --output json --log-format text", stdout: `"source": "flag --log-format"`},
		"print fails":           {environ: []string{"GATEHOUSE_BLOB_URL=s3://b"}, args: "config print", code: 2, stderr: "is not supported by this version"},
		"health of nobody":      {args: "health --front-addr 127.0.0.1:1", code: 1, stdout: "unreachable"},
		"health without config": {environ: []string{"GATEHOUSE_NOPE=1"}, args: "health", code: 2, stderr: "GATEHOUSE_NOPE"},
		"health of management":  {args: "health --service management", code: 1, stdout: "GATEHOUSE_MANAGEMENT_ADDR is not set"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := gatehouse(t, tt.environ, strings.Fields(tt.args)...)
			if r.code != tt.code {
				t.Errorf("exit code %d, want %d\n%s%s", r.code, tt.code, r.stdout, r.stderr)
			}
			for _, stream := range []struct{ name, got, want string }{{"output", r.stdout, tt.stdout}, {"error", r.stderr, tt.stderr}} {
				if !strings.Contains(stream.got, stream.want) || (stream.want == "" && stream.got != "") {
					t.Errorf("standard %s is %q, want %q", stream.name, stream.got, stream.want)
				}
			}
		})
	}
}

func TestConfigFlags_CoverEveryOption(t *testing.T) {
	t.Parallel()
	help := gatehouse(t, nil, "config", "check", "--help").stdout
	for _, o := range config.Options() {
		if got := strings.Contains(help, "--"+o.Flag+"="); got != o.HasFlag {
			t.Errorf("--%s: %v, want %v", o.Flag, got, o.HasFlag)
		}
		if o.Secret && !strings.Contains(help, "--"+o.Flag+"-file=") {
			t.Errorf("no --%s-file", o.Flag)
		}
	}
}

func TestHashCalibrate_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	if code := run(ctx, []string{"hash", "calibrate"}, &env{Stdout: &stdout, Stderr: &stderr}); code != 1 || !strings.Contains(stderr.String(), "canceled") {
		t.Errorf("exit code %d, %s", code, &stderr)
	}
}

func TestVersion_JSONIsOneDocument(t *testing.T) {
	t.Parallel()
	var v version
	if err := json.Unmarshal([]byte(gatehouse(t, nil, "version", "--output", "json").stdout), &v); err != nil || v.Go == "" || v.Platform == "" {
		t.Errorf("%+v, %v", v, err)
	}
}

// ready answers as a server with that status would.
func ready(status int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health/ready" {
			status = http.StatusNotFound
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

func TestHealth(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status int
		body   string
		code   int
		want   string
	}{
		"ready":     {200, `{"status":"ready","checks":{"database":"up","cache":"up"}}`, 0, "ready\n  cache up\n  database up\n"},
		"degraded":  {200, `{"status":"degraded"}`, 0, "degraded\n"},
		"not ready": {503, `{"status":"not_ready"}`, 1, "not_ready\n"},
		"stranger":  {200, `<html>`, 1, "not that of a Gatehouse server"},
		"redirect":  {302, `{}`, 1, "302 Found"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(ready(tt.status, tt.body))
			defer server.Close()
			r := gatehouse(t, []string{"GATEHOUSE_AUTH_ADDR=" + server.Listener.Addr().String()}, "health", "--service", "auth")
			if r.code != tt.code || !strings.Contains(r.stdout, tt.want) {
				t.Errorf("exit code %d, output %q", r.code, r.stdout)
			}
			if r := gatehouse(t, nil, "health", "--url", server.URL+"/", "--output", "json"); r.code != tt.code || !json.Valid([]byte(r.stdout)) {
				t.Errorf("JSON: exit code %d, output %q", r.code, r.stdout)
			}
		})
	}
}

func TestHealth_TrustsOnlyTheConfiguredCertificate(t *testing.T) {
	t.Parallel()
	cert, key := mustPair(t)
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(ready(200, `{"status":"ready"}`))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of the refused handshake
	server.StartTLS()
	defer server.Close()
	environ := []string{
		"GATEHOUSE_TLS_CERT=" + mustWrite(t, "crt", cert), "GATEHOUSE_TLS_KEY=" + mustWrite(t, "key", key),
		"GATEHOUSE_FRONT_ADDR=" + server.Listener.Addr().String(),
	}
	if r := gatehouse(t, environ, "health"); r.code != 0 {
		t.Errorf("own server: exit code %d, %s", r.code, r.stdout)
	}
	other, otherKey := mustPair(t)
	environ[0], environ[1] = "GATEHOUSE_TLS_CERT="+mustWrite(t, "crt", other), "GATEHOUSE_TLS_KEY="+mustWrite(t, "key", otherKey)
	if r := gatehouse(t, environ, "health"); r.code != 1 {
		t.Errorf("stranger: exit code %d, %s", r.code, r.stdout)
	}
}

// mustPair returns a certificate for id.example and its key.
func mustPair(tb testing.TB) (cert, key string) {
	tb.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"id.example"}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, k.Public(), k)
	if err != nil {
		tb.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		tb.Fatal(err)
	}
	block := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", pk)
}
