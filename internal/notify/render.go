package notify

import (
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"strings"
	"text/template"

	"gatehouse/internal/platform/job"
	"gatehouse/internal/platform/mail"
)

// kind names a letter and its template.
type kind string

const (
	verification       kind = "verification"
	accountExists      kind = "account-exists"
	passwordChanged    kind = "password-changed"
	refreshTokenReused kind = "refresh-token-reused"
)

// A letter has one template a language. Its first line is the subject; the
// paragraphs after it become the text and the HTML alike. A paragraph of two
// lines whose second is the link is a button in HTML.
//
//go:embed templates
var files embed.FS

type texts struct {
	letters map[string]*template.Template // by language
	layout  *htmltemplate.Template
}

// languages and how they write an instant.
func languages() map[string]string {
	return map[string]string{"en": "2 January 2006, 15:04 UTC", "de": "2.1.2006, 15:04 Uhr (UTC)"}
}

func parseTexts() (texts, error) {
	t := texts{letters: map[string]*template.Template{}}
	var err error
	if t.layout, err = htmltemplate.ParseFS(files, "templates/layout.html"); err != nil {
		return t, err
	}
	for lang := range languages() {
		parsed, err := template.New(lang).Option("missingkey=error").ParseFS(files, "templates/"+lang+"/*.txt")
		if err != nil {
			return t, err
		}
		t.letters[lang] = parsed
	}
	return t, nil
}

func language(locale string) string {
	base, _, _ := strings.Cut(strings.ToLower(locale), "-")
	if base == "de" {
		return "de"
	}
	return "en"
}

// paragraph is a line of text, or a button if Link is set.
type paragraph struct{ Text, Link string }

func (n *Notifier) render(l letter) (mail.Message, error) {
	lang := language(l.Locale)
	layout := languages()[lang]
	link := n.link(l)
	values := map[string]string{
		"Product": n.name, "Link": link,
		"At": l.At.UTC().Format(layout), "Expires": l.Expires.UTC().Format(layout),
	}
	var b strings.Builder
	if err := n.texts.letters[lang].ExecuteTemplate(&b, string(l.Kind)+".txt", values); err != nil {
		// A letter of a newer release waits for a node that knows it.
		return mail.Message{}, fmt.Errorf("render mail: %w", err)
	}
	subject, text, ok := strings.Cut(b.String(), "\n\n")
	if !ok {
		return mail.Message{}, errors.Join(job.ErrAbandon, fmt.Errorf("notify: template %s has no subject", l.Kind))
	}
	var html strings.Builder
	err := n.texts.layout.Execute(&html, map[string]any{
		"Lang": lang, "Product": n.name, "Subject": subject, "Paragraphs": paragraphs(text, link),
	})
	if err != nil {
		return mail.Message{}, fmt.Errorf("render mail: %w", err)
	}
	return mail.Message{To: l.To, Subject: subject, Text: text, HTML: html.String()}, nil
}

func paragraphs(text, link string) []paragraph {
	var list []paragraph
	for p := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		label, target, two := strings.Cut(p, ":\n")
		if two && target == link {
			list = append(list, paragraph{Text: label, Link: link})
			continue
		}
		list = append(list, paragraph{Text: strings.ReplaceAll(p, "\n", " ")})
	}
	return list
}

// link joins the public URL, the path and the token as the fragment.
func (n *Notifier) link(l letter) string {
	u := n.base.JoinPath(l.Path)
	u.RawQuery, u.Fragment = "", ""
	if l.Token == "" {
		return u.String()
	}
	return u.String() + "#token=" + l.Token
}
