package mail_test

import (
	"testing"

	"gatehouse/internal/platform/mail"
	"gatehouse/internal/platform/secret"
)

func TestCheck_SignsInAndSendsNothing(t *testing.T) {
	t.Parallel()
	server := serve(t, true, nil)
	url := func(password string) secret.String {
		return secret.String("smtps://gate:" + password + "@" + server.addr)
	}
	if err := mustSMTP(t, mail.SMTPConfig{URL: url("p%40ss"), RootCAs: server.cas}).Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := mustSMTP(t, mail.SMTPConfig{URL: url("p%40ss")}).Check(t.Context()); err == nil {
		t.Error("an unknown certificate is fine")
	}
	if n := len(server.all()); n != 0 {
		t.Errorf("%d messages", n)
	}
}
