package telemetry

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"
)

const (
	redacted = "[redacted]"
	maxText  = 4 << 10 // of one attribute
)

// sensitive reports whether text under this key is a secret by its name.
func sensitive(key string) bool {
	key = strings.ReplaceAll(strings.ToLower(key), "-", "_")
	for _, word := range [...]string{
		"passw", "passphrase", "secret", "token", "authorization", "cookie", "credential", "api_key", "apikey", "private_key", "master_key", "totp",
	} {
		if strings.Contains(key, word) {
			return true
		}
	}
	return false
}

// redactor rewrites attributes on their way to the log.
type redactor struct{ text bool }

// replace hides secrets, cuts addresses and long text, and turns instants to
// UTC. It sees resolved values: what has a LogValue method is done already.
func (r redactor) replace(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindTime:
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	case slog.KindString:
		if s := a.Value.String(); sensitive(a.Key) {
			a.Value = slog.StringValue(redacted)
		} else if len(s) > maxText {
			a.Value = slog.StringValue(cut(s))
		}
	case slog.KindAny:
		if sensitive(a.Key) {
			a.Value = slog.StringValue(redacted)
		} else {
			a.Value = r.any(a.Value)
		}
	}
	return a
}

func (r redactor) any(v slog.Value) slog.Value {
	switch x := v.Any().(type) {
	case nil, slog.Level:
		return v
	case error:
		return slog.StringValue(cut(x.Error()))
	case netip.Addr:
		return slog.StringValue(CutAddr(x))
	case netip.AddrPort:
		return slog.StringValue(CutAddr(x.Addr()))
	case http.Header, url.Values, *http.Request, *http.Response, *http.Cookie, *url.URL, url.URL:
		return slog.StringValue(redacted) // they carry tokens under any name
	}
	if !r.text {
		return v
	}
	// The text handler would print unexported fields, secret ones too.
	data, err := json.Marshal(v.Any())
	if err != nil {
		return slog.StringValue("!" + err.Error())
	}
	return slog.StringValue(cut(string(data)))
}

func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// CutAddr returns the network of a person's address, which is all that logs,
// metrics and traces may hold of it (PRV-4).
func CutAddr(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	bits := 48
	if a = a.Unmap(); a.Is4() {
		bits = 24
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}
