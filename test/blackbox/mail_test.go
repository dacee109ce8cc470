package blackbox_test

import (
	"errors"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mail waits for a letter to an address that has a phrase in its subject or
// text, and returns both.
func (i *installation) mail(limit time.Duration, to, phrase string) string {
	i.tb.Helper()
	var found string
	eventually(i.tb, limit, "a mail to "+to+" with "+phrase, func() bool {
		for _, letter := range i.mails(to) {
			if strings.Contains(letter, phrase) {
				found = letter
			}
		}
		return found != ""
	})
	return found
}

// mails returns subject and text of every letter to an address.
func (i *installation) mails(to string) []string {
	i.tb.Helper()
	files, err := filepath.Glob(filepath.Join(i.dir, "*", "mail", "*.eml"))
	if err != nil {
		i.tb.Fatal(err)
	}
	var letters []string
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			i.tb.Fatal(err)
		}
		m, err := mail.ReadMessage(f)
		if err != nil {
			i.tb.Fatalf("%s: %v", name, err)
		}
		if strings.Contains(m.Header.Get("To"), to) {
			subject, _ := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
			letters = append(letters, subject+"\n"+plainText(i.tb, m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body))
		}
		f.Close()
	}
	return letters
}

// plainText decodes a body, of several parts all of them.
func plainText(tb testing.TB, contentType, encoding string, r io.Reader) string {
	tb.Helper()
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		tb.Fatal(err)
	}
	if !strings.HasPrefix(kind, "multipart/") {
		if strings.EqualFold(encoding, "quoted-printable") {
			r = quotedprintable.NewReader(r)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			tb.Fatal(err)
		}
		return string(text)
	}
	var all strings.Builder
	parts := multipart.NewReader(r, params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return all.String()
		}
		if err != nil {
			tb.Fatal(err)
		}
		all.WriteString(plainText(tb, p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p))
	}
}

func fileMode(tb testing.TB, path string) fs.FileMode {
	tb.Helper()
	info, err := os.Stat(path)
	if err != nil {
		tb.Fatal(err)
	}
	return info.Mode().Perm()
}
