package notify_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/keyring"
	"gatehouse/internal/notify"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
	"gatehouse/internal/platform/job"
	"gatehouse/internal/platform/mail"
	"gatehouse/internal/platform/secret"
)

// outbox is a Sender that keeps what it is given.
type outbox struct {
	fail error
	sent chan mail.Message
}

func (o *outbox) Send(_ context.Context, m mail.Message) error {
	o.sent <- m
	return o.fail
}

type lab struct {
	db     *db.DB
	box    *outbox
	n      *notify.Notifier
	log    *lockedBuffer
	runner *job.Runner
}

// lockedBuffer is a log that the test reads while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newLab(t *testing.T, d *db.DB) *lab {
	t.Helper()
	log := &lockedBuffer{}
	logger := slog.New(slog.NewJSONHandler(log, nil))
	keys, err := keyring.New(t.Context(), keyring.Deps{AccessToken: keyring.Spec{Algorithm: keyring.ES256}, DB: d, Master: []secret.Key{secret.NewKey()}, Now: time.Now, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	base, err := url.Parse("https://id.example.com/sub")
	if err != nil {
		t.Fatal(err)
	}
	box := &outbox{sent: make(chan mail.Message, 9)}
	n, err := notify.New(notify.Deps{Keys: keys, Sender: box, Logger: logger, Now: time.Now}, notify.Config{PublicURL: base})
	if err != nil {
		t.Fatal(err)
	}
	r := job.New(job.Deps{DB: d, Logger: logger, Now: time.Now}, job.Config{Poll: 20 * time.Millisecond})
	n.Register(r)
	return &lab{db: d, box: box, n: n, log: log, runner: r}
}

func (l *lab) tx(t *testing.T, fn func(tx *db.Tx) error) {
	t.Helper()
	if err := l.db.Tx(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// run starts the runner for the rest of the test.
func (l *lab) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.runner.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func (l *lab) receive(t *testing.T) mail.Message {
	t.Helper()
	select {
	case m := <-l.box.sent:
		return m
	case <-time.After(20 * time.Second):
		t.Fatalf("no message; log:\n%s", l.log)
		return mail.Message{}
	}
}

// settled waits until no job waits, and returns how many are dead.
func (l *lab) settled(t *testing.T) int64 {
	t.Helper()
	for range 2000 {
		all, err := job.Counts(t.Context(), l.db)
		if err != nil {
			t.Fatal(err)
		}
		var waiting, dead int64
		for _, c := range all {
			waiting, dead = waiting+c.Waiting, dead+c.Dead
		}
		if waiting == 0 {
			return dead
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Fatalf("jobs still wait; log:\n%s", l.log)
	return 0
}

func ada() notify.Person { return notify.Person{Email: "ada@example.com"} }

func TestVerification_SendsALinkInTheFragment(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := newLab(t, d)
		token := secret.NewToken("verify_")
		l.tx(t, func(tx *db.Tx) error { return l.n.Verification(tx, ada(), token, time.Now().Add(time.Hour)) })

		var payload []byte
		if err := d.QueryRow(t.Context(), `SELECT payload FROM jobs WHERE kind = 'notify.mail'`).Scan(&payload); err != nil {
			t.Fatal(err)
		}
		for _, canary := range []string{"ada", "example.com", token.Reveal()} {
			if bytes.Contains(payload, []byte(canary)) {
				t.Errorf("the queue shows %q", canary)
			}
		}

		l.run(t)
		m := l.receive(t)
		link := "https://id.example.com/sub/verify-email#token=" + token.Reveal()
		if m.To != ada().Email || m.ID == "" || m.Subject != "Confirm your address for Gatehouse" {
			t.Errorf("message to %q, id %q, subject %q", m.To, m.ID, m.Subject)
		}
		if !strings.Contains(m.Text, "\n"+link+"\n") || !strings.Contains(m.HTML, `href="`+link+`"`) {
			t.Errorf("the link is missing:\n%s\n%s", m.Text, m.HTML)
		}
		if dead := l.settled(t); dead != 0 {
			t.Errorf("%d dead", dead)
		}
		if log := l.log.String(); strings.Contains(log, token.Reveal()) || strings.Contains(log, "ada@") {
			t.Errorf("the log names a secret or a person: %s", log)
		}
	})
}

func TestVerification_ExpiredIsNotSent(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := newLab(t, d)
		l.tx(t, func(tx *db.Tx) error {
			return l.n.Verification(tx, ada(), secret.NewToken("verify_"), time.Now().Add(-time.Second))
		})
		l.run(t)
		if dead := l.settled(t); dead != 0 {
			t.Errorf("%d dead", dead)
		}
		if len(l.box.sent) != 0 {
			t.Error("an expired link was sent")
		}
	})
}

func TestNotices_EachLanguageHasEachLetter(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := newLab(t, d)
		l.run(t)
		later := time.Now().Add(time.Hour)
		subjects := map[string]bool{}
		for _, locale := range []string{"", "de-AT"} {
			to := notify.Person{Email: "ada@example.com", Locale: locale}
			for _, send := range []func(tx *db.Tx) error{
				func(tx *db.Tx) error { return l.n.Verification(tx, to, "token", later) },
				func(tx *db.Tx) error { return l.n.AccountExists(tx, to) },
				func(tx *db.Tx) error { return l.n.PasswordChanged(tx, to) },
				func(tx *db.Tx) error { return l.n.RefreshTokenReused(tx, to) },
			} {
				l.tx(t, send)
				m := l.receive(t)
				subjects[m.Subject] = true
				lang := map[string]string{"": "en", "de-AT": "de"}[locale]
				if !strings.Contains(m.HTML, `<html lang="`+lang+`">`) || strings.Contains(m.Text, "<") || strings.Contains(m.HTML, "no value") {
					t.Errorf("%s: %s\n%s", m.Subject, m.Text, m.HTML)
				}
			}
		}
		if len(subjects) != 8 {
			t.Errorf("%d different subjects, want 8", len(subjects))
		}
	})
}

func TestSend_WhatIsRefusedForGoodIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := newLab(t, d)
		l.box.fail = mail.ErrRejected
		l.tx(t, func(tx *db.Tx) error { return l.n.PasswordChanged(tx, ada()) })
		l.run(t)
		if dead := l.settled(t); dead != 1 {
			t.Errorf("%d dead, want 1", dead)
		}
		if len(l.box.sent) != 1 {
			t.Errorf("tried %d times", len(l.box.sent))
		}
	})
}

func TestSend_AForgedPayloadIsDead(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := newLab(t, d)
		l.tx(t, func(tx *db.Tx) error { return l.n.PasswordChanged(tx, ada()) })
		l.tx(t, func(tx *db.Tx) error {
			tx.Queue(`UPDATE jobs SET payload = $1 WHERE kind = 'notify.mail'`, []byte(`{"key":1}`))
			return nil
		})
		l.run(t)
		if dead := l.settled(t); dead != 1 || len(l.box.sent) != 0 {
			t.Errorf("%d dead, %d sent", dead, len(l.box.sent))
		}
	})
}

func TestEnqueue_RollbackSendsNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := newLab(t, d)
		undo := errors.New("undo")
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			return errors.Join(l.n.PasswordChanged(tx, ada()), undo)
		})
		if !errors.Is(err, undo) {
			t.Fatal(err)
		}
		l.run(t)
		l.tx(t, func(tx *db.Tx) error { return l.n.AccountExists(tx, ada()) })
		if m := l.receive(t); !strings.Contains(m.Subject, "already") {
			t.Errorf("%q was sent", m.Subject)
		}
	})
}
