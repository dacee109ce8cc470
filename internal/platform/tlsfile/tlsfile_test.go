package tlsfile_test

import (
	"bytes"
	"context"
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
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"gatehouse/internal/platform/tlsfile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mustPair returns a certificate for id.example and its key.
func mustPair(tb testing.TB, notAfter time.Time) (cert, key []byte) {
	tb.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: notAfter, DNSNames: []string{"id.example"}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, k.Public(), k)
	if err != nil {
		tb.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk})
}

func mustWrite(tb testing.TB, path string, data []byte) {
	tb.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
}

func TestRun_TakesTheNewPairOnceItIsWhole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		certFile, keyFile := filepath.Join(dir, "crt"), filepath.Join(dir, "key")
		before, after := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2032, 1, 1, 0, 0, 0, 0, time.UTC)
		cert, key := mustPair(t, before)
		mustWrite(t, certFile, cert)
		mustWrite(t, keyFile, key)
		var log bytes.Buffer
		c, err := tlsfile.Load(certFile, keyFile, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()

		cert, key = mustPair(t, after)
		mustWrite(t, certFile, cert) // the key is still the old one
		time.Sleep(time.Minute)
		synctest.Wait()
		if !c.NotAfter().Equal(before) || strings.Count(log.String(), "stays the old one") != 1 {
			t.Errorf("half a pair: %v, log %s", c.NotAfter(), &log)
		}
		mustWrite(t, keyFile, key)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if !c.NotAfter().Equal(after) {
			t.Errorf("whole pair: %v", c.NotAfter())
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestLoad_RefusesWhatIsNoPair(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "crt"), filepath.Join(dir, "key")
	if _, err := tlsfile.Load(certFile, keyFile, slog.Default()); err == nil {
		t.Error("missing files are accepted")
	}
	cert, _ := mustPair(t, time.Now().Add(time.Hour))
	_, key := mustPair(t, time.Now().Add(time.Hour))
	mustWrite(t, certFile, cert)
	mustWrite(t, keyFile, key)
	if _, err := tlsfile.Load(certFile, keyFile, slog.Default()); err == nil {
		t.Error("a foreign key is accepted")
	}
}

func TestConfig_SpeaksTLS13Only(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "crt"), filepath.Join(dir, "key")
	cert, key := mustPair(t, time.Now().Add(time.Hour))
	mustWrite(t, certFile, cert)
	mustWrite(t, keyFile, key)
	c, err := tlsfile.Load(certFile, keyFile, slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	for version, ok := range map[uint16]bool{tls.VersionTLS12: false, tls.VersionTLS13: true} {
		client, server := net.Pipe()
		go func() {
			_ = tls.Server(server, c.Config()).HandshakeContext(t.Context())
			_ = server.Close()
		}()
		conn := tls.Client(client, &tls.Config{RootCAs: roots, ServerName: "id.example", MaxVersion: version, MinVersion: tls.VersionTLS12})
		if err := conn.HandshakeContext(t.Context()); (err == nil) != ok {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		_ = client.Close()
	}
}
