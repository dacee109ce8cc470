package production_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"testing"
	"time"
)

// browser is a client that keeps cookies and speaks TLS 1.3.
type browser struct {
	tb    testing.TB
	base  string
	http  *http.Client
	token string
	csrf  string
}

func (s *stack) browser() *browser {
	s.tb.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.tb.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.ca.pool(), MinVersion: tls.VersionTLS13}}
	s.tb.Cleanup(transport.CloseIdleConnections)
	return &browser{
		tb: s.tb, base: "https://" + s.host,
		http: &http.Client{Transport: transport, Jar: jar, Timeout: 30 * time.Second},
	}
}

// send returns status and body of the answer.
func (b *browser) send(method, path string, body any) (int, []byte) {
	b.tb.Helper()
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			b.tb.Fatal(err)
		}
		content = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(b.tb.Context(), method, b.base+path, content)
	if err != nil {
		b.tb.Fatal(err)
	}
	req.Header.Set("Origin", b.base)
	req.Header.Set("Content-Type", "application/json")
	if b.token != "" {
		req.Header.Set("Authorization", "Bearer "+b.token)
	}
	if b.csrf != "" {
		req.Header.Set("X-CSRF-Token", b.csrf)
	}
	answer, err := b.http.Do(req)
	if err != nil {
		b.tb.Fatal(err)
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		b.tb.Fatal(err)
	}
	return answer.StatusCode, got
}

// want sends a request, fails the test unless the answer has that status, and
// decodes it into out unless that is nil.
func (b *browser) want(status int, method, path string, body, out any) {
	b.tb.Helper()
	got, content := b.send(method, path, body)
	if got != status {
		b.tb.Fatalf("%s %s: got %d, want %d\n%s", method, path, got, status, content)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(content, out); err != nil {
		b.tb.Fatalf("%s %s: %v\n%s", method, path, err, content)
	}
}

// remember takes over what a sign-in or a refresh answers.
func (b *browser) remember(method, path string, body any) {
	b.tb.Helper()
	b.token = "" // the cookie alone speaks
	var answer struct {
		AccessToken string `json:"access_token"`
		CSRFToken   string `json:"csrf_token"`
	}
	b.want(http.StatusOK, method, path, body, &answer)
	b.token, b.csrf = answer.AccessToken, answer.CSRFToken
}

func (b *browser) signIn(email, password string) {
	b.tb.Helper()
	b.remember(http.MethodPost, "/auth/login", map[string]string{"email": email, "password": password})
}
