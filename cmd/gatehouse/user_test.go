package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/api/userview"
	"gatehouse/internal/app/apptest"
	"gatehouse/internal/audit"
	"gatehouse/internal/identity"
)

func TestUserCreate(t *testing.T) {
	t.Parallel()
	eachStack(t, func(t *testing.T, environ []string) {
		mustRun(t, environ, "user", "create", "--email", "taken@example.com")
		file := mustWrite(t, "password", goodPassword+"\r\n")
		tests := map[string]struct {
			args, stdin string
			code        int
			want        string // in the output, or among the errors
		}{
			"pending":              {args: "--email a@example.com", want: `"account_status": "pending"`},
			"password from stdin":  {args: "--email b@example.com --password-stdin", stdin: goodPassword + "\n", want: `"account_status": "active"`},
			"password from a file": {args: "--email c@example.com --password-file " + file, want: `"account_status": "active"`},
			"password from a dash": {args: "--email d@example.com --password-file -", stdin: goodPassword, want: `"account_status": "active"`},
			"verified":             {args: "--email e@example.com --verified", want: `"email_verified": true`},
			"roles":                {args: "--email f@example.com --role admin", want: `"admin"`},
			"names":                {args: "--email g@example.com --username gigi --first-name Gi --last-name Gi", want: `"username": "gigi"`},
			"weak password":        {args: "--email x@example.com --password-stdin", stdin: "short", code: 1, want: "  password: "},
			"no password":          {args: "--email x@example.com --password-stdin", stdin: "\n", code: 1, want: "there is none"},
			"no file":              {args: "--email x@example.com --password-file /nowhere", code: 1, want: "read password"},
			"two passwords":        {args: "--email x@example.com --password-stdin --password-file " + file, code: 2, want: "can't be used together"},
			"no address":           {args: "--username x", code: 2, want: "missing flags: --email"},
			"bad address":          {args: "--email nobody", code: 1, want: "  email: "},
			"unknown role":         {args: "--email x@example.com --role king", code: 1, want: "  roles"},
			"taken address":        {args: "--email Taken@example.com", code: 1, want: "email_taken"},
		}
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				args := append([]string{"user", "create", "--output", "json"}, strings.Fields(tt.args)...)
				r := gatehouseWith(t, tt.stdin, environ, args...)
				said := r.stdout
				if tt.code != exitOK {
					said = r.stderr
				}
				if r.code != tt.code || !strings.Contains(said, tt.want) {
					t.Errorf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
				}
				if strings.Contains(r.stdout+r.stderr, goodPassword) {
					t.Error("the password is shown")
				}
			})
		}
	})
}

func TestUserList(t *testing.T) {
	t.Parallel()
	eachStack(t, func(t *testing.T, environ []string) {
		for _, name := range []string{"ann", "bob", "cid"} {
			mustRun(t, environ, "user", "create", "--email", name+"@example.com", "--role", map[bool]string{true: "admin", false: "user"}[name == "ann"])
		}
		tests := map[string]struct {
			want []string
			more bool
		}{
			"":                  {want: []string{"cid", "bob", "ann"}},
			"--limit 0":         {want: []string{"cid", "bob", "ann"}},
			"--limit 2":         {want: []string{"cid", "bob"}, more: true},
			"--limit 3":         {want: []string{"cid", "bob", "ann"}},
			"--q bo":            {want: []string{"bob"}},
			"--role admin":      {want: []string{"ann"}},
			"--status pending":  {want: []string{"cid", "bob", "ann"}},
			"--status active":   {},
			"--q b --limit 1":   {want: []string{"bob"}},
			"--role nobody":     {},
			"--status deleted ": {},
		}
		for args, tt := range tests {
			t.Run(args, func(t *testing.T) {
				t.Parallel()
				list := mustJSON[people](t, environ, append([]string{"user", "list"}, strings.Fields(args)...)...)
				var got []string
				for _, p := range list.Items {
					got = append(got, strings.TrimSuffix(p.Email, "@example.com"))
				}
				if diff := cmp.Diff(tt.want, got); diff != "" || list.More != tt.more {
					t.Errorf("more: %v\n%s", list.More, diff)
				}
			})
		}
		text := mustRun(t, environ, "user", "list", "--limit", "1")
		if lines := strings.Split(text, "\n"); !strings.HasPrefix(lines[0], "ID ") || !strings.Contains(lines[1], "cid@example.com  pending  false") {
			t.Error(text)
		}
	})
}

func TestUserDisable(t *testing.T) {
	t.Parallel()
	environ := apptest.Environment(t, "embedded")
	gatehouseWith(t, goodPassword, environ, "user", "create", "--email", "ann@example.com", "--username", "ann", "--role", "admin", "--verified", "--password-stdin")
	gatehouseWith(t, goodPassword, environ, "user", "create", "--email", "bob@example.com", "--username", "bob", "--password-stdin")
	bob := mustJSON[people](t, environ, "user", "list", "--q", "bob").Items[0].ID.String()
	for _, ref := range []string{bob, "Bob@example.com", "BOB", "bob"} { // the last does nothing
		if ref != "bob" {
			mustRun(t, environ, "user", "enable", ref)
		}
		if p := mustJSON[userview.User](t, environ, "user", "disable", ref); p.AccountStatus != identity.Suspended {
			t.Errorf("%s is %s", ref, p.AccountStatus)
		}
	}
	for ref, want := range map[string]string{
		"ann":                                  "last_admin",
		"nobody@example.com":                   "not_found",
		"01890000-0000-7000-8000-000000000000": "not_found",
	} {
		if r := gatehouse(t, environ, "user", "disable", ref); r.code != 1 || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: exit code %d, %s", ref, r.code, r.stderr)
		}
	}
	page, err := mustApp(t, environ).Audit.List(t.Context(), operator("test"), audit.Filter{Action: "user.suspended"}, audit.Cursor{}, 10, false)
	if err != nil || len(page.Entries) != 3 || page.Entries[0].Actor.Type != "system" {
		t.Errorf("the log holds %+v, %v", page.Entries, err)
	}
}

// login signs in and returns the status and the access token.
func login(tb testing.TB, p *apptest.Program, email string) (int, string) {
	tb.Helper()
	body, _ := json.Marshal(map[string]string{"email": email, "password": goodPassword})
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, p.URL+"/auth/login", bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	reply, err := p.Client().Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer reply.Body.Close()
	var in struct {
		AccessToken string `json:"access_token"`
	}
	_ = json.NewDecoder(reply.Body).Decode(&in)
	return reply.StatusCode, in.AccessToken
}

// profile reads the profile of whom a token belongs to and returns the status.
func profile(tb testing.TB, p *apptest.Program, token string) int {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, p.URL+"/users/profile", nil)
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	reply, err := p.Client().Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer reply.Body.Close()
	return reply.StatusCode
}

func TestUser_ChangesAreSeenByARunningServer(t *testing.T) {
	t.Parallel()
	eachStack(t, func(t *testing.T, environ []string) {
		p := apptest.StartOn(t, environ)
		r := gatehouseWith(t, goodPassword, environ, "user", "create", "--email", "bob@example.com", "--verified", "--password-stdin")
		if r.code != 0 {
			t.Fatal(r.stderr)
		}
		status, token := login(t, p, "bob@example.com")
		if status != http.StatusOK || profile(t, p, token) != http.StatusOK {
			t.Fatalf("sign in: %d", status)
		}
		mustRun(t, environ, "user", "disable", "bob@example.com")
		for deadline := time.Now().Add(3 * time.Second); profile(t, p, token) == http.StatusOK; {
			if time.Now().After(deadline) {
				t.Fatal("the server still accepts the token")
			}
		}
		if status, _ := login(t, p, "bob@example.com"); status != http.StatusForbidden {
			t.Errorf("sign in of a suspended person: %d", status)
		}
		mustRun(t, environ, "user", "enable", "bob@example.com")
		if status, _ := login(t, p, "bob@example.com"); status != http.StatusOK {
			t.Errorf("sign in again: %d", status)
		}
		mustRun(t, environ, "audit", "verify")
	})
}
