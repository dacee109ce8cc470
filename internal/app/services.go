package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/api/adminapi"
	"gatehouse/internal/api/authapi"
	"gatehouse/internal/api/front"
	"gatehouse/internal/api/userapi"
)

// The names of services. Jobs has no listener; the front has every other one
// on a single origin and runs where all of them do.
const (
	Auth  = "auth"
	User  = "user"
	Admin = "admin"
	Jobs  = "jobs"
)

// AllServices returns every service, which is what runs unless told otherwise.
func AllServices() []string { return []string{Auth, User, Admin, Jobs} }

// ParseServices reads a comma-separated list.
func ParseServices(list string) ([]string, error) {
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); !slices.Contains(AllServices(), name) {
			return nil, fmt.Errorf("%q: %w: choose from %s", name, errNoService, strings.Join(AllServices(), ", "))
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// Times of the end (DEP-3): the listener stays open so that a load balancer
// learns of it, then running requests finish.
const (
	linger = 5 * time.Second
	grace  = 15 * time.Second
)

// listener is an address and what answers there.
type listener struct {
	surface *api.Surface
	addr    string
	bound   net.Listener
}

// listeners builds the surfaces of the chosen services.
func (a *App) listeners(services []string) []listener {
	table := []struct {
		name, addr string
		routes     func(s *api.Surface)
	}{
		{Auth, a.cfg.Listen.Auth, a.authRoutes},
		{User, a.cfg.Listen.User, a.userRoutes},
		{Admin, a.cfg.Listen.Admin, a.adminRoutes},
	}
	var list []listener
	whole := a.surface("front")
	for _, s := range table {
		if !slices.Contains(services, s.name) {
			continue
		}
		surface := a.surface(s.name)
		s.routes(surface)
		whole.Include(surface)
		a.addProbes(surface, a.cfg.Listen.Management == "")
		list = append(list, listener{surface: surface, addr: s.addr})
	}
	if len(list) == len(table) {
		a.addPages(whole)
		a.addProbes(whole, a.cfg.Listen.Management == "")
		list = append(list, listener{surface: whole, addr: a.cfg.Listen.Front})
	}
	if a.cfg.Listen.Management != "" {
		list = append(list, listener{surface: a.management(), addr: a.cfg.Listen.Management})
	}
	return list
}

func (a *App) surface(name string) *api.Surface {
	return api.New(name, api.Deps{
		Authenticator: a.Access, CSRF: a.Sessions, Limiter: a.limits, Denied: a.denied, Pseudonym: a.pseudonym,
		Keys: a.Keys, Metrics: a.requests, Tracer: a.traces.Tracer(), Logger: a.log, Now: a.now,
	}, api.Config{
		PublicURL: a.cfg.PublicURL, AllowedOrigins: a.cfg.AllowedOrigins, TrustedProxies: a.cfg.TrustedProxies,
		CheckHost: a.cfg.Production(), Version: a.version,
	})
}

func (a *App) authRoutes(s *api.Surface) {
	authapi.Routes(s, authapi.Deps{
		Signin: a.Signin, Signup: a.Signup, Recovery: a.Recovery, Sessions: a.Sessions, Keys: a.Keys,
	})
}

func (a *App) userRoutes(s *api.Surface) { userapi.Routes(s, userapi.Deps{Accounts: a.Accounts}) }

func (a *App) adminRoutes(s *api.Surface) {
	adminapi.Routes(s, adminapi.Deps{Roles: a.Roles, Accounts: a.Accounts, Audit: a.Audit})
}

// addPages mounts the pages that the program shows itself.
func (a *App) addPages(s *api.Surface) {
	pages := front.Handler(front.Config{Version: a.version})
	for _, path := range front.Paths() {
		api.Handle(s, api.Route{
			Method: http.MethodGet, Path: path, Access: api.Public(), Tag: "Pages", Summary: "A page", Hidden: true,
		}, pages)
	}
}

// addProbes adds what every listener answers. Where there is a management
// listener only that one tells details (TLS-4).
func (a *App) addProbes(s *api.Surface, detail bool) {
	api.AddHealth(s, a.health.ready, detail)
	if detail {
		api.AddMetrics(s, a.metrics.Registry())
		api.AddOpenAPI(s)
	}
}

func (a *App) management() *api.Surface {
	s := a.surface("management")
	api.Handle(s, api.Route{
		Method: http.MethodGet, Path: "/debug/pprof/{profile}", Access: api.Public(), Tag: "Management",
		Summary: "Profile the process", Hidden: true, AnyHost: true, Unbounded: true,
	}, http.HandlerFunc(profile))
	a.addProbes(s, true)
	return s
}

func profile(w http.ResponseWriter, r *http.Request) {
	switch path.Base(r.URL.Path) {
	case "profile":
		pprof.Profile(w, r)
	case "trace":
		pprof.Trace(w, r)
	default:
		pprof.Index(w, r)
	}
}

// Ready is told once every listener is open: its names and addresses.
type Ready func(addresses map[string]string)

// Run serves until ctx ends, then drains and stops everything in order. It
// returns the first failure.
func (a *App) Run(ctx context.Context, services []string, ready Ready) error {
	listeners := a.listeners(services)
	if err := bind(ctx, listeners); err != nil {
		return err
	}
	defer closeAll(listeners)
	if err := a.Feed.Load(ctx); err != nil {
		return fmt.Errorf("read recent changes: %w", err)
	}
	a.health.ping(ctx)

	// Workers outlive the listeners: the last requests still need them.
	working, stopWorkers := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWorkers()
	var workers sync.WaitGroup
	a.startWorkers(working, &workers, slices.Contains(services, Jobs))

	a.health.started.Store(true)
	addresses := map[string]string{}
	for _, l := range listeners {
		addresses[l.surface.Name()] = l.bound.Addr().String()
	}
	if ready != nil {
		ready(addresses)
	}
	err := a.serve(ctx, listeners)
	stopWorkers()
	workers.Wait()
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return errors.Join(err, a.traces.Shutdown(flush))
}

func bind(ctx context.Context, listeners []listener) error {
	var lc net.ListenConfig
	for i := range listeners {
		l := &listeners[i]
		var err error
		if l.bound, err = lc.Listen(ctx, "tcp", l.addr); err != nil {
			closeAll(listeners)
			return fmt.Errorf("listen for %s: %w", l.surface.Name(), err)
		}
	}
	return nil
}

func closeAll(listeners []listener) {
	for _, l := range listeners {
		if l.bound != nil {
			_ = l.bound.Close()
		}
	}
}

// serve runs every listener until ctx ends or one fails.
func (a *App) serve(ctx context.Context, listeners []listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	context.AfterFunc(ctx, func() { a.health.draining.Store(true) })
	wait := linger
	if a.quick {
		wait = 0
	}
	failures := make(chan error, len(listeners))
	for _, l := range listeners {
		server := api.NewServer(l.surface, a.log)
		if a.certificate != nil {
			server.TLSConfig = a.certificate.Config()
		}
		go func() { failures <- api.Serve(ctx, server, l.bound, wait, grace) }()
	}
	var all error
	for range listeners {
		if err := <-failures; err != nil {
			all = errors.Join(all, err)
			stop()
		}
	}
	return all
}

// startWorkers runs what goes on beside requests.
func (a *App) startWorkers(ctx context.Context, wg *sync.WaitGroup, jobs bool) {
	runs := map[string]func(context.Context) error{
		"database notes": a.DB.Run,
		"epoch feed":     a.Feed.Run,
		"keys":           a.Keys.Run,
		"sessions":       a.Sessions.Run,
		"limits":         a.limits.Run,
		"summaries":      a.Audit.RunSummaries,
		"log follower":   a.followLog,
		"health":         a.health.Run,
		"node count":     a.countNodes,
	}
	if a.redis != nil {
		runs["redis"] = a.redis.Run
	}
	if a.certificate != nil {
		runs["certificate"] = a.certificate.Run
	}
	if jobs {
		a.schedule()
		runs["seal"] = a.Audit.Run
		runs["jobs"] = a.jobs.Run
		runs["backlog"] = a.watchBacklog
	} else {
		a.log.WarnContext(ctx, "this process does not run jobs: some process of the installation must")
	}
	for name, run := range runs {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				a.log.ErrorContext(ctx, "worker ended", "worker", name, "error", err)
			}
		})
	}
}
