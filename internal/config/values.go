package config

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The parsers of this file say what a good value looks like and never repeat
// the bad one: an operator may have put a secret under the wrong name.

var (
	errOrigin = errors.New("must be scheme://host[:port] in lower case, http or https, with no default port, path or user")
	errListen = errors.New("must be host:port or :port")
)

// parseOrigin accepts exactly what a browser sends as Origin.
func parseOrigin(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Scheme+"://"+u.Host != s || !isHost(u.Hostname()) {
		return nil, errOrigin
	}
	if _, after, ok := strings.Cut(strings.TrimPrefix(u.Host, "["+u.Hostname()+"]"), ":"); ok && !isPort(after, 1) {
		return nil, errOrigin
	}
	if u.Port() == defaultPort(u.Scheme) {
		return nil, errOrigin
	}
	return u, nil
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// isHost accepts an address in canonical form or a name of lower-case ASCII
// labels.
func isHost(h string) bool {
	if a, err := netip.ParseAddr(h); err == nil {
		return a.String() == h && a.Zone() == ""
	}
	if len(h) == 0 || len(h) > 253 {
		return false
	}
	for label := range strings.SplitSeq(h, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}

// isPort accepts a port in its shortest decimal form.
func isPort(s string, lowest uint64) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n >= lowest && strconv.FormatUint(n, 10) == s
}

func parsePublicURL(s string) (*url.URL, error) { return parseOrigin(strings.TrimSuffix(s, "/")) }

func parseOrigins(s string) ([]string, error) {
	var origins []string
	for i, entry := range entries(s) {
		if _, err := parseOrigin(entry); err != nil {
			return nil, fmt.Errorf("entry %d %w", i+1, err)
		}
		origins = append(origins, entry)
	}
	return origins, nil
}

func parsePrefixes(s string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for i, entry := range entries(s) {
		p, err := netip.ParsePrefix(entry)
		switch {
		case err != nil:
			return nil, fmt.Errorf("entry %d must be a network such as 10.0.0.0/8 or 192.0.2.7/32", i+1)
		case p.Masked() != p:
			return nil, fmt.Errorf("entry %d has bits set behind its prefix length", i+1)
		case p.Addr().Is4In6():
			return nil, fmt.Errorf("entry %d must be written as an IPv4 network", i+1)
		case p.Bits() == 0:
			return nil, fmt.Errorf("entry %d trusts every address, so that anyone could claim any", i+1)
		}
		prefixes = append(prefixes, p)
	}
	return prefixes, nil
}

// entries splits a list at its commas. An empty entry stays, to be refused.
func entries(s string) []string {
	list := strings.Split(s, ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

func parseListen(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil || (host != "" && !isHost(host)) || !isPort(port, 0) {
		return "", errListen
	}
	return s, nil
}

func parseEmail(s string) (string, error) {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s {
		return "", errors.New("must be an e-mail address")
	}
	return s, nil
}

func parseFrom(s string) (string, error) {
	if _, err := mail.ParseAddress(s); err != nil {
		return "", errors.New("must be an e-mail address, or a name and <address>")
	}
	return s, nil
}

func parseEndpoint(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("must be http://host:port or https://host:port, without user or query")
	}
	return s, nil
}

// checkPassword refuses what cannot be a password at all. Whether it is a good
// one is for the password policy to say.
func checkPassword(s string) error {
	if n := utf8.RuneCountInString(s); n < 8 || n > 128 {
		return errors.New("must have 8 to 128 characters")
	}
	return nil
}

func checkDatabaseURL(s string) error {
	if path, ok := strings.CutPrefix(s, sqliteScheme); ok {
		if path == "" || path == ":memory:" {
			return errors.New("must name a file, as in sqlite:PATH")
		}
		return nil
	}
	return checkPostgresURL(s)
}

func checkPostgresURL(s string) error {
	u, ok := parseHosts(s)
	if !ok || (u.Scheme != "postgres" && u.Scheme != "postgresql") || (u.Host == "" && !onSocket(u)) || strings.Trim(u.Path, "/") == "" {
		return errors.New("must be postgres://user:password@host:port/name, special characters in the password percent-encoded")
	}
	return nil
}

// onSocket reports whether the server is on this machine, behind a file:
// postgres:///name?host=/var/run/postgresql.
func onSocket(u *url.URL) bool {
	hosts := u.Query()["host"]
	return u.Host == "" && len(hosts) == 1 && strings.HasPrefix(hosts[0], "/")
}

func checkRedisURL(s string) error {
	u, ok := parseHosts(s)
	if !ok || (u.Scheme != "redis" && u.Scheme != "rediss") || u.Host == "" {
		return errors.New("must be redis:// or rediss:// with one or more hosts, special characters in the password percent-encoded")
	}
	return nil
}

func checkSMTPURL(s string) error {
	u, ok := parseHosts(s)
	if !ok || (u.Scheme != "smtp" && u.Scheme != "smtps") || u.Host == "" || strings.Contains(u.Host, ",") || strings.Trim(u.Path, "/") != "" {
		return errors.New("must be smtp:// or smtps:// with one host, special characters in the password percent-encoded")
	}
	return nil
}

// parseHosts parses a URL whose authority may list several hosts, or none. The
// Host of the result is the whole list. It refuses a URL in which an unencoded
// character of the password could have ended the user part early.
func parseHosts(s string) (*url.URL, bool) {
	if strings.Count(s, "@") > 1 || strings.Contains(s, "#") {
		return nil, false
	}
	scheme, after, ok := strings.Cut(s, "://")
	if !ok {
		return nil, false
	}
	end := len(after)
	if i := strings.IndexAny(after, "/?"); i >= 0 {
		end = i
	}
	authority, tail := after[:end], after[end:]
	user := ""
	if i := strings.IndexByte(authority, '@'); i >= 0 {
		user, authority = authority[:i+1], authority[i+1:]
	} else if strings.Contains(tail, "@") {
		return nil, false
	}
	var hosts []string
	if authority != "" {
		hosts = strings.Split(authority, ",")
	}
	for _, host := range hosts {
		u, err := url.Parse("x://" + host)
		if err != nil || u.Hostname() == "" || u.Host != host {
			return nil, false
		}
	}
	u, err := url.Parse(scheme + "://" + user + "x" + tail)
	if err != nil {
		return nil, false
	}
	if _, err := url.ParseQuery(u.RawQuery); err != nil {
		return nil, false
	}
	u.Host = authority
	return u, true
}
