package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"

	"gatehouse/internal/platform/secret"
)

// stepTimeout bounds connecting, and again the delivery after it.
const stepTimeout = 15 * time.Second

// SMTPConfig says which server takes the messages.
type SMTPConfig struct {
	// URL is smtp://[user:password@]host[:port] (port 587, STARTTLS required)
	// or smtps://… (port 465, TLS from the first byte). TLS is 1.3; with
	// ?min_tls=1.2 a server that lacks it is accepted.
	URL  secret.String
	From string // "address" or "Name <address>"
	// AllowPlainLoopback lets smtp:// to a loopback host go without TLS where
	// the server does not offer it. Keep it off in production.
	AllowPlainLoopback bool
	RootCAs            *x509.CertPool // nil: those of the system
	Now                func() time.Time
}

// SMTP is a Sender that hands each message to a mail server.
type SMTP struct {
	host    string
	options []gomail.Option
	from    *mail.Address
	now     func() time.Time
}

// NewSMTP reads the configuration. It does not connect. Errors name no secret.
func NewSMTP(c SMTPConfig) (*SMTP, error) {
	from, err := parseFrom(c.From)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(c.URL.Reveal())
	if err != nil {
		return nil, errors.New("mail: the SMTP URL is not a URL") // err would repeat the password
	}
	host := u.Hostname()
	if host == "" || (u.Path != "" && u.Path != "/") || u.Fragment != "" {
		return nil, errors.New("mail: the SMTP URL must be smtp://host:port or smtps://host:port")
	}
	tlsOptions, err := tlsOptions(u, c)
	if err != nil {
		return nil, err
	}
	options := append(tlsOptions, gomail.WithTimeout(stepTimeout))
	if user := u.User.Username(); user != "" {
		password, _ := u.User.Password()
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover),
			gomail.WithUsername(user), gomail.WithPassword(password))
	}
	if _, err := gomail.NewClient(host, options...); err != nil {
		return nil, fmt.Errorf("mail: SMTP URL: %w", err)
	}
	return &SMTP{host: host, options: options, from: from, now: c.Now}, nil
}

// tlsOptions picks port and transport security from the URL.
func tlsOptions(u *url.URL, c SMTPConfig) ([]gomail.Option, error) {
	minimum := uint16(tls.VersionTLS13)
	for key, values := range u.Query() {
		if key != "min_tls" || len(values) != 1 || (values[0] != "1.2" && values[0] != "1.3") {
			return nil, errors.New("mail: the SMTP URL takes only ?min_tls=1.2 or 1.3")
		}
		if values[0] == "1.2" {
			minimum = tls.VersionTLS12
		}
	}
	options := []gomail.Option{gomail.WithTLSConfig(&tls.Config{
		ServerName: u.Hostname(), MinVersion: minimum, RootCAs: c.RootCAs,
	})}
	port := gomail.DefaultPortTLS
	switch u.Scheme {
	case "smtps":
		port = gomail.DefaultPortSSL
		options = append(options, gomail.WithSSL())
	case "smtp":
		policy := gomail.TLSMandatory
		if c.AllowPlainLoopback && isLoopback(u.Hostname()) {
			policy = gomail.TLSOpportunistic
		}
		options = append(options, gomail.WithTLSPolicy(policy))
	default:
		return nil, errors.New("mail: the SMTP URL must begin with smtp:// or smtps://")
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return nil, errors.New("mail: the SMTP URL has a bad port")
		}
		port = int(n)
	}
	return append(options, gomail.WithPort(port)), nil
}

// isLoopback looks at the name alone: what a resolver says may change.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// Send delivers the message over a connection of its own. It keeps to the
// deadline of ctx; one that is cancelled before ends within 15 seconds.
func (s *SMTP) Send(ctx context.Context, m Message) error {
	msg, err := compose(s.from, m, s.now())
	if err != nil {
		return err
	}
	// A client remembers what its server offered, so each delivery has its own.
	client, err := gomail.NewClient(s.host, append(slices.Clip(s.options), gomail.WithTimeout(timeout(ctx)))...)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	if err := client.DialWithContext(ctx); err != nil {
		return fmt.Errorf("mail: connect: %w", err)
	}
	err = client.Send(msg)
	_ = client.Close()
	// Once the server has answered for the message, a failing RSET or QUIT
	// changes nothing, and sending again would bring it twice.
	if msg.IsDelivered() {
		return nil
	}
	return scrub(err)
}

// timeout is what the deadline of ctx leaves of stepTimeout.
func timeout(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return stepTimeout
	}
	return max(time.Millisecond, min(stepTimeout, time.Until(deadline)))
}

// scrub keeps of a delivery error what may be logged: servers repeat the
// recipient's address in theirs.
func scrub(err error) error {
	if err == nil {
		return nil
	}
	var failed *gomail.SendError
	if !errors.As(err, &failed) {
		return errors.New("mail: delivery failed")
	}
	said := fmt.Sprintf("%s, code %d %s", failed.Reason, failed.ErrorCode(), failed.EnhancedStatusCode())
	if !failed.IsTemp() && failed.ErrorCode() >= 500 {
		return fmt.Errorf("%w: %s", ErrRejected, said)
	}
	return errors.New("mail: " + said)
}
