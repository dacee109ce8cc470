package api_test

import (
	"context"
	stdjson "encoding/json"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/api"
)

// user is the user as every endpoint shows it.
type user struct {
	ID            actor.UserID `json:"id"`
	Email         string       `json:"email"`
	Username      *string      `json:"username"`
	FirstName     *string      `json:"first_name"`
	LastName      *string      `json:"last_name"`
	Phone         *string      `json:"phone"`
	AvatarURL     *string      `json:"avatar_url"`
	EmailVerified bool         `json:"email_verified"`
	AccountStatus string       `json:"account_status"`
	Roles         []string     `json:"roles"`
	MFAEnabled    bool         `json:"mfa_enabled"`
	LastLoginAt   *time.Time   `json:"last_login_at"`
	CreatedAt     time.Time    `json:"created_at"`
	UpdatedAt     time.Time    `json:"updated_at"`
	DeletedAt     *time.Time   `json:"deleted_at"`
}

func sampleUser(g *gate) user {
	name, now := "ada", time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	return user{ID: g.ada, Email: "ada@example.com", Username: &name, FirstName: &name, AccountStatus: "active", Roles: []string{"user"}, CreatedAt: now, UpdatedAt: now}
}

// discard is a reply that goes nowhere.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

type nowhere struct{}

func (nowhere) Write(b []byte) (int, error) { return len(b), nil }

// BenchmarkProfile is what a GET costs above the socket: bare net/http that
// writes the same JSON, and the whole way through a surface with a token, a
// limit, metrics and the line of the access log.
func BenchmarkProfile(b *testing.B) {
	g := newGate()
	u := sampleUser(g)
	request := func() *http.Request {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://id.example.com/users/profile", nil)
		if err != nil {
			b.Fatal(err)
		}
		r.RequestURI, r.RemoteAddr = "/users/profile", "203.0.113.9:4711"
		r.Header.Set("Authorization", "Bearer plain")
		r.Header.Set("User-Agent", "bench/1.0")
		return r
	}
	run := func(b *testing.B, h http.Handler) {
		r, w := request(), discard{http.Header{}}
		b.ReportAllocs()
		for b.Loop() {
			clear(w.h)
			g.origins = g.origins[:0]
			h.ServeHTTP(w, r)
		}
	}
	b.Run("bare", func(b *testing.B) {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /users/profile", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = stdjson.NewEncoder(w).Encode(&u)
		})
		run(b, mux)
	})
	d := g.deps()
	for name, l := range map[string]*slog.Logger{"surface": slog.New(slog.NewJSONHandler(nowhere{}, nil)), "surface-without-log": slog.New(slog.DiscardHandler)} {
		d.Logger = l
		s := api.New("user", d, testConfig())
		api.Register(s, api.Route{Method: "GET", Path: "/users/profile", Access: api.Bearer()}, profile(u))
		b.Run(name, func(b *testing.B) { run(b, s) })
	}
}

type userOutput struct {
	ETag string `header:"ETag"`
	Body user
}

func profile(u user) api.Func[api.None, userOutput] {
	return func(context.Context, actor.Actor, *api.None) (*userOutput, error) {
		return &userOutput{ETag: api.ETag(u.ID, 7), Body: u}, nil
	}
}

// BenchmarkProfileOverHTTP is the same over a socket, with parallel clients.
func BenchmarkProfileOverHTTP(b *testing.B) {
	g := newGate()
	u := sampleUser(g)
	d := g.deps()
	d.Logger = slog.New(slog.NewJSONHandler(nowhere{}, nil))
	s := api.New("user", d, testConfig())
	api.Register(s, api.Route{Method: "GET", Path: "/users/profile", Access: api.Bearer()}, profile(u))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/profile", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = stdjson.NewEncoder(w).Encode(&u)
	})
	for name, h := range map[string]http.Handler{"bare": mux, "surface": s} {
		url := listen(b, h) + "/users/profile"
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(8)
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
					r.Header.Set("Authorization", "Bearer plain")
					res, err := client.Do(r)
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
				}
			})
		})
	}
}
