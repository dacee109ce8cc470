package mail_test

import (
	"errors"
	"io"
	netmail "net/mail"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/platform/mail"
)

const from = "Gatehouse <no-reply@example.com>"

func fixed() time.Time { return time.Date(2026, 3, 1, 12, 30, 0, 4000, time.UTC) }

func newFiles(t *testing.T, now func() time.Time) (*mail.Files, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "mail")
	f, err := mail.NewFiles(mail.FileConfig{Dir: dir, From: from, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f, dir
}

func TestFiles_WritesAReadableMessageForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	f, dir := newFiles(t, fixed)
	err := f.Send(t.Context(), mail.Message{
		ID: "job-7", To: "ada@example.com", Subject: "Grüße, confirm", Text: "Hello – plain", HTML: "<p>Hello</p>",
	})
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != 1 || !strings.HasSuffix(names[0], ".eml") {
		t.Fatalf("files: %v, %v", names, err)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, names[0]: 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %s: %o, want %o", path, got, want)
		}
	}
	file, err := os.Open(names[0])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	msg, err := netmail.ReadMessage(file)
	if err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]string{
		"To": "<ada@example.com>", "Message-Id": "<job-7@example.com>", "Auto-Submitted": "auto-generated",
		"From": `"Gatehouse" <no-reply@example.com>`,
	} {
		if got := msg.Header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
	body, err := io.ReadAll(msg.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"text/plain", "text/html", "<p>Hello</p>"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("body lacks %q", want)
		}
	}
}

func TestFiles_NamesSortByTime(t *testing.T) {
	t.Parallel()
	at := fixed()
	f, dir := newFiles(t, func() time.Time { return at })
	var want []string
	for range 5 {
		if err := f.Send(t.Context(), mail.Message{To: "a@example.com", Subject: "s", Text: "t"}); err != nil {
			t.Fatal(err)
		}
		want = append(want, at.Format("20060102T150405.000000Z"))
		at = at.Add(7 * time.Hour)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name()[:len(want[0])])
	}
	sort.Strings(got)
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("names %v, want %v", got, want)
	}
}

func TestSend_RefusesWhatWouldReachSomebodyElse(t *testing.T) {
	t.Parallel()
	f, dir := newFiles(t, fixed)
	for name, m := range map[string]mail.Message{
		"no address":        {To: "", Subject: "s", Text: "t"},
		"not an address":    {To: "ada", Subject: "s", Text: "t"},
		"two addresses":     {To: "a@example.com, b@example.com", Subject: "s", Text: "t"},
		"a display name":    {To: "Ada <a@example.com>", Subject: "s", Text: "t"},
		"angle brackets":    {To: "<a@example.com>", Subject: "s", Text: "t"},
		"a comment":         {To: "a@example.com (x)", Subject: "s", Text: "t"},
		"header in to":      {To: "a@example.com\r\nBcc: b@example.com", Subject: "s", Text: "t"},
		"header in title":   {To: "a@example.com", Subject: "s\nBcc: b@example.com", Text: "t"},
		"header in id":      {To: "a@example.com", Subject: "s", Text: "t", ID: "x\r\nBcc: b@example.com"},
		"NUL in title":      {To: "a@example.com", Subject: "s\x00", Text: "t"},
		"too long":          {To: strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 100) + "com", Subject: "s", Text: "t"},
		"nothing to read":   {To: "a@example.com", Subject: "s"},
		"only spaces in to": {To: "  ", Subject: "s", Text: "t"},
	} {
		if err := f.Send(t.Context(), m); !errors.Is(err, mail.ErrInvalid) {
			t.Errorf("%s: error %v, want ErrInvalid", name, err)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("refused messages left %d files", len(entries))
	}
}

func FuzzSend_NeverWritesASecondRecipient(f *testing.F) {
	f.Add("ada@example.com", "Hello")
	f.Add("a@example.com,b@example.com", "x")
	f.Add("\"a b\"@example.com", "=?utf-8?q?a=0D=0ABcc:_b?=")
	f.Add("ü@exämple.com", "Grüße\u2028Bcc: x")
	dir := f.TempDir()
	files, err := mail.NewFiles(mail.FileConfig{Dir: dir, From: from, Now: fixed})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = files.Close() })
	f.Fuzz(func(t *testing.T, to, subject string) {
		if files.Send(t.Context(), mail.Message{To: to, Subject: subject, Text: "t"}) != nil {
			return
		}
		names, err := filepath.Glob(filepath.Join(dir, "*.eml"))
		if err != nil || len(names) != 1 {
			t.Fatalf("files %v: %v", names, err)
		}
		raw, err := os.ReadFile(names[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(names[0]); err != nil {
			t.Fatal(err)
		}
		msg, err := netmail.ReadMessage(strings.NewReader(string(raw)))
		if err != nil {
			t.Fatalf("unreadable message: %v\n%s", err, raw)
		}
		list, err := msg.Header.AddressList("To")
		if err != nil || len(list) != 1 || list[0].Address != to {
			t.Errorf("recipients %v (%v), want only %q", list, err, to)
		}
		for _, header := range []string{"Cc", "Bcc", "Sender", "Reply-To"} {
			if msg.Header.Get(header) != "" {
				t.Errorf("a header %s appeared", header)
			}
		}
	})
}
