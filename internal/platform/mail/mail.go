// Package mail sends one message to one person: over SMTP, or into .eml files
// where no server is configured. Both write the same bytes. Every error is
// free of the recipient's address and of what the server said about it, so
// that it may be logged.
package mail

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// ErrInvalid is returned for a message that cannot be sent as it stands:
// an address that is not one, or a line break where a header would take it.
var ErrInvalid = errors.New("mail: invalid message")

// ErrRejected is returned when the server refused the message or its
// recipient for good; sending it again is pointless.
var ErrRejected = errors.New("mail: rejected for good")

// Message is one message to one person.
type Message struct {
	ID      string // unique left part of the Message-ID, the same at each try; empty: a random one
	To      string // a bare address
	Subject string
	Text    string
	HTML    string // optional; shown instead of Text where the reader can
}

// Sender delivers messages. Send returns when the message is kept safely by
// the next hop. A message may arrive twice if Send failed half-way. A Sender
// is safe for concurrent use.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// maxAddress is the longest path that SMTP carries (RFC 5321 section 4.5.3.1.3).
const maxAddress = 254

// CheckFrom returns ErrInvalid unless from is "address" or "Name <address>".
func CheckFrom(from string) error {
	_, err := parseFrom(from)
	return err
}

func parseFrom(from string) (*mail.Address, error) {
	if strings.ContainsAny(from, "\r\n\x00") {
		return nil, fmt.Errorf("%w: line break in the sender", ErrInvalid)
	}
	a, err := mail.ParseAddress(from)
	if err != nil || len(a.Address) > maxAddress {
		return nil, fmt.Errorf("%w: sender is not an address", ErrInvalid)
	}
	return a, nil
}

// compose checks m and builds the message as it goes over the wire.
func compose(from *mail.Address, m Message, now time.Time) (*gomail.Msg, error) {
	if strings.ContainsAny(m.To+m.Subject+m.ID, "\r\n\x00") {
		return nil, fmt.Errorf("%w: line break in a header", ErrInvalid)
	}
	// Only a bare address: "a@x, b@y" or "Name <a@x>" would send elsewhere
	// than the caller checked.
	to, err := mail.ParseAddress(m.To)
	if err != nil || to.Address != m.To || len(m.To) > maxAddress {
		return nil, fmt.Errorf("%w: recipient is not a bare address", ErrInvalid)
	}
	if m.Text == "" {
		return nil, fmt.Errorf("%w: no text", ErrInvalid)
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(from)
	msg.ToMailAddress(to)
	msg.Subject(m.Subject)
	msg.SetDateWithValue(now)
	if m.ID != "" {
		_, domain, _ := strings.Cut(from.Address, "@")
		msg.SetMessageIDWithValue(m.ID + "@" + domain)
	} else {
		msg.SetMessageID()
	}
	// RFC 3834: keeps absence notices from answering.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	return msg, nil
}
