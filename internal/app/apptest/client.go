package apptest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"gatehouse/internal/platform/secret"
)

// Caller is a client of the program: nobody, or a person who is signed in. It
// has an address of its own, so that the limits of others do not touch it, also
// not those of programs that share a Redis.
type Caller struct {
	UserID    string
	SessionID string
	Token     string // access token; "": none is sent

	tb      testing.TB
	program *Program
	address string
}

// Reply is what the program answered.
type Reply struct {
	Status int
	Header http.Header
	Text   string

	tb testing.TB
}

// Stranger returns a caller who is nobody.
func (p *Program) Stranger(tb testing.TB) *Caller {
	random := secret.NewKey()
	return &Caller{tb: tb, program: p, address: fmt.Sprintf("2001:db8:%x:%x::1", random[:2], random[2:4])}
}

// SignIn returns a person who just signed in.
func (p *Program) SignIn(tb testing.TB, email, password string) *Caller {
	tb.Helper()
	c := p.Stranger(tb)
	var signed struct {
		AccessToken string `json:"access_token"`
		SessionID   string `json:"session_id"`
		User        struct {
			ID string `json:"id"`
		} `json:"user"`
	}
	c.Post("/auth/login", Object{"email": email, "password": password, "token_delivery": "body"}).Want(http.StatusOK).Into(&signed)
	c.Token, c.SessionID, c.UserID = signed.AccessToken, signed.SessionID, signed.User.ID
	return c
}

// Administrator returns the administrator that the program began with.
func (p *Program) Administrator(tb testing.TB) *Caller {
	tb.Helper()
	return p.SignIn(tb, AdminEmail, AdminPassword)
}

// PersonPassword is the password of everyone that Person makes.
const PersonPassword = "plain hills under a wide sky"

// Person makes a person with the roles, signed in.
func (c *Caller) Person(name string, roles ...string) *Caller {
	c.tb.Helper()
	c.Post("/users", Object{
		"email": name + "@example.com", "username": name, "password": PersonPassword, "email_verified": true,
		"roles": append([]string{}, roles...),
	}).Want(http.StatusCreated)
	return c.program.SignIn(c.tb, name+"@example.com", PersonPassword)
}

// Object is a JSON object.
type Object = map[string]any

// Get reads a path.
func (c *Caller) Get(path string, header ...string) Reply {
	c.tb.Helper()
	return c.Do(http.MethodGet, path, nil, header...)
}

// Post posts a JSON body.
func (c *Caller) Post(path string, body any, header ...string) Reply {
	c.tb.Helper()
	return c.Do(http.MethodPost, path, body, header...)
}

// Do sends a request. A body that is a string is sent as it is, another one as
// JSON. The header follows as "Name: value".
func (c *Caller) Do(method, path string, body any, header ...string) Reply {
	c.tb.Helper()
	var text io.Reader = http.NoBody
	switch b := body.(type) {
	case nil:
	case string:
		text = strings.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			c.tb.Fatal(err)
		}
		text = strings.NewReader(string(encoded))
	}
	req, err := http.NewRequestWithContext(c.tb.Context(), method, c.program.URL+path, text)
	if err != nil {
		c.tb.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", c.address)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	return c.send(req)
}

func (c *Caller) send(req *http.Request) Reply {
	c.tb.Helper()
	res, err := c.program.Client().Do(req)
	if err != nil {
		c.tb.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.tb.Fatal(err)
	}
	return Reply{Status: res.StatusCode, Header: res.Header, Text: string(text), tb: c.tb}
}

// Want fails the test unless the reply has the status.
func (r Reply) Want(status int) Reply {
	r.tb.Helper()
	if r.Status != status {
		r.tb.Fatalf("status %d, want %d: %s", r.Status, status, r.Text)
	}
	return r
}

// Refused fails the test unless the reply is a problem of that status and
// code.
func (r Reply) Refused(status int, code string) Reply {
	r.tb.Helper()
	if got := r.Value("code"); r.Status != status || got != code {
		r.tb.Errorf("%d %v, want %d %s: %s", r.Status, got, status, code, r.Text)
	}
	return r
}

// Into decodes the body.
func (r Reply) Into(v any) {
	r.tb.Helper()
	if err := json.Unmarshal([]byte(r.Text), v); err != nil {
		r.tb.Fatalf("%v: %s", err, r.Text)
	}
}

// Value returns a member of the body, by a path such as "user.id" or
// "items.0.id", or nil.
func (r Reply) Value(path string) any {
	r.tb.Helper()
	var at any
	if json.Unmarshal([]byte(r.Text), &at) != nil {
		return nil
	}
	for name := range strings.SplitSeq(path, ".") {
		switch v := at.(type) {
		case map[string]any:
			at = v[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(v) {
				return nil
			}
			at = v[i]
		default:
			return nil
		}
	}
	return at
}

// At returns the text at a path of the body.
func (r Reply) At(path string) string {
	r.tb.Helper()
	s, ok := r.Value(path).(string)
	if !ok {
		r.tb.Fatalf("no text at %s: %s", path, r.Text)
	}
	return s
}

// Len returns how many items the list at a path of the body has.
func (r Reply) Len(path string) int {
	r.tb.Helper()
	list, ok := r.Value(path).([]any)
	if !ok {
		r.tb.Fatalf("no list at %s: %s", path, r.Text)
	}
	return len(list)
}
