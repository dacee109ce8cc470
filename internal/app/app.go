// Package app is the composition root: it builds every part from the
// configuration, runs the chosen services and stops them in order. All
// construction is here, in plain code that reads from top to bottom.
package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/account"
	"gatehouse/internal/api"
	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/custody"
	"gatehouse/internal/epoch"
	"gatehouse/internal/idempotency"
	"gatehouse/internal/identity"
	"gatehouse/internal/keyring"
	"gatehouse/internal/notify"
	"gatehouse/internal/password"
	"gatehouse/internal/platform/bcrypt"
	"gatehouse/internal/platform/cache"
	"gatehouse/internal/platform/cache/rediscache"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/job"
	"gatehouse/internal/platform/mail"
	"gatehouse/internal/platform/telemetry"
	"gatehouse/internal/platform/tlsfile"
	"gatehouse/internal/rbac"
	"gatehouse/internal/recovery"
	"gatehouse/internal/session"
	"gatehouse/internal/signin"
	"gatehouse/internal/signup"
	"gatehouse/internal/throttle"
	"gatehouse/internal/token"
)

// Options are what the surroundings give, beside the configuration.
type Options struct {
	Version string
	Logger  *slog.Logger
	Now     func() time.Time // nil: time.Now
	RootCAs *x509.CertPool   // that sign the certificates of servers; nil: the system's
	Quick   bool             // end without waiting for load balancers
	// HashWorkers is how many cores may hash passwords at once. 0: GOMAXPROCS.
	HashWorkers int
}

// App is the program, built and not yet running.
type App struct {
	cfg     config.Config
	version string
	quick   bool
	now     func() time.Time
	log     *slog.Logger

	DB       *db.DB
	Keys     *keyring.Keyring
	Feed     *epoch.Feed
	Audit    *audit.Log
	Users    *identity.Service
	Roles    *rbac.Service
	Sessions *session.Service
	Accounts *account.Service
	Signup   *signup.Service
	Signin   *signin.Service
	Recovery *recovery.Service
	Custody  *custody.Service
	Access   *access.Checker

	passwords   *password.Service
	idempotency *idempotency.Store
	limits      *throttle.Limiter
	redis       *rediscache.Cache // nil: the cache is in process
	mails       mail.Sender
	notify      *notify.Notifier
	jobs        *job.Runner
	metrics     *telemetry.Metrics
	requests    *api.Metrics
	signIns     *telemetry.Outcomes
	traces      *telemetry.Traces
	certificate *tlsfile.Certificate // nil: no TLS
	pool        *bcrypt.Pool
	health      *health
	backlog     backlog
	closers     []func()
}

// New builds the program. It opens the database, migrates an embedded one, and
// refuses a schema older than this program. Close releases what it opened.
func New(ctx context.Context, cfg config.Config, o Options) (*App, error) {
	a := &App{cfg: cfg, version: o.Version, quick: o.Quick, now: o.Now, log: o.Logger}
	if a.now == nil {
		a.now = time.Now
	}
	for _, build := range []func(context.Context, Options) error{
		a.buildStorage, a.buildTelemetry, a.buildSupport, a.buildCapabilities, a.buildJourneys,
	} {
		if err := build(ctx, o); err != nil {
			a.Close()
			return nil, err
		}
	}
	return a, nil
}

// Close releases what New opened. Call it after Run has returned.
func (a *App) Close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
}

func (a *App) buildStorage(ctx context.Context, o Options) (err error) {
	if err := os.MkdirAll(a.cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	a.DB, err = db.Open(ctx, db.Config{
		URL: a.cfg.Database.URL.Reveal(), PoolSize: a.cfg.Database.PoolSize, Now: a.now, Logger: a.log,
	})
	if err != nil {
		return err
	}
	a.closers = append(a.closers, a.DB.Close)
	if a.DB.Embedded() {
		if _, err := a.DB.Migrate(ctx, ""); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	} else if err := a.DB.RequireSchema(ctx); err != nil {
		return fmt.Errorf("database schema: %w", err)
	}
	if url := a.cfg.RedisURL.Reveal(); url != "" {
		a.redis, err = rediscache.New(rediscache.Config{URL: url, RootCAs: o.RootCAs, MinTLS: a.minTLS(), Logger: a.log})
	}
	return err
}

func (a *App) buildTelemetry(ctx context.Context, _ Options) (err error) {
	a.metrics = telemetry.NewMetrics("gatehouse", a.version)
	a.requests = api.NewMetrics(a.metrics.Registry())
	a.signIns = a.metrics.Outcomes("sign_ins_total", "Sign-ins by outcome.", "outcome",
		"success", "invalid_credentials", "email_not_verified", "account_suspended", "account_deactivated",
		"rate_limited", "overloaded", "unavailable")
	a.traces, err = telemetry.NewTraces(ctx, telemetry.TraceConfig{
		Endpoint: a.cfg.OTLPEndpoint, Service: "gatehouse", Version: a.version, Logger: a.log,
	})
	if err != nil {
		return fmt.Errorf("traces: %w", err)
	}
	if a.cfg.TLS.Enabled() {
		if a.certificate, err = tlsfile.Load(a.cfg.TLS.CertFile, a.cfg.TLS.KeyFile, a.log); err != nil {
			return fmt.Errorf("TLS certificate: %w", err)
		}
	}
	return nil
}

func (a *App) buildSupport(ctx context.Context, o Options) error {
	masters := a.cfg.MasterKeys
	if len(masters) == 0 {
		made, _, err := config.EnsureMasterKey(a.cfg.MasterKeyPath())
		if err != nil {
			return fmt.Errorf("master key: %w", err)
		}
		masters = made
	}
	var err error
	a.Keys, err = keyring.New(ctx, keyring.Deps{DB: a.DB, Master: masters, Now: a.now, Logger: a.log, AccessToken: keyring.Spec{}})
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	a.Feed = epoch.New(a.DB, a.now, a.log)
	a.Audit = audit.New(audit.Deps{
		DB: a.DB, Keys: a.Keys, Now: a.now, Log: a.log,
		Witness: audit.NewFileWitness(filepath.Join(a.cfg.DataDir, "audit-head.json")),
	})
	a.idempotency = idempotency.New(a.DB, a.Keys)
	a.limits = throttle.New(a.countTogether(), throttle.Config{Off: !a.cfg.RateLimits, Now: a.now})
	a.jobs = job.New(job.Deps{DB: a.DB, Logger: a.log, Now: a.now}, job.Config{})
	if a.mails, err = a.newSender(o.RootCAs); err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	a.notify, err = notify.New(notify.Deps{Keys: a.Keys, Sender: a.mails, Logger: a.log, Now: a.now},
		notify.Config{PublicURL: a.cfg.PublicURL})
	return err
}

// minTLS is the oldest TLS that Redis may speak (TLS-2); 0 is the default.
func (a *App) minTLS() uint16 {
	if a.cfg.Production() {
		return tls.VersionTLS13
	}
	return 0
}

// countTogether is where nodes share their counts, or nil.
func (a *App) countTogether() throttle.Shared {
	if a.redis == nil {
		return nil
	}
	return a.redis
}

// shared is the cache that nodes share, or nil.
func (a *App) shared() cache.Cache {
	if a.redis == nil {
		return nil
	}
	return a.redis
}

func (a *App) newSender(roots *x509.CertPool) (mail.Sender, error) {
	if a.cfg.Mail.SMTPURL != "" {
		return mail.NewSMTP(mail.SMTPConfig{
			URL: a.cfg.Mail.SMTPURL, From: a.cfg.Mail.From, AllowPlainLoopback: !a.cfg.Production(),
			RootCAs: roots, Now: a.now,
		})
	}
	files, err := mail.NewFiles(mail.FileConfig{
		Dir: filepath.Join(a.cfg.DataDir, "mail"), From: a.cfg.Mail.From, Now: a.now,
	})
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, func() { _ = files.Close() })
	return files, nil
}

func (a *App) buildCapabilities(ctx context.Context, o Options) (err error) {
	a.pool = bcrypt.NewPool(bcrypt.Config{Workers: o.HashWorkers})
	a.passwords = password.New(password.Deps{Pool: a.pool, Peppers: a.Keys}, password.Config{Cost: a.cfg.PasswordCost})
	if a.Users, err = identity.New(a.DB, a.Keys); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	catalogue, err := rbac.NewCatalogue(catalogue()...)
	if err != nil {
		return fmt.Errorf("permissions: %w", err)
	}
	a.Roles = rbac.New(rbac.Deps{
		DB: a.DB, Users: a.Users, Log: a.Audit, Idempotency: a.idempotency, Catalogue: catalogue, Now: a.now,
	})
	if err := a.Roles.Ensure(ctx); err != nil {
		return err
	}
	a.Sessions = session.New(session.Deps{DB: a.DB, Keys: a.Keys, Audit: a.Audit, Now: a.now, Logger: a.log})
	return nil
}

func (a *App) buildJourneys(_ context.Context, _ Options) error {
	tokens := token.Config{Issuer: a.cfg.PublicURL.String()}
	issuer, err := token.NewIssuer(a.Keys, tokens, a.now)
	if err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	verifier, err := token.NewVerifier(a.Keys, tokens, a.now)
	if err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	digests := digests{a.Keys}
	a.Access, err = access.New(access.Deps{
		DB: a.DB, Verifier: verifier, Sessions: a.Sessions, Users: a.Users, Roles: a.Roles, Feed: a.Feed, Keys: a.Keys,
		Shared: a.shared(), Now: a.now, Log: a.log,
	})
	if err != nil {
		return err
	}
	a.Signin = signin.New(signin.Deps{
		DB: a.DB, Users: a.Users, Passwords: a.passwords, Sessions: a.Sessions, Roles: a.Roles, Tokens: issuer,
		Audit: a.Audit, Notify: a.notify, Limits: a.limits, Digests: digests, Outcomes: outcomes{a.signIns}, Log: a.log,
	})
	a.Signup = signup.New(signup.Deps{
		DB: a.DB, Users: a.Users, Passwords: a.passwords, Roles: a.Roles, Audit: a.Audit, Notify: a.notify,
		Limits: a.limits, Digests: digests, Now: a.now,
	}, signup.Config{Registration: a.registration()})
	a.Recovery = recovery.New(recovery.Deps{
		DB: a.DB, Users: a.Users, Passwords: a.passwords, Sessions: a.Sessions, Audit: a.Audit, Notify: a.notify,
		Limits: a.limits, Digests: digests,
	})
	a.Accounts = account.New(account.Deps{
		DB: a.DB, Users: a.Users, Passwords: a.passwords, Roles: a.Roles, Sessions: a.Sessions, Log: a.Audit,
		Idempotency: a.idempotency,
	})
	a.Custody = custody.New(custody.Deps{DB: a.DB, Keys: a.Keys, Log: a.Audit})
	a.health = newHealth(a.DB, a.redis, a.log)
	a.addMetrics()
	return nil
}

// registration is who may register: anyone where the profile is open to it.
func (a *App) registration() signup.Mode {
	if a.cfg.Production() {
		return signup.Closed
	}
	return signup.Open
}

// FirstAdministrator makes the administrator that the environment names, or
// returns the one-time link with which a person becomes it. It does nothing,
// and returns no link, where somebody has an account.
func (a *App) FirstAdministrator(ctx context.Context) (link string, err error) {
	if first := a.cfg.FirstAdmin; first.Email != "" {
		_, err := a.Signup.EnsureAdministrator(ctx, first.Email, first.Password)
		return "", err
	}
	if !a.DB.Embedded() {
		return "", nil
	}
	secret, err := a.Signup.SetupLink(ctx)
	if err != nil || secret == "" {
		return "", err
	}
	return a.cfg.PublicURL.JoinPath("setup").String() + "#token=" + secret.Reveal(), nil
}

var errNoService = errors.New("no service of that name")
