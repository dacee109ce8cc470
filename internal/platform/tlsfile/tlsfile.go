// Package tlsfile serves a TLS certificate from files and reads them again when
// they change, so that a certificate can be renewed without dropping a link
// (TLS-3, DEP-6).
package tlsfile

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// interval is how often Run looks at the files.
const interval = 5 * time.Second

// Certificate is a certificate chain and its key, always those of the files
// when the files are good. It is safe for concurrent use.
type Certificate struct {
	certFile, keyFile string
	logger            *slog.Logger
	current           atomic.Pointer[tls.Certificate]
	seen              [sha256.Size]byte // of the files at the last look; only Load and Run touch it
}

// Load reads the PEM files. It returns an error when they cannot be read or do
// not belong together.
func Load(certFile, keyFile string, logger *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, logger: logger}
	if _, err := c.reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// Config returns a configuration for servers: TLS 1.3, HTTP/2 and HTTP/1.1.
// Connections that exist keep the certificate they began with.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}

// NotAfter returns when the certificate runs out.
func (c *Certificate) NotAfter() time.Time { return c.current.Load().Leaf.NotAfter }

// Run looks at the files every few seconds until ctx ends, and returns nil.
// Files that are not good, as they are between the renewal of one and of the
// other, change nothing and are logged once.
func (c *Certificate) Run(ctx context.Context) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	trouble := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		changed, err := c.reload()
		switch {
		case err != nil && err.Error() != trouble:
			trouble = err.Error()
			c.logger.ErrorContext(ctx, "TLS certificate stays the old one", slog.Any("error", err), slog.Time("not_after", c.NotAfter()))
		case changed:
			c.logger.InfoContext(ctx, "TLS certificate is new", slog.Time("not_after", c.NotAfter()))
		}
		if err == nil {
			trouble = ""
		}
	}
}

// reload compares contents, since the mounts of an orchestrator swap files
// without a new time of change.
func (c *Certificate) reload() (changed bool, err error) {
	cert, certErr := os.ReadFile(c.certFile)
	key, keyErr := os.ReadFile(c.keyFile)
	if err := errors.Join(certErr, keyErr); err != nil {
		return false, fmt.Errorf("read TLS certificate: %w", err)
	}
	h := sha256.New()
	h.Write(cert)
	h.Write(key)
	sum := [sha256.Size]byte(h.Sum(nil))
	if sum == c.seen {
		return false, nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return false, fmt.Errorf("read TLS certificate: %w", err)
	}
	c.current.Store(&pair)
	c.seen = sum
	return true, nil
}
