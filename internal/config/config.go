package config

import (
	"log/slog"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"

	"gatehouse/internal/platform/secret"
)

// Profile says how strict the program is about its surroundings.
type Profile string

// The profiles. Production refuses every setting that would weaken a
// deployment (TLS-2, PRV-3).
const (
	Development Profile = "development"
	Production  Profile = "production"
)

// LogFormat is how log lines look.
type LogFormat string

// The log formats. LogAuto is text on a terminal and JSON elsewhere.
const (
	LogAuto LogFormat = "auto"
	LogJSON LogFormat = "json"
	LogText LogFormat = "text"
)

// Config is everything that is fixed while the program runs. Only Load makes
// one; its rules hold for every Config that Load returns.
type Config struct {
	Profile        Profile
	DataDir        string
	Database       Database
	RedisURL       secret.String // empty: the cache is in process
	Mail           Mail
	PublicURL      *url.URL // scheme://host[:port] and nothing else
	Listen         Listen
	TLS            TLS
	MasterKeys     []secret.Key // the first seals; empty: the key of MasterKeyPath
	FirstAdmin     FirstAdmin
	TrustedProxies []netip.Prefix
	AllowedOrigins []string // exact scheme://host[:port], as browsers send them
	RateLimits     bool
	PasswordCost   int
	Log            Log
	OTLPEndpoint   string // empty: no traces
}

// Database says where the data is.
type Database struct {
	URL        secret.String // sqlite:PATH or postgres://…
	MigrateURL secret.String // of the owner role; empty: URL
	PoolSize   int
}

// SQLite reports whether the database is the embedded one.
func (d Database) SQLite() bool { return strings.HasPrefix(d.URL.Reveal(), sqliteScheme) }

// Mail says how messages leave.
type Mail struct {
	SMTPURL secret.String // empty: .eml files in the data folder
	From    string
}

// Listen holds the address of each listener. Management is empty when
// metrics and health details stay on the services' own listeners.
type Listen struct {
	Front, Auth, User, Admin, Management string
}

// TLS names the certificate of every listener. Both fields are set or none.
type TLS struct {
	CertFile, KeyFile string
}

// Enabled reports whether listeners speak TLS.
func (t TLS) Enabled() bool { return t.CertFile != "" }

// FirstAdmin is who administers an empty database. Both fields are set or
// none.
type FirstAdmin struct {
	Email    string
	Password secret.String
}

// Log says what is logged and how it looks.
type Log struct {
	Level  slog.Level
	Format LogFormat
}

// Production reports whether the production profile is on.
func (c *Config) Production() bool { return c.Profile == Production }

// MasterKeyPath is where the embedded stack keeps the master key that it made
// for itself.
func (c *Config) MasterKeyPath() string { return filepath.Join(c.DataDir, "master.key") }
