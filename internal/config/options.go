package config

import (
	"fmt"
	"strconv"
	"strings"

	"gatehouse/internal/platform/secret"
)

const (
	prefix       = "GATEHOUSE_"
	fileSuffix   = "_FILE"
	nameConfig   = "GATEHOUSE_CONFIG"
	sqliteScheme = "sqlite:"
)

// privacy says how much of a value may be shown.
type privacy uint8

const (
	public    privacy = iota
	secretURL         // user, password and query are hidden
	secretAll         // all of it is hidden, and there is no flag for it
)

// option is a row of the table: one setting with everything that is known
// about it. set stores a value or says what a good one looks like, without
// repeating the bad one.
type option struct {
	name    string
	def     string
	shown   string // how the documents describe an empty or derived default
	help    string
	privacy privacy
	list    bool // may be a YAML sequence
	set     func(c *Config, value string) error
}

// key is the option's name in the YAML file; with dashes it is its flag.
func (o option) key() string { return strings.ToLower(strings.TrimPrefix(o.name, prefix)) }

func (o option) secret() bool { return o.privacy != public }

// options returns the table. The order is that of the documents.
func options() []option {
	return append(append(stores(), network()...), rest()...)
}

// stores are the options on where things are kept and sent.
func stores() []option {
	return []option{
		{
			name: nameConfig, shown: "none", help: "YAML file with the settings below, each under its name in lower case without the prefix",
			set: func(*Config, string) error { return nil },
		},
		{
			name: "GATEHOUSE_PROFILE", def: string(Development), help: "development or production; production refuses every setting that would weaken a deployment",
			set: oneOf(func(c *Config, v string) { c.Profile = Profile(v) }, string(Development), string(Production)),
		},
		{
			name: "GATEHOUSE_DATA_DIR", def: "./data", help: "folder of the embedded stack: database, mails, master key",
			set: text(func(c *Config) *string { return &c.DataDir }),
		},
		{
			name: "GATEHOUSE_DATABASE_URL", shown: "SQLite in the data folder", help: "sqlite:PATH or postgres://user:password@host/name", privacy: secretURL,
			set: secretOf(func(c *Config) *secret.String { return &c.Database.URL }, checkDatabaseURL),
		},
		{
			name: "GATEHOUSE_MIGRATE_DATABASE_URL", shown: "the database URL", help: "PostgreSQL URL of the role that owns the tables, for migrations and partitions", privacy: secretURL,
			set: secretOf(func(c *Config) *secret.String { return &c.Database.MigrateURL }, checkPostgresURL),
		},
		{
			name: "GATEHOUSE_DATABASE_POOL_SIZE", def: "20", help: "most connections to the database, 2 to 1000",
			set: number(func(c *Config) *int { return &c.Database.PoolSize }, 2, 1000),
		},
		{
			name: "GATEHOUSE_REDIS_URL", shown: "none: in process", help: "redis:// or rediss://, a cluster by several hosts separated by commas", privacy: secretURL,
			set: secretOf(func(c *Config) *secret.String { return &c.RedisURL }, checkRedisURL),
		},
		{
			name: "GATEHOUSE_SMTP_URL", shown: "none: .eml files in the data folder", help: "smtp://user:password@host:port (STARTTLS) or smtps://", privacy: secretURL,
			set: secretOf(func(c *Config) *secret.String { return &c.Mail.SMTPURL }, checkSMTPURL),
		},
		{
			name: "GATEHOUSE_MAIL_FROM", def: "Gatehouse <no-reply@localhost>", help: "sender of every mail: an address, or a name and <address>; needed with an SMTP server",
			set: parsed(func(c *Config) *string { return &c.Mail.From }, parseFrom),
		},
	}
}

// network are the options on how clients come in.
func network() []option {
	return []option{
		{
			name: "GATEHOUSE_PUBLIC_URL", def: "http://localhost:3000", help: "scheme://host[:port] under which people reach Gatehouse: base of links, issuer, allowed origin",
			set: func(c *Config, v string) (err error) { c.PublicURL, err = parsePublicURL(v); return err },
		},
		{
			name: "GATEHOUSE_FRONT_ADDR", def: "127.0.0.1:3000", help: "listener of the front, which serves every service on one origin",
			set: parsed(func(c *Config) *string { return &c.Listen.Front }, parseListen),
		},
		{
			name: "GATEHOUSE_AUTH_ADDR", def: "127.0.0.1:3001", help: "listener of the auth service",
			set: parsed(func(c *Config) *string { return &c.Listen.Auth }, parseListen),
		},
		{
			name: "GATEHOUSE_USER_ADDR", def: "127.0.0.1:3002", help: "listener of the user service",
			set: parsed(func(c *Config) *string { return &c.Listen.User }, parseListen),
		},
		{
			name: "GATEHOUSE_ADMIN_ADDR", def: "127.0.0.1:3003", help: "listener of the admin service",
			set: parsed(func(c *Config) *string { return &c.Listen.Admin }, parseListen),
		},
		{
			name: "GATEHOUSE_MANAGEMENT_ADDR", shown: "none: on the listeners above", help: "listener that takes metrics, pprof and health details away from the others",
			set: parsed(func(c *Config) *string { return &c.Listen.Management }, parseListen),
		},
		{
			name: "GATEHOUSE_TLS_CERT", shown: "none", help: "certificate chain (PEM file) of every listener, read again when it changes",
			set: text(func(c *Config) *string { return &c.TLS.CertFile }),
		},
		{
			name: "GATEHOUSE_TLS_KEY", shown: "none", help: "private key (PEM file) of the certificate",
			set: text(func(c *Config) *string { return &c.TLS.KeyFile }),
		},
		{
			name: "GATEHOUSE_TRUSTED_PROXIES", shown: "none", help: "networks (CIDR, separated by commas) whose X-Forwarded-For and X-Request-Id count", list: true,
			set: func(c *Config, v string) (err error) { c.TrustedProxies, err = parsePrefixes(v); return err },
		},
		{
			name: "GATEHOUSE_ALLOWED_ORIGINS", shown: "none", help: "further origins that browsers may call from: exact scheme://host[:port], separated by commas", list: true,
			set: func(c *Config, v string) (err error) { c.AllowedOrigins, err = parseOrigins(v); return err },
		},
	}
}

// rest are the options on keys, limits and what is told to the outside.
func rest() []option {
	return []option{
		{
			name: "GATEHOUSE_MASTER_KEY", shown: "made in the data folder on SQLite", help: "32 bytes in base64 that wrap every other key; several, separated by commas, while it is rotated: the first seals, all open", privacy: secretAll, list: true,
			set: func(c *Config, v string) (err error) {
				c.MasterKeys, err = ParseMasterKeys(secret.String(v))
				return err
			},
		},
		{
			name: "GATEHOUSE_ADMIN_EMAIL", shown: "none", help: "e-mail address of the administrator that an empty database gets",
			set: parsed(func(c *Config) *string { return &c.FirstAdmin.Email }, parseEmail),
		},
		{
			name: "GATEHOUSE_ADMIN_PASSWORD", shown: "none", help: "password of that administrator; must meet the password policy", privacy: secretAll,
			set: secretOf(func(c *Config) *secret.String { return &c.FirstAdmin.Password }, checkPassword),
		},
		{
			name: "GATEHOUSE_RATE_LIMITS", def: "on", help: "on, or off for load tests only",
			set: oneOf(func(c *Config, v string) { c.RateLimits = v == "on" }, "on", "off"),
		},
		{
			name: "GATEHOUSE_PASSWORD_COST", def: "12", help: "bcrypt cost, 10 to 14; below 12 is refused in the production profile",
			set: number(func(c *Config) *int { return &c.PasswordCost }, 10, 14),
		},
		{
			name: "GATEHOUSE_LOG_LEVEL", def: "info", help: "debug, info, warn or error",
			set: oneOf(func(c *Config, v string) { _ = c.Log.Level.UnmarshalText([]byte(v)) }, "debug", "info", "warn", "error"),
		},
		{
			name: "GATEHOUSE_LOG_FORMAT", def: string(LogAuto), help: "json, text, or auto: text on a terminal and JSON elsewhere",
			set: oneOf(func(c *Config, v string) { c.Log.Format = LogFormat(v) }, string(LogAuto), string(LogJSON), string(LogText)),
		},
		{
			name: "OTEL_EXPORTER_OTLP_ENDPOINT", shown: "none", help: "http:// or https:// URL of an OpenTelemetry collector that takes traces",
			set: parsed(func(c *Config) *string { return &c.OTLPEndpoint }, parseEndpoint),
		},
	}
}

// unsupported are names that the design gives but that nothing reads in this
// version.
func unsupported() []string {
	return []string{"GATEHOUSE_BLOB_URL", "GATEHOUSE_DATABASE_REPLICA_URLS", "GATEHOUSE_SEARCH_URL"}
}

// Option describes one setting to the command line and to the documents.
type Option struct {
	Name    string // of the environment variable
	Key     string // in the YAML file
	Flag    string // on the command line; for a secret it takes a file
	Default string // as a person reads it
	Help    string
	Secret  bool // can also come as Name_FILE
	HasFlag bool // whether the value itself may stand on the command line
}

// Options lists every setting, in the order of the documents.
func Options() []Option {
	var all []Option
	for _, o := range options() {
		shown := o.def
		if o.shown != "" {
			shown = o.shown
		}
		all = append(all, Option{
			Name: o.name, Key: o.key(), Flag: strings.ReplaceAll(o.key(), "_", "-"), Default: shown,
			Help: o.help, Secret: o.secret(), HasFlag: o.privacy != secretAll,
		})
	}
	return all
}

func text(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, v string) error {
		*field(c) = v
		return nil
	}
}

func parsed(field func(*Config) *string, parse func(string) (string, error)) func(*Config, string) error {
	return func(c *Config, v string) (err error) {
		*field(c), err = parse(v)
		return err
	}
}

func secretOf(field func(*Config) *secret.String, check func(string) error) func(*Config, string) error {
	return func(c *Config, v string) error {
		*field(c) = secret.String(v)
		return check(v)
	}
}

func number(field func(*Config) *int, low, high int) func(*Config, string) error {
	return func(c *Config, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < low || n > high {
			return fmt.Errorf("must be a whole number from %d to %d", low, high)
		}
		*field(c) = n
		return nil
	}
}

func oneOf(store func(*Config, string), allowed ...string) func(*Config, string) error {
	return func(c *Config, v string) error {
		for _, a := range allowed {
			if v == a {
				store(c, v)
				return nil
			}
		}
		return fmt.Errorf("must be one of: %s", strings.Join(allowed, ", "))
	}
}
