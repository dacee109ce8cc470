package blackbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// client is a client program at an address of its own, which it tells through
// the trusted proxy header. It keeps no cookies and follows nothing.
type client struct {
	tb    testing.TB
	base  string
	token string
	ip    string
	http  *http.Client
}

var addresses atomic.Uint32

// connect returns a client of the node's front.
func (n *node) connect() client {
	return connect(n.tb, n.url)
}

func connect(tb testing.TB, base string) client {
	k := addresses.Add(1)
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	tb.Cleanup(transport.CloseIdleConnections)
	return client{
		tb: tb, base: base, ip: netip.AddrFrom4([4]byte{10, byte(k >> 16), byte(k >> 8), byte(k)}).String(),
		http: &http.Client{
			Transport: transport, Timeout: 30 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// as returns the client with an access token.
func (c client) as(token string) client { c.token = token; return c }

// at returns the client at another node.
func (c client) at(n *node) client { c.base = n.url; return c }

// elsewhere returns the client at another address.
func (c client) elsewhere() client {
	c.ip = connect(c.tb, "").ip
	return c
}

// reply is an answer of the program.
type reply struct {
	tb     testing.TB
	what   string
	status int
	header http.Header
	body   []byte
	began  time.Time
	took   time.Duration
}

// send sends a request. A body is JSON text or a value to be encoded; headers
// are "Name: value".
func (c client) send(method, path string, body any, headers ...string) reply {
	c.tb.Helper()
	r, err := c.try(method, path, body, headers...)
	if err != nil {
		c.tb.Fatal(err)
	}
	return r
}

// try is send for any goroutine.
func (c client) try(method, path string, body any, headers ...string) (reply, error) {
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	case io.Reader:
		content = b
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			return reply{}, err
		}
		content = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, c.base+path, content)
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("X-Forwarded-For", c.ip)
	if content != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	return c.roundTrip(req)
}

func (c client) roundTrip(req *http.Request) (reply, error) {
	what := req.Method + " " + req.URL.RequestURI()
	began := time.Now()
	got, err := c.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer got.Body.Close()
	content, err := io.ReadAll(got.Body)
	if err != nil {
		return reply{}, fmt.Errorf("%s: %w", what, err)
	}
	return reply{c.tb, what, got.StatusCode, got.Header, content, began, time.Since(began)}, nil
}

// want fails the test unless the status is the one given.
func (r reply) want(status int) reply {
	r.tb.Helper()
	if r.status != status {
		r.tb.Fatalf("%s: got %d, want %d\n%s", r.what, r.status, status, r.body)
	}
	return r
}

// refused fails the test unless the reply is a problem of that status and code.
func (r reply) refused(status int, code string) {
	r.tb.Helper()
	if r.status != status || r.code() != code {
		r.tb.Errorf("%s: got %d %q, want %d %q\n%s", r.what, r.status, r.code(), status, code, r.body)
	}
}

// into decodes the body.
func (r reply) into(v any) {
	r.tb.Helper()
	if err := json.Unmarshal(r.body, v); err != nil {
		r.tb.Fatalf("%s: %v\n%s", r.what, err, r.body)
	}
}

// code returns the code of a problem, or "".
func (r reply) code() string {
	var p struct{ Code string }
	_ = json.Unmarshal(r.body, &p)
	return p.Code
}

// user is a person as endpoints show them.
type user struct {
	ID            string   `json:"id"`
	Email         string   `json:"email"`
	Username      *string  `json:"username"`
	FirstName     *string  `json:"first_name"`
	LastName      *string  `json:"last_name"`
	EmailVerified bool     `json:"email_verified"`
	AccountStatus string   `json:"account_status"`
	Roles         []string `json:"roles"`
}

// signedIn is the answer to a sign-in or a refresh.
type signedIn struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	CSRFToken    string `json:"csrf_token"`
	SessionID    string `json:"session_id"`
	ExpiresIn    int    `json:"expires_in"`
	User         user   `json:"user"`
}

// signIn signs in as a command-line client does.
func (c client) signIn(email, password string) signedIn {
	c.tb.Helper()
	var s signedIn
	c.elsewhere().send("POST", "/auth/login", credentials(email, password)).want(200).into(&s)
	return s
}

func credentials(email, password string) map[string]string {
	return map[string]string{"email": email, "password": password, "token_delivery": "body"}
}

// admin returns the client signed in as the first administrator.
func (c client) admin() client {
	c.tb.Helper()
	return c.as(c.signIn(adminEmail, adminPassword).AccessToken)
}

// create makes a person who can sign in. The client must be an administrator.
func (c client) create(email string, roles ...string) user {
	c.tb.Helper()
	var u user
	body := map[string]any{"email": email, "password": personPass, "email_verified": true}
	if len(roles) > 0 {
		body["roles"] = roles
	}
	c.send("POST", "/users", body).want(201).into(&u)
	return u
}

// roleID returns the id of a role.
func (c client) roleID(name string) string {
	c.tb.Helper()
	for _, r := range all[struct{ ID, Name string }](c, "/admin/roles", nil) {
		if r.Name == name {
			return r.ID
		}
	}
	c.tb.Fatalf("there is no role %s", name)
	return ""
}

// all reads every page of a list.
func all[T any](c client, path string, query url.Values) []T {
	c.tb.Helper()
	q := url.Values{"limit": {"200"}}
	for k, v := range query {
		q[k] = v
	}
	var list []T
	for {
		var page struct {
			Items      []T     `json:"items"`
			NextCursor *string `json:"next_cursor"`
		}
		c.send("GET", path+"?"+q.Encode(), nil).want(200).into(&page)
		list = append(list, page.Items...)
		if page.NextCursor == nil {
			return list
		}
		q.Set("cursor", *page.NextCursor)
	}
}

// entry is an entry of the log.
type entry struct {
	ID       string
	Position *int64
	Action   string
	Outcome  string
	Target   struct{ Type, ID string }
	Changes  map[string]struct{ From, To any }
}

// logged returns the entries of one action.
func (c client) logged(action string) []entry {
	c.tb.Helper()
	return all[entry](c, "/admin/audit-logs", url.Values{"action": {action}})
}

// eventually polls until ok says yes, and fails the test at the deadline.
func eventually(tb testing.TB, limit time.Duration, what string, ok func() bool) time.Duration {
	tb.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > limit {
			tb.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(began)
}
