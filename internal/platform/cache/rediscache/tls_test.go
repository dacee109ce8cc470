package rediscache_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/platform/cache"
	"gatehouse/internal/platform/cache/rediscache"
)

// mustCertificate writes a self-signed certificate for a loopback address and
// returns the pool that trusts it.
func mustCertificate(tb testing.TB, dir string, names ...net.IP) (certFile, keyFile string, roots *x509.CertPool) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: names,
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			tb.Fatal(err)
		}
		return path
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(cert)
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", private), roots
}

func mustFreePort(tb testing.TB) string {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func TestCache_VerifiesTheServersCertificateAndName(t *testing.T) {
	t.Parallel()
	certFile, keyFile, roots := mustCertificate(t, t.TempDir(), net.IPv4(127, 0, 0, 1))
	port := mustFreePort(t)
	mustRedis(t, "--tls-port", port, "--tls-cert-file", certFile, "--tls-key-file", keyFile,
		"--tls-ca-cert-file", certFile, "--tls-auth-clients", "no")

	good := mustRun(t, rediscache.Config{URL: "rediss://127.0.0.1:" + port, RootCAs: roots, MinTLS: tls.VersionTLS13})
	mustState(t, good, cache.Up)
	mustStore(t, good, "k", "v")

	for name, c := range map[string]rediscache.Config{
		"unknown issuer": {URL: "rediss://127.0.0.1:" + port},
		"other name":     {URL: "rediss://localhost:" + port, RootCAs: roots},
	} {
		fault := make(faults, 1)
		c.Logger = slog.New(slog.NewTextHandler(fault, nil))
		r := mustRun(t, c)
		if line := <-fault; !strings.Contains(line, "x509") {
			t.Errorf("%s: %s", name, line)
		}
		if _, ok := r.Get(t.Context(), "k"); ok || r.State() != cache.Degraded {
			t.Errorf("%s: connected", name)
		}
	}
}

// faults takes the lines of a log, as far as there is room.
type faults chan string

func (f faults) Write(line []byte) (int, error) {
	select {
	case f <- string(line):
	default:
	}
	return len(line), nil
}
