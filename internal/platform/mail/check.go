package mail

import (
	"context"
	"fmt"
	"slices"

	gomail "github.com/wneessen/go-mail"
)

// Check connects to the server as Send does, signs in there, and sends nothing.
func (s *SMTP) Check(ctx context.Context) error {
	client, err := gomail.NewClient(s.host, append(slices.Clip(s.options), gomail.WithTimeout(timeout(ctx)))...)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	if err := client.DialWithContext(ctx); err != nil {
		return fmt.Errorf("mail: connect: %w", err)
	}
	return client.Close()
}
