package mail

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/mail"
	"os"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// FileConfig says where messages are written. All fields are required.
type FileConfig struct {
	Dir  string // made if absent, mode 0700
	From string // "address" or "Name <address>"
	Now  func() time.Time
}

// Files is a Sender that writes each message to a file of its own, named so
// that names sort by time. A file appears whole or not at all.
type Files struct {
	root *os.Root
	from *mail.Address
	now  func() time.Time
}

// NewFiles opens the folder, making it if needed. Close it when done.
func NewFiles(c FileConfig) (*Files, error) {
	from, err := parseFrom(c.From)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make mail folder: %w", err)
	}
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("open mail folder: %w", err)
	}
	return &Files{root: root, from: from, now: c.Now}, nil
}

// Close releases the folder.
func (f *Files) Close() error { return f.root.Close() }

// Send writes the message as an .eml file of mode 0600.
func (f *Files) Send(ctx context.Context, m Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	now := f.now().UTC()
	msg, err := compose(f.from, m, now)
	if err != nil {
		return err
	}
	name := now.Format("20060102T150405.000000Z") + "-" + rand.Text()[:8]
	if err := f.write(name+".tmp", msg); err != nil {
		return errors.Join(fmt.Errorf("write mail file: %w", err), f.root.Remove(name+".tmp"))
	}
	if err := f.root.Rename(name+".tmp", name+".eml"); err != nil {
		return fmt.Errorf("name mail file: %w", err)
	}
	return nil
}

func (f *Files) write(name string, msg *gomail.Msg) error {
	file, err := f.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = msg.WriteTo(file)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}
