package config_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/config"
	"gatehouse/internal/platform/secret"
)

// canary marks every secret of these tests: it must never come out again.
const canary = "c4n4ry"

// file is a file that exists only in a test.
type file struct {
	data string
	mode fs.FileMode
}

// load runs Load over variables ("NAME=value") and files.
func load(env []string, files map[string]file, flags map[string]string) (*config.Loaded, error) {
	return config.Load(config.Input{Flags: flags, Environ: env, ReadFile: func(path string) ([]byte, fs.FileMode, error) {
		f, ok := files[path]
		if !ok {
			return nil, 0, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
		return []byte(f.data), f.mode, nil
	}})
}

func mustLoad(tb testing.TB, env []string, files map[string]file, flags map[string]string) *config.Loaded {
	tb.Helper()
	l, err := load(env, files, flags)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func key64(tb testing.TB) string {
	tb.Helper()
	k := secret.NewKey()
	return base64.StdEncoding.EncodeToString(k[:])
}

// pair returns a certificate and its key.
func pair(tb testing.TB) (cert, key string) {
	tb.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"id.example"}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, k.Public(), k)
	if err != nil {
		tb.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		tb.Fatal(err)
	}
	block := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", pk)
}

// production returns an environment that the production profile accepts
// without a warning.
func production(tb testing.TB) ([]string, map[string]file) {
	tb.Helper()
	cert, key := pair(tb)
	environ := []string{
		"GATEHOUSE_PROFILE=production",
		"GATEHOUSE_PUBLIC_URL=https://id.example",
		"GATEHOUSE_TLS_CERT=/tls.crt",
		"GATEHOUSE_TLS_KEY=/tls.key",
		"GATEHOUSE_MASTER_KEY_FILE=/master",
		"GATEHOUSE_DATABASE_URL_FILE=/db",
		"GATEHOUSE_REDIS_URL_FILE=/redis",
		"GATEHOUSE_SMTP_URL=smtps://mail.example",
		"GATEHOUSE_MAIL_FROM=id@id.example",
		"GATEHOUSE_MANAGEMENT_ADDR=127.0.0.1:9000",
	}
	files := map[string]file{
		"/tls.crt": {cert, 0o444},
		"/tls.key": {key, 0o400},
		"/master":  {key64(tb) + "\n", 0o400},
		"/db":      {"postgres://app:" + canary + "@db1:5432,db2:5432/gatehouse?sslmode=verify-full\n", 0o400},
		"/redis":   {"rediss://:" + canary + "@r1:6379,r2:6379\n", 0o400},
	}
	return environ, files
}

func TestLoad_DefaultsNeedNothing(t *testing.T) {
	t.Parallel()
	l := mustLoad(t, []string{"PATH=/bin", "GATEHOUSE_REDIS_URL="}, nil, nil)
	c := l.Config
	if c.Database.URL.Reveal() != "sqlite:data/gatehouse.db" || !c.Database.SQLite() || c.MasterKeyPath() != "data/master.key" {
		t.Errorf("embedded stack: %q, %q", c.Database.URL.Reveal(), c.MasterKeyPath())
	}
	if c.PublicURL.String() != "http://localhost:3000" || !c.RateLimits || c.PasswordCost != 12 || c.Database.PoolSize != 20 {
		t.Errorf("defaults: %+v", c)
	}
	if c.Log.Level != slog.LevelInfo || c.Log.Format != config.LogAuto || c.TLS.Enabled() || c.Production() {
		t.Errorf("defaults: %+v", c)
	}
	want := config.Listen{Front: "127.0.0.1:3000", Auth: "127.0.0.1:3001", User: "127.0.0.1:3002", Admin: "127.0.0.1:3003"}
	if diff := cmp.Diff(want, c.Listen); diff != "" || len(l.Warnings) > 0 {
		t.Errorf("listeners: %s\nwarnings: %q", diff, l.Warnings)
	}
}

func TestLoad_Precedence(t *testing.T) {
	t.Parallel()
	files := map[string]file{"/etc/g.yaml": {"password_cost: 11\nlog_level: warn\nrate_limits: off\ndata_dir: /srv/g\ntrusted_proxies: [10.0.0.0/8, 192.0.2.1/32]\n", 0o600}}
	env := []string{"GATEHOUSE_CONFIG=/etc/g.yaml", "GATEHOUSE_LOG_LEVEL=debug", "GATEHOUSE_PASSWORD_COST=13"}
	l := mustLoad(t, env, files, map[string]string{"password-cost": "14"})
	if l.PasswordCost != 14 || l.Log.Level != slog.LevelDebug || l.RateLimits || l.Database.URL.Reveal() != "sqlite:/srv/g/gatehouse.db" {
		t.Errorf("got %+v", l.Config)
	}
	if want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32")}; !cmp.Equal(want, l.TrustedProxies, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })) {
		t.Errorf("proxies: %v", l.TrustedProxies)
	}
	sources := map[string]string{}
	for _, v := range l.Values {
		sources[v.Name] = v.Source
	}
	want := map[string]string{
		"GATEHOUSE_PASSWORD_COST": "flag --password-cost", "GATEHOUSE_LOG_LEVEL": "environment GATEHOUSE_LOG_LEVEL",
		"GATEHOUSE_DATA_DIR": "file g.yaml:4", "GATEHOUSE_PROFILE": "default",
	}
	for name, source := range want {
		if sources[name] != source {
			t.Errorf("%s comes from %q, want %q", name, sources[name], source)
		}
	}
	if len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "rate limits are off") {
		t.Errorf("warnings: %q", l.Warnings)
	}
}

func TestLoad_SecretFromFile(t *testing.T) {
	t.Parallel()
	a, b := key64(t), key64(t)
	files := map[string]file{"/k": {a + ", " + b + " \n\n", 0o644}}
	t.Run("OK", func(t *testing.T) {
		t.Parallel()
		l := mustLoad(t, []string{"GATEHOUSE_MASTER_KEY_FILE=/k"}, files, nil)
		if len(l.MasterKeys) != 2 || base64.StdEncoding.EncodeToString(l.MasterKeys[0][:]) != a {
			t.Errorf("%d keys", len(l.MasterKeys))
		}
	})
	t.Run("FlagBeatsVariable", func(t *testing.T) {
		t.Parallel()
		l := mustLoad(t, []string{"GATEHOUSE_MASTER_KEY=" + b}, files, map[string]string{"master-key-file": "/k"})
		if len(l.MasterKeys) != 2 {
			t.Errorf("%d keys", len(l.MasterKeys))
		}
	})
}

func TestLoad_ProductionOK(t *testing.T) {
	t.Parallel()
	env, files := production(t)
	l := mustLoad(t, env, files, nil)
	if len(l.Warnings) > 0 || !l.Production() {
		t.Errorf("warnings: %q", l.Warnings)
	}
}

func TestLoad_ProductionTakesASocket(t *testing.T) {
	t.Parallel()
	env, files := production(t)
	files["/db"] = file{"postgres:///gatehouse?host=/run/postgresql", 0o400}
	mustLoad(t, env, files, nil)
}

func TestLoad_Refuses(t *testing.T) {
	t.Parallel()
	zero := base64.StdEncoding.EncodeToString(make([]byte, 32))
	count := make([]byte, 32)
	for i := range count {
		count[i] = byte(i)
	}
	good := key64(t)
	tests := map[string]struct {
		env  []string
		name string // of the fault
		want string // in its message
	}{
		"unknown name":           {[]string{"GATEHOUSE_PASWORD_COST=12"}, "GATEHOUSE_PASWORD_COST", "not a known name"},
		"file of a non-secret":   {[]string{"GATEHOUSE_LOG_LEVEL_FILE=/x"}, "GATEHOUSE_LOG_LEVEL_FILE", "not a known name"},
		"name without effect":    {[]string{"GATEHOUSE_BLOB_URL=s3://b"}, "GATEHOUSE_BLOB_URL", "not supported by this version"},
		"search":                 {[]string{"GATEHOUSE_SEARCH_URL=x"}, "GATEHOUSE_SEARCH_URL", "not supported by this version"},
		"replicas from a file":   {[]string{"GATEHOUSE_DATABASE_REPLICA_URLS_FILE=/x"}, "GATEHOUSE_DATABASE_REPLICA_URLS_FILE", "not supported by this version"},
		"port that is no link":   {[]string{"GATEHOUSE_PORT=3000"}, "GATEHOUSE_PORT", "not a known name"},
		"profile":                {[]string{"GATEHOUSE_PROFILE=prod"}, "GATEHOUSE_PROFILE", "one of: development, production"},
		"cost":                   {[]string{"GATEHOUSE_PASSWORD_COST=9"}, "GATEHOUSE_PASSWORD_COST", "10 to 14"},
		"cost with text":         {[]string{"GATEHOUSE_PASSWORD_COST=12 " + canary}, "GATEHOUSE_PASSWORD_COST", "10 to 14"},
		"database":               {[]string{"GATEHOUSE_DATABASE_URL=mysql://u:" + canary + "@h/d"}, "GATEHOUSE_DATABASE_URL", "postgres://"},
		"unencoded password":     {[]string{"GATEHOUSE_DATABASE_URL=postgres://u:12/" + canary + "@h/d"}, "GATEHOUSE_DATABASE_URL", "percent-encoded"},
		"database without host":  {[]string{"GATEHOUSE_DATABASE_URL=postgres:///d"}, "GATEHOUSE_DATABASE_URL", "postgres://"},
		"database in memory":     {[]string{"GATEHOUSE_DATABASE_URL=sqlite::memory:"}, "GATEHOUSE_DATABASE_URL", "name a file"},
		"PostgreSQL without key": {[]string{"GATEHOUSE_DATABASE_URL=postgres://u:" + canary + "@h/d"}, "GATEHOUSE_MASTER_KEY", "required with PostgreSQL"},
		"owner of SQLite":        {[]string{"GATEHOUSE_MIGRATE_DATABASE_URL=postgres://u:" + canary + "@h/d"}, "GATEHOUSE_MIGRATE_DATABASE_URL", "no effect with SQLite"},
		"redis":                  {[]string{"GATEHOUSE_REDIS_URL=" + canary}, "GATEHOUSE_REDIS_URL", "redis://"},
		"smtp":                   {[]string{"GATEHOUSE_SMTP_URL=smtp://u:" + canary + "@a,b"}, "GATEHOUSE_SMTP_URL", "smtps://"},
		"smtp without sender":    {[]string{"GATEHOUSE_SMTP_URL=smtp://h"}, "GATEHOUSE_MAIL_FROM", "required with"},
		"public URL with path":   {[]string{"GATEHOUSE_PUBLIC_URL=https://h/path"}, "GATEHOUSE_PUBLIC_URL", "no default port"},
		"origin with slash":      {[]string{"GATEHOUSE_ALLOWED_ORIGINS=https://a.example,https://b.example/"}, "GATEHOUSE_ALLOWED_ORIGINS", "entry 2"},
		"origin star":            {[]string{"GATEHOUSE_ALLOWED_ORIGINS=*"}, "GATEHOUSE_ALLOWED_ORIGINS", "entry 1"},
		"origin default port":    {[]string{"GATEHOUSE_ALLOWED_ORIGINS=https://a.example:443"}, "GATEHOUSE_ALLOWED_ORIGINS", "entry 1"},
		"proxy bits":             {[]string{"GATEHOUSE_TRUSTED_PROXIES=10.1.0.0/8"}, "GATEHOUSE_TRUSTED_PROXIES", "bits"},
		"proxy everybody":        {[]string{"GATEHOUSE_TRUSTED_PROXIES=::/0"}, "GATEHOUSE_TRUSTED_PROXIES", "every address"},
		"listener":               {[]string{"GATEHOUSE_AUTH_ADDR=3001"}, "GATEHOUSE_AUTH_ADDR", "host:port"},
		"listener twice":         {[]string{"GATEHOUSE_AUTH_ADDR=127.0.0.1:3000"}, "GATEHOUSE_AUTH_ADDR", "GATEHOUSE_FRONT_ADDR too"},
		"certificate alone":      {[]string{"GATEHOUSE_TLS_CERT=/c"}, "GATEHOUSE_TLS_KEY", "required with"},
		"certificate missing":    {[]string{"GATEHOUSE_TLS_CERT=/c", "GATEHOUSE_TLS_KEY=/k"}, "GATEHOUSE_TLS_CERT", "cannot be read"},
		"administrator alone":    {[]string{"GATEHOUSE_ADMIN_PASSWORD=" + canary}, "GATEHOUSE_ADMIN_PASSWORD", "8 to 128"},
		"administrator half":     {[]string{"GATEHOUSE_ADMIN_EMAIL=ada@example.com"}, "GATEHOUSE_ADMIN_PASSWORD", "required with"},
		"key short":              {[]string{"GATEHOUSE_MASTER_KEY=" + canary}, "GATEHOUSE_MASTER_KEY", "32 random bytes"},
		"key zero":               {[]string{"GATEHOUSE_MASTER_KEY=" + zero}, "GATEHOUSE_MASTER_KEY", "not random"},
		"key counting":           {[]string{"GATEHOUSE_MASTER_KEY=" + base64.StdEncoding.EncodeToString(count)}, "GATEHOUSE_MASTER_KEY", "not random"},
		"key twice":              {[]string{"GATEHOUSE_MASTER_KEY=" + good + "," + good}, "GATEHOUSE_MASTER_KEY", "entry 2 repeats"},
		"key list ends early":    {[]string{"GATEHOUSE_MASTER_KEY=" + good + ","}, "GATEHOUSE_MASTER_KEY", "entry 2"},
		"secret twice":           {[]string{"GATEHOUSE_MASTER_KEY=" + good, "GATEHOUSE_MASTER_KEY_FILE=/x"}, "GATEHOUSE_MASTER_KEY", "itself and as"},
		"secret file missing":    {[]string{"GATEHOUSE_MASTER_KEY_FILE=/" + canary}, "GATEHOUSE_MASTER_KEY", "cannot be read"},
		"config file missing":    {[]string{"GATEHOUSE_CONFIG=/none"}, "GATEHOUSE_CONFIG", "cannot be read"},
		"collector":              {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=localhost:4317"}, "OTEL_EXPORTER_OTLP_ENDPOINT", "must be http"},
		"control character":      {[]string{"GATEHOUSE_DATA_DIR=/a\nb"}, "GATEHOUSE_DATA_DIR", "one line"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantFault(t, tt.env, nil, tt.name, tt.want)
		})
	}
}

func TestLoad_ProductionRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change     []string // variables to add or, with an empty value, to remove
		mode       map[string]fs.FileMode
		name, want string
	}{
		"plain public URL":     {change: []string{"GATEHOUSE_PUBLIC_URL=http://id.example"}, name: "GATEHOUSE_PUBLIC_URL", want: "https://"},
		"no certificate":       {change: []string{"GATEHOUSE_TLS_CERT=", "GATEHOUSE_TLS_KEY="}, name: "GATEHOUSE_TLS_CERT", want: "required"},
		"no master key":        {change: []string{"GATEHOUSE_MASTER_KEY_FILE="}, name: "GATEHOUSE_MASTER_KEY", want: "required"},
		"low cost":             {change: []string{"GATEHOUSE_PASSWORD_COST=11"}, name: "GATEHOUSE_PASSWORD_COST", want: "at least 12"},
		"no limits":            {change: []string{"GATEHOUSE_RATE_LIMITS=off"}, name: "GATEHOUSE_RATE_LIMITS", want: "must be on"},
		"database unproven":    {change: []string{"GATEHOUSE_DATABASE_URL_FILE=", "GATEHOUSE_DATABASE_URL=postgres://u:" + canary + "@h/d?sslmode=require"}, name: "GATEHOUSE_DATABASE_URL", want: "verify-full"},
		"sslmode twice":        {change: []string{"GATEHOUSE_DATABASE_URL_FILE=", "GATEHOUSE_DATABASE_URL=postgres://h/d?sslmode=verify-full&sslmode=disable"}, name: "GATEHOUSE_DATABASE_URL", want: "verify-full"},
		"owner unproven":       {change: []string{"GATEHOUSE_MIGRATE_DATABASE_URL=postgres://u:" + canary + "@h/d"}, name: "GATEHOUSE_MIGRATE_DATABASE_URL", want: "verify-full"},
		"plain redis":          {change: []string{"GATEHOUSE_REDIS_URL_FILE=", "GATEHOUSE_REDIS_URL=redis://:" + canary + "@h"}, name: "GATEHOUSE_REDIS_URL", want: "rediss://"},
		"plain origin":         {change: []string{"GATEHOUSE_ALLOWED_ORIGINS=http://a.example"}, name: "GATEHOUSE_ALLOWED_ORIGINS", want: "https://"},
		"plain collector":      {change: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318"}, name: "OTEL_EXPORTER_OTLP_ENDPOINT", want: "https://"},
		"open secret file":     {mode: map[string]fs.FileMode{"/master": 0o440}, name: "GATEHOUSE_MASTER_KEY", want: "readable"},
		"open URL file":        {mode: map[string]fs.FileMode{"/db": 0o404}, name: "GATEHOUSE_DATABASE_URL", want: "readable"},
		"open certificate key": {mode: map[string]fs.FileMode{"/tls.key": 0o444}, name: "GATEHOUSE_TLS_KEY", want: "readable"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env, files := production(t)
			for path, mode := range tt.mode {
				files[path] = file{files[path].data, mode}
			}
			for _, change := range tt.change {
				name, value, _ := strings.Cut(change, "=")
				var kept []string
				for _, e := range env {
					if !strings.HasPrefix(e, name+"=") {
						kept = append(kept, e)
					}
				}
				if env = kept; value != "" {
					env = append(env, change)
				}
			}
			wantFault(t, env, files, tt.name, tt.want)
		})
	}
}

// wantFault checks that the first fault is the one named, and that neither
// faults nor warnings repeat a secret.
func wantFault(tb testing.TB, env []string, files map[string]file, name, want string) {
	tb.Helper()
	l, err := load(env, files, nil)
	var faults *config.Error
	if !errors.As(err, &faults) {
		tb.Fatalf("Load: %v, want an *Error", err)
	}
	if f := faults.Faults[0]; f.Name != name || !strings.Contains(f.Message, want) {
		tb.Errorf("fault %q, want %s with %q", f, name, want)
	}
	if all := err.Error() + strings.Join(l.Warnings, ""); strings.Contains(all, canary) {
		tb.Errorf("a secret is repeated: %s", all)
	}
}

func TestLoad_ReportsEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	_, err := load([]string{
		"GATEHOUSE_PASSWORD_COST=x", "GATEHOUSE_LOG_LEVEL=loud", "GATEHOUSE_NOPE=1", "GATEHOUSE_MASTER_KEY=" + canary,
	}, nil, map[string]string{"log-format": "xml"})
	var faults *config.Error
	if !errors.As(err, &faults) || len(faults.Faults) != 5 {
		t.Fatalf("want five faults: %v", err)
	}
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 6 || strings.Contains(err.Error(), canary) {
		t.Errorf("one line a fault: %q", lines)
	}
}

func TestLoad_IgnoresKubernetesServiceLinks(t *testing.T) {
	t.Parallel()
	env := []string{
		"GATEHOUSE_PORT=tcp://10.0.0.1:3000", "GATEHOUSE_SERVICE_HOST=10.0.0.1", "GATEHOUSE_SERVICE_PORT=3000", "GATEHOUSE_SERVICE_PORT_HTTPS=3000",
		"GATEHOUSE_PORT_3000_TCP=tcp://10.0.0.1:3000", "GATEHOUSE_PORT_3000_TCP_ADDR=10.0.0.1", "GATEHOUSE_PORT_3000_TCP_PORT=3000", "GATEHOUSE_PORT_3000_TCP_PROTO=tcp",
		"GATEHOUSE_AUTH_SERVICE_HOST=fd00::1", "GATEHOUSE_AUTH_PORT=tcp://[fd00::1]:3001",
	}
	l := mustLoad(t, env, nil, nil)
	if len(l.Warnings) != len(env) {
		t.Errorf("warnings: %q", l.Warnings)
	}
}

func TestLoad_ProductionWarns(t *testing.T) {
	t.Parallel()
	env, files := production(t)
	env = append(env[:4], "GATEHOUSE_MASTER_KEY="+key64(t))
	l := mustLoad(t, env, files, nil)
	all := strings.Join(l.Warnings, "\n")
	for _, name := range []string{"GATEHOUSE_MASTER_KEY_FILE", "GATEHOUSE_MANAGEMENT_ADDR", "GATEHOUSE_SMTP_URL"} {
		if !strings.Contains(all, name) {
			t.Errorf("no warning about %s in %s", name, all)
		}
	}
}

func TestLoad_YAMLRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ yaml, name, want string }{
		"unknown key":       {"log_level: info\npasword: " + canary, "pasword", "not a known name"},
		"key without use":   {"search_url: x", "search_url", "not supported"},
		"key twice":         {"log_level: info\nlog_level: warn", "log_level", "given twice"},
		"nested":            {"tls:\n  cert: x", "GATEHOUSE_CONFIG", "line 2"},
		"list of lists":     {"trusted_proxies: [[a]]", "GATEHOUSE_CONFIG", "line 1"},
		"upper case":        {"LOG_LEVEL: info", "GATEHOUSE_CONFIG", "lower case"},
		"secret as a key":   {"postgres://u:" + canary + "@h/d: x", "GATEHOUSE_CONFIG", "line 1"},
		"alias":             {"admin_password: *" + canary, "GATEHOUSE_CONFIG", "not valid YAML"},
		"broken":            {"log_level: [" + canary, "GATEHOUSE_CONFIG", "not valid YAML"},
		"two documents":     {"log_level: info\n---\nlog_level: warn", "GATEHOUSE_CONFIG", "one YAML document"},
		"not a mapping":     {"- a", "GATEHOUSE_CONFIG", "mapping"},
		"config in config":  {"config: /other", "config", "not a known name"},
		"value of the file": {"password_cost: 3", "GATEHOUSE_PASSWORD_COST", "10 to 14"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantFault(t, []string{"GATEHOUSE_CONFIG=/g.yaml"}, map[string]file{"/g.yaml": {tt.yaml, 0o600}}, tt.name, tt.want)
		})
	}
	t.Run("OpenFileWithSecretInProduction", func(t *testing.T) {
		t.Parallel()
		env, files := production(t)
		files["/g.yaml"] = file{"smtp_url: smtps://u:" + canary + "@mail.example\nmail_from: id@id.example\n", 0o644}
		env = append(env[:7], "GATEHOUSE_CONFIG=/g.yaml")
		wantFault(t, env, files, "GATEHOUSE_SMTP_URL", "readable")
	})
	t.Run("EmptyOK", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"", "# nothing\n", "log_level:\n"} {
			mustLoad(t, []string{"GATEHOUSE_CONFIG=/g.yaml"}, map[string]file{"/g.yaml": {text, 0o600}}, nil)
		}
	})
}

func TestPrint_ShowsSourcesAndNoSecret(t *testing.T) {
	t.Parallel()
	env, files := production(t)
	env = append(env, "GATEHOUSE_ADMIN_EMAIL=ada@example.com", "GATEHOUSE_ADMIN_PASSWORD="+canary+canary)
	l := mustLoad(t, env, files, map[string]string{"log-level": "warn"})
	var out bytes.Buffer
	if err := l.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"database_url: postgres://[redacted]@db1:5432,db2:5432/gatehouse?[redacted] # environment GATEHOUSE_DATABASE_URL_FILE\n",
		"master_key: '[redacted]' # environment GATEHOUSE_MASTER_KEY_FILE\n",
		"log_level: warn # flag --log-level\n",
		"otel_exporter_otlp_endpoint: null # default\n",
		"password_cost: \"12\" # default\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), canary) {
		t.Errorf("a secret is shown:\n%s", &out)
	}
}
