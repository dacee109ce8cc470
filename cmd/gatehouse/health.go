package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/config"
)

type healthCmd struct {
	outputFlag
	URL     string        `placeholder:"URL" help:"Base URL of the server. Default: the configured address of --service on this machine."`
	Service string        `enum:"front,auth,user,admin,management" default:"front" help:"Which listener to ask: front, auth, user, admin or management."`
	Timeout time.Duration `default:"5s" help:"How long to wait for the answer."`
	configFlags
}

// health is the answer of a server, or that there is none.
type health struct {
	URL    string            `json:"url"`
	Status string            `json:"status"`
	Checks map[string]string `json:"checks,omitempty"`
	Error  string            `json:"error,omitempty"`
}

// Run asks for readiness. A degraded server is a ready one.
func (c healthCmd) Run(ctx context.Context, e *env) error {
	loaded, err := e.Load()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	h, ready := c.ask(ctx, &loaded.Config)
	if err := c.show(e.Stdout, h, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, strings.TrimSpace(h.URL+" "+h.Status+" "+h.Error))
		for _, name := range slices.Sorted(maps.Keys(h.Checks)) {
			_, err = fmt.Fprintf(w, "  %s %s\n", name, h.Checks[name])
		}
		return err
	}); err != nil {
		return err
	}
	if !ready {
		return exitStatus(exitFailed)
	}
	return nil
}

// ask sends the request and reports whether the answer was 200.
func (c healthCmd) ask(ctx context.Context, cfg *config.Config) (h health, ready bool) {
	h = health{URL: c.URL, Status: "unreachable"}
	tlsConfig, err := trust(cfg.TLS, c.URL == "")
	if h.URL == "" && err == nil {
		h.URL, err = localURL(cfg, c.Service)
	}
	if err == nil {
		h.URL = strings.TrimSuffix(h.URL, "/") + "/health/ready"
		ready, err = h.fetch(ctx, tlsConfig)
	}
	if err != nil {
		h.Error = err.Error()
	}
	return h, ready
}

// fetch fills in the answer of the server.
func (h *health) fetch(ctx context.Context, c *tls.Config) (ready bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL, nil)
	if err != nil {
		return false, errors.New("not a URL")
	}
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: c, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	reply, err := client.Do(req)
	if err != nil {
		if u := (*url.Error)(nil); errors.As(err, &u) {
			err = u.Err // h names the URL
		}
		return false, err
	}
	defer func() { _ = reply.Body.Close() }()
	h.Status = reply.Status
	if err := json.NewDecoder(io.LimitReader(reply.Body, 64<<10)).Decode(h); err != nil {
		return false, errors.New("the answer is not that of a Gatehouse server")
	}
	return reply.StatusCode == http.StatusOK, nil
}

// localURL returns the base URL of a listener of this machine.
func localURL(cfg *config.Config, service string) (string, error) {
	l := cfg.Listen
	addr := map[string]string{"front": l.Front, "auth": l.Auth, "user": l.User, "admin": l.Admin, "management": l.Management}[service]
	if addr == "" {
		return "", errors.New("GATEHOUSE_MANAGEMENT_ADDR is not set")
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("address of the %s listener: %w", service, err)
	}
	if a, err := netip.ParseAddr(host); host == "" || (err == nil && a.IsUnspecified()) {
		host = "localhost"
	}
	scheme := "http"
	if cfg.TLS.Enabled() {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port), nil
}

// trust returns a TLS configuration that believes in the system's authorities
// and in the server's own certificate. A local server is not asked under a name
// of its certificate, so that name is taken from the file.
func trust(t config.TLS, local bool) (*tls.Config, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	c := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots}
	if !t.Enabled() {
		return c, nil
	}
	chain, err := os.ReadFile(t.CertFile)
	if err != nil {
		return nil, fmt.Errorf("read TLS certificate: %w", err)
	}
	block, _ := pem.Decode(chain)
	if block == nil {
		return nil, errors.New("read TLS certificate: not a PEM file")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read TLS certificate: %w", err)
	}
	roots.AddCert(leaf)
	switch {
	case !local:
	case len(leaf.DNSNames) > 0:
		c.ServerName = strings.Replace(leaf.DNSNames[0], "*", "any", 1)
	case len(leaf.IPAddresses) > 0:
		c.ServerName = leaf.IPAddresses[0].String()
	}
	return c, nil
}
