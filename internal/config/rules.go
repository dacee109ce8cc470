package config

import (
	"crypto/tls"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"

	"gatehouse/internal/platform/secret"
)

// rules checks what no single value shows: settings that need one another, and
// what the production profile wants. A rule looks only at values that are good
// by themselves, so that one mistake is one fault.
func (l *loader) rules() {
	c := &l.out.Config
	if c.Database.URL == "" {
		l.derive("GATEHOUSE_DATABASE_URL", &c.Database.URL, sqliteScheme+filepath.Join(c.DataDir, "gatehouse.db"))
	}
	l.together("GATEHOUSE_TLS_CERT", "GATEHOUSE_TLS_KEY")
	l.together("GATEHOUSE_ADMIN_EMAIL", "GATEHOUSE_ADMIN_PASSWORD")
	l.certificate()
	l.listeners()
	if !c.Database.SQLite() && !l.given("GATEHOUSE_MASTER_KEY") {
		l.fault("GATEHOUSE_MASTER_KEY", "", "is required with PostgreSQL")
	}
	if c.Database.SQLite() && l.given("GATEHOUSE_MIGRATE_DATABASE_URL") {
		l.fault("GATEHOUSE_MIGRATE_DATABASE_URL", l.settings["GATEHOUSE_MIGRATE_DATABASE_URL"].source, "has no effect with SQLite")
	}
	if l.given("GATEHOUSE_SMTP_URL") && !l.given("GATEHOUSE_MAIL_FROM") {
		l.fault("GATEHOUSE_MAIL_FROM", "", "is required with GATEHOUSE_SMTP_URL")
	}
	if l.settings["GATEHOUSE_PROFILE"].value == string(Production) {
		l.production()
	} else if !c.RateLimits && !l.faulty("GATEHOUSE_RATE_LIMITS") {
		l.warn("rate limits are off: for load tests only")
	}
}

// derive fills in a default that depends on another setting.
func (l *loader) derive(name string, field *secret.String, value string) {
	if l.given(name) {
		return // and faulty
	}
	*field = secret.String(value)
	for i := range l.out.Values {
		if l.out.Values[i].Name == name {
			l.out.Values[i].Shown = value
		}
	}
}

// given reports whether someone set the value, good or bad.
func (l *loader) given(name string) bool { return l.settings[name].source != "default" }

func (l *loader) faulty(name string) bool {
	for _, f := range l.faults {
		if f.Name == name {
			return true
		}
	}
	return false
}

func (l *loader) together(a, b string) {
	for _, pair := range [][2]string{{a, b}, {b, a}} {
		if l.given(pair[0]) && !l.given(pair[1]) {
			l.fault(pair[1], "", "is required with "+pair[0])
		}
	}
}

// certificate checks that certificate and key can be read and fit.
func (l *loader) certificate() {
	const certName, keyName = "GATEHOUSE_TLS_CERT", "GATEHOUSE_TLS_KEY"
	c := l.out.TLS
	if c.CertFile == "" || c.KeyFile == "" || l.faulty(certName) || l.faulty(keyName) {
		return
	}
	cert, _, certErr := l.in.ReadFile(c.CertFile)
	if certErr != nil {
		l.fault(certName, l.settings[certName].source, "the file cannot be read: "+cause(certErr).Error())
	}
	key, mode, keyErr := l.in.ReadFile(c.KeyFile)
	switch {
	case keyErr != nil:
		l.fault(keyName, l.settings[keyName].source, "the file cannot be read: "+cause(keyErr).Error())
	case l.out.Production() && mode&0o077 != 0:
		l.fault(keyName, l.settings[keyName].source, needMode)
	}
	if certErr != nil || keyErr != nil {
		return
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		l.fault(certName, l.settings[certName].source, "certificate and key must be PEM files that belong together")
	}
}

// listeners refuses an address that is given twice.
func (l *loader) listeners() {
	seen := map[string]string{}
	for _, name := range []string{
		"GATEHOUSE_FRONT_ADDR", "GATEHOUSE_AUTH_ADDR", "GATEHOUSE_USER_ADDR", "GATEHOUSE_ADMIN_ADDR", "GATEHOUSE_MANAGEMENT_ADDR",
	} {
		s := l.settings[name]
		if s.value == "" || l.faulty(name) || strings.HasSuffix(s.value, ":0") { // port 0 picks a free one
			continue
		}
		if other := seen[s.value]; other != "" {
			l.fault(name, s.source, "is the address of "+other+" too")
		}
		seen[s.value] = name
	}
}

// production holds the rules of the production profile.
func (l *loader) production() {
	c := &l.out.Config
	need := func(name string, ok bool, message string) {
		if !ok && !l.faulty(name) {
			source := ""
			if l.given(name) {
				source = l.settings[name].source
			}
			l.fault(name, source, message)
		}
	}
	const inProduction = " in the production profile"
	need("GATEHOUSE_PUBLIC_URL", c.PublicURL != nil && c.PublicURL.Scheme == "https", "must be an https:// URL"+inProduction)
	need("GATEHOUSE_TLS_CERT", c.TLS.CertFile != "", "is required"+inProduction)
	need("GATEHOUSE_TLS_KEY", c.TLS.KeyFile != "", "is required"+inProduction)
	need("GATEHOUSE_MASTER_KEY", len(c.MasterKeys) > 0, "is required"+inProduction)
	need("GATEHOUSE_PASSWORD_COST", c.PasswordCost >= 12, "must be at least 12"+inProduction)
	need("GATEHOUSE_RATE_LIMITS", c.RateLimits, "must be on"+inProduction)
	const verify = "must have ?sslmode=verify-full, so that the server proves its name,"
	need("GATEHOUSE_DATABASE_URL", verifies(c.Database.URL), verify+inProduction)
	need("GATEHOUSE_MIGRATE_DATABASE_URL", verifies(c.Database.MigrateURL), verify+inProduction)
	need("GATEHOUSE_REDIS_URL", c.RedisURL == "" || strings.HasPrefix(c.RedisURL.Reveal(), "rediss://"), "must be a rediss:// URL"+inProduction)
	for _, o := range c.AllowedOrigins {
		need("GATEHOUSE_ALLOWED_ORIGINS", strings.HasPrefix(o, "https://"), "must hold https:// origins only"+inProduction)
	}
	need("OTEL_EXPORTER_OTLP_ENDPOINT", encryptedOrLocal(c.OTLPEndpoint), "must be an https:// URL, or http:// to this host,"+inProduction)
	l.secretFiles()
	l.wishes()
}

// secretFiles refuses secret files that others may read, and asks for files
// where a secret came another way (PRV-3).
func (l *loader) secretFiles() {
	for _, o := range options() {
		s := l.settings[o.name]
		if !o.secret() || !l.given(o.name) || s.err != nil || (o.privacy == secretURL && !hasPassword(s.value)) {
			continue
		}
		switch {
		case s.file == "":
			l.warn("%s should come from a file in the production profile: set %s", o.name, o.name+fileSuffix)
		case s.mode&0o077 != 0:
			l.fault(o.name, s.source, needMode)
		}
	}
}

// wishes warns of what production can do without but should not.
func (l *loader) wishes() {
	c := &l.out.Config
	if c.Listen.Management == "" {
		l.warn("GATEHOUSE_MANAGEMENT_ADDR is not set: metrics and health details stay on the public listeners")
	}
	if c.Mail.SMTPURL == "" {
		l.warn("GATEHOUSE_SMTP_URL is not set: mails stay in the data folder")
	}
	if !c.Database.SQLite() && c.RedisURL == "" {
		l.warn("GATEHOUSE_REDIS_URL is not set: each process counts its rate limits alone")
	}
}

// verifies reports whether a database connection proves the server's name.
// SQLite has no connection, and a socket leads nowhere else.
func verifies(s secret.String) bool {
	if s == "" || strings.HasPrefix(s.Reveal(), sqliteScheme) {
		return true
	}
	u, ok := parseHosts(s.Reveal())
	if !ok {
		return false
	}
	modes := u.Query()["sslmode"]
	return onSocket(u) || len(modes) == 1 && modes[0] == "verify-full"
}

func hasPassword(s string) bool {
	u, ok := parseHosts(s)
	if !ok {
		return false
	}
	_, set := u.User.Password()
	return set || u.Query().Has("password")
}

func encryptedOrLocal(endpoint string) bool {
	if endpoint == "" {
		return true
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	host := u.Hostname()
	a, err := netip.ParseAddr(host)
	return u.Scheme == "https" || host == "localhost" || (err == nil && a.IsLoopback())
}
