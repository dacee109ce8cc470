package config

import (
	"encoding/base64"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"gatehouse/internal/platform/secret"
)

func FuzzParseMasterKeys(f *testing.F) {
	k := secret.NewKey()
	good := base64.StdEncoding.EncodeToString(k[:])
	for _, s := range []string{"", good, good + "," + good, good[:43], strings.Repeat("A", 43) + "=", good + "\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		keys, err := ParseMasterKeys(secret.String(s))
		if err != nil {
			if len(s) > 12 && strings.Contains(err.Error(), s) {
				t.Fatalf("the error repeats its input: %v", err)
			}
			return
		}
		if len(keys) != len(strings.Split(s, ",")) {
			t.Fatalf("%d keys of %q", len(keys), s)
		}
		seen := map[secret.Key]bool{}
		for i, k := range keys {
			if seen[k] || k == (secret.Key{}) || base64.StdEncoding.EncodeToString(k[:]) != entries(s)[i] {
				t.Fatalf("accepted %q", s)
			}
			seen[k] = true
		}
	})
}

func FuzzParseOrigins(f *testing.F) {
	for _, s := range []string{"https://a.example", "http://[::1]:3000,https://b:8443", "https://a:443", "null", "*", "https://a.example:", "https://u@h", "HTTPS://a", "https://a%41"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		origins, err := parseOrigins(s)
		if err != nil {
			return
		}
		for _, o := range origins {
			u, err := url.Parse(o)
			if err != nil || u.Scheme+"://"+u.Host != o || u.Hostname() == "" || o != strings.ToLower(o) || strings.HasSuffix(o, ":") {
				t.Fatalf("accepted origin %q", o)
			}
		}
	})
}

func FuzzParsePrefixes(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "fd00::/8, 192.0.2.1/32", "::ffff:10.0.0.0/104", "0.0.0.0/0", "10.1.1.1/8", "1.2.3.4", ","} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		prefixes, err := parsePrefixes(s)
		if err != nil {
			return
		}
		for _, p := range prefixes {
			if p.Contains(netip.MustParseAddr("203.0.113.1")) && p.Contains(netip.MustParseAddr("10.0.0.1")) || p.Addr().Is4In6() || !p.IsValid() {
				t.Fatalf("accepted %v of %q", p, s)
			}
		}
	})
}

func FuzzShowURL(f *testing.F) {
	for _, s := range []string{"user:pa@h/d", "u:12/c4n4ry@h", "u:c4n4ry@h1:1,h2:2/d?password=c4n4ry", "u:c4n4ry#@h", "u:c4n4ry?@h/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, password string) {
		if strings.ContainsAny(password, "[]") || len(password) < 4 || strings.Contains("redacted postgres://[redacted]@host/name", password) {
			return
		}
		if shown := showURL("postgres://u:" + password + "@host/name"); strings.Contains(shown, password) {
			t.Fatalf("%q is shown in %q", password, shown)
		}
	})
}

func FuzzParseYAML(f *testing.F) {
	for _, s := range []string{"a: b", "a: [b, c]", "a: &x b\nc: *x", "{}", "? a\n: b", "a: !!binary x", "---\n...\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		pairs, err := parseYAML([]byte(s))
		if err != nil && strings.ContainsAny(err.Error(), "\n\"'") {
			t.Fatalf("the error repeats its input: %v", err)
		}
		for _, p := range pairs {
			if p.key == "" || p.line < 1 {
				t.Fatalf("%+v of %q", p, s)
			}
		}
	})
}
