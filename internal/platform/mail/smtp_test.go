package mail_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"gatehouse/internal/platform/mail"
	"gatehouse/internal/platform/secret"
)

// mailServer is an SMTP server that keeps what it receives.
type mailServer struct {
	addr string
	cas  *x509.CertPool

	mu       sync.Mutex
	received []envelope
}

type envelope struct {
	user, from string
	to         []string
	data       string
	encrypted  bool
}

// serve starts a server on a loopback port; adjust may change it before.
func serve(t *testing.T, implicitTLS bool, adjust func(*smtp.Server)) *mailServer {
	t.Helper()
	certificate, cas := mustCertificate(t)
	m := &mailServer{cas: cas}
	s := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{server: m, conn: c}, nil
	}))
	s.Domain = "localhost"
	s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	if adjust != nil {
		adjust(s)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.addr = l.Addr().String()
	if implicitTLS {
		l = tls.NewListener(l, s.TLSConfig)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return m
}

func (m *mailServer) all() []envelope {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]envelope(nil), m.received...)
}

type session struct {
	server *mailServer
	conn   *smtp.Conn
	envelope
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "gate" || password != "p@ss" {
			return smtp.ErrAuthFailed
		}
		s.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	switch {
	case strings.HasPrefix(to, "gone@"):
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no " + to + " here"}
	case strings.HasPrefix(to, "grey@"):
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: to + " come back"}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.data = string(b)
	_, s.encrypted = s.conn.TLSConnectionState()
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.received = append(s.server.received, s.envelope)
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

func mustCertificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func mustSMTP(t *testing.T, c mail.SMTPConfig) *mail.SMTP {
	t.Helper()
	c.From, c.Now = from, time.Now
	s, err := mail.NewSMTP(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func hello(to string) mail.Message {
	return mail.Message{ID: "job-1", To: to, Subject: "Hello", Text: "Text", HTML: "<p>HTML</p>"}
}

func TestSMTP_DeliversEncryptedAndAuthenticated(t *testing.T) {
	t.Parallel()
	for scheme, implicit := range map[string]bool{"smtp://": false, "smtps://": true} {
		server := serve(t, implicit, nil)
		s := mustSMTP(t, mail.SMTPConfig{URL: secret.String(scheme + "gate:p%40ss@" + server.addr), RootCAs: server.cas})
		if err := s.Send(t.Context(), hello("ada@example.com")); err != nil {
			t.Fatalf("%s: %v", scheme, err)
		}
		got := server.all()
		if len(got) != 1 {
			t.Fatalf("%s: %d messages", scheme, len(got))
		}
		e := got[0]
		if !e.encrypted || e.user != "gate" || e.from != "no-reply@example.com" || len(e.to) != 1 || e.to[0] != "ada@example.com" {
			t.Errorf("%s: envelope %+v", scheme, e)
		}
		if !strings.Contains(e.data, "Message-ID: <job-1@example.com>") || !strings.Contains(e.data, "<p>HTML</p>") {
			t.Errorf("%s: message %s", scheme, e.data)
		}
	}
}

func TestSMTP_NeverFallsBackToPlainText(t *testing.T) {
	t.Parallel()
	noTLS := serve(t, false, func(s *smtp.Server) { s.TLSConfig = nil })
	old := serve(t, false, func(s *smtp.Server) { s.TLSConfig.MaxVersion = tls.VersionTLS12 })
	own := serve(t, false, nil)
	for name, c := range map[string]mail.SMTPConfig{
		"server without TLS":   {URL: secret.String("smtp://" + noTLS.addr)},
		"server with TLS 1.2":  {URL: secret.String("smtp://" + old.addr), RootCAs: old.cas},
		"unknown authority":    {URL: secret.String("smtp://" + own.addr), RootCAs: noTLS.cas},
		"unknown on loopback":  {URL: secret.String("smtp://" + own.addr), RootCAs: noTLS.cas, AllowPlainLoopback: true},
		"another name":         {URL: secret.String(strings.Replace("smtp://"+own.addr, "127.0.0.1", "localhost", 1)), RootCAs: own.cas},
		"smtps to plain texts": {URL: secret.String("smtps://" + noTLS.addr), AllowPlainLoopback: true},
	} {
		if err := mustSMTP(t, c).Send(t.Context(), hello("ada@example.com")); err == nil {
			t.Errorf("%s: delivered", name)
		}
	}
	if n := len(noTLS.all()) + len(old.all()) + len(own.all()); n != 0 {
		t.Errorf("%d messages arrived", n)
	}
}

func TestSMTP_ExceptionsAreExplicit(t *testing.T) {
	t.Parallel()
	noTLS := serve(t, false, func(s *smtp.Server) { s.TLSConfig = nil })
	old := serve(t, false, func(s *smtp.Server) { s.TLSConfig.MaxVersion = tls.VersionTLS12 })
	for name, c := range map[string]mail.SMTPConfig{
		"plain text on loopback": {URL: secret.String("smtp://" + noTLS.addr), AllowPlainLoopback: true},
		"TLS 1.2":                {URL: secret.String("smtp://" + old.addr + "?min_tls=1.2"), RootCAs: old.cas},
	} {
		if err := mustSMTP(t, c).Send(t.Context(), hello("ada@example.com")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSMTP_TellsRefusedForGoodFromLater(t *testing.T) {
	t.Parallel()
	server := serve(t, false, nil)
	s := mustSMTP(t, mail.SMTPConfig{URL: secret.String("smtp://" + server.addr), RootCAs: server.cas})
	gone := s.Send(t.Context(), hello("gone@example.com"))
	if !errors.Is(gone, mail.ErrRejected) {
		t.Errorf("550: %v, want ErrRejected", gone)
	}
	grey := s.Send(t.Context(), hello("grey@example.com"))
	if grey == nil || errors.Is(grey, mail.ErrRejected) {
		t.Errorf("451: %v, want an error that may pass", grey)
	}
	for _, err := range []error{gone, grey} {
		if err != nil && strings.Contains(err.Error(), "@example.com") {
			t.Errorf("the error repeats the address: %v", err)
		}
	}
}

func TestSMTP_GivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the backlog, never answers
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	s := mustSMTP(t, mail.SMTPConfig{URL: secret.String("smtp://" + l.Addr().String())})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := s.Send(ctx, hello("ada@example.com")); err == nil {
		t.Error("delivered to a silent server")
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("gave up after %v", d)
	}
}

func TestNewSMTP_RefusesBadConfiguration(t *testing.T) {
	t.Parallel()
	const password = "hunter2secret"
	for _, u := range []string{
		"", "localhost:25", "http://localhost", "smtp://", "smtp://u:" + password + "@host:0", "smtp://u:" + password + "@host:99999",
		"smtp://u:" + password + "@ho st", "smtp://u:" + password + "@host/path", "smtp://host?tls=off", "smtp://host?min_tls=1.0",
		"smtp://u:" + password + "%zz@host",
	} {
		_, err := mail.NewSMTP(mail.SMTPConfig{URL: secret.String(u), From: from, Now: time.Now})
		if err == nil {
			t.Errorf("%q accepted", u)
		} else if strings.Contains(err.Error(), password) {
			t.Errorf("the error repeats the password: %v", err)
		}
	}
	for _, sender := range []string{"", "nobody", "a@example.com\r\nBcc: b@example.com", "a@example.com, b@example.com"} {
		_, err := mail.NewSMTP(mail.SMTPConfig{URL: "smtps://host", From: sender, Now: time.Now})
		if !errors.Is(err, mail.ErrInvalid) {
			t.Errorf("sender %q: %v", sender, err)
		}
	}
}
