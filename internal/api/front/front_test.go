package front_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"gatehouse/internal/api/front"
)

func get(t *testing.T, h http.Handler, method, path string) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func pages() []string { return []string{"/", "/setup", "/verify-email", "/docs"} }

var nonces = regexp.MustCompile(`'nonce-([A-Z2-7]{26})'`)

func TestPages_RunNothingWithoutTheNonce(t *testing.T) {
	t.Parallel()
	h := front.Handler(front.Config{Version: "1.2.3"})
	seen := map[string]bool{}
	for _, path := range append(pages(), pages()...) {
		r := get(t, h, http.MethodGet, path)
		if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Fatalf("%s: %d %s", path, r.StatusCode, r.Header.Get("Content-Type"))
		}
		if r.Header.Get("Cross-Origin-Opener-Policy") != "same-origin" || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", path, r.Header)
		}
		policy := r.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: the policy lacks %s", path, want)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
			t.Errorf("%s: policy %s", path, policy)
		}
		m := nonces.FindStringSubmatch(policy)
		if m == nil {
			t.Fatalf("%s: no nonce in %s", path, policy)
		}
		if seen[m[1]] {
			t.Errorf("%s: a nonce came twice", path)
		}
		seen[m[1]] = true
		checkDocument(t, h, path, m[1], body(t, r))
	}
}

// checkDocument walks a page: everything that loads carries the nonce, comes
// from here and exists; nothing is inline; fields have labels.
func checkDocument(t *testing.T, h http.Handler, path, nonce, text string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	labels, ids, headings := map[string]bool{}, map[string]bool{}, 0
	var inputs []map[string]string
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		attributes := map[string]string{}
		for _, a := range n.Attr {
			attributes[a.Key] = a.Val
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
				t.Errorf("%s: inline %s on <%s>", path, a.Key, n.Data)
			}
			if (a.Key == "src" || a.Key == "href") && !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#") {
				t.Errorf("%s: %s leads away", path, a.Val)
			}
		}
		ids[attributes["id"]] = true
		switch n.Data {
		case "html":
			if attributes["lang"] != "en" {
				t.Errorf("%s: no language", path)
			}
		case "script":
			if attributes["nonce"] != nonce || n.FirstChild != nil {
				t.Errorf("%s: a script is inline or lacks the nonce", path)
			}
			checkAsset(t, h, attributes["src"])
		case "link":
			if attributes["rel"] == "stylesheet" && attributes["nonce"] != nonce {
				t.Errorf("%s: a style sheet lacks the nonce", path)
			}
			checkAsset(t, h, attributes["href"])
		case "style", "base", "iframe":
			t.Errorf("%s: <%s>", path, n.Data)
		case "h1":
			headings++
		case "label":
			labels[attributes["for"]] = true
		case "input":
			if attributes["type"] != "checkbox" { // those stand inside their label
				inputs = append(inputs, attributes)
			}
		}
	}
	if headings != 1 || !ids["main"] {
		t.Errorf("%s: %d main headings, main content %t", path, headings, ids["main"])
	}
	for _, in := range inputs {
		if !labels[in["id"]] {
			t.Errorf("%s: input %q has no label", path, in["id"])
		}
		for about := range strings.FieldsSeq(in["aria-describedby"]) {
			if !ids[about] {
				t.Errorf("%s: input %q is described by %q, which is not there", path, in["id"], about)
			}
		}
	}
}

func checkAsset(t *testing.T, h http.Handler, path string) {
	t.Helper()
	r := get(t, h, http.MethodGet, path)
	if r.StatusCode != http.StatusOK || r.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
		t.Errorf("%s: %d, cached %q", path, r.StatusCode, r.Header.Get("Cache-Control"))
	}
	if r.Header.Get("Content-Type") == "" {
		t.Errorf("%s: no content type", path)
	}
}

var imports = regexp.MustCompile(`(?m)^import .* from "\./([^"]+)";$`)

func TestAssets_ImportOnlyEachOtherAndMakeNoMarkup(t *testing.T) {
	t.Parallel()
	h := front.Handler(front.Config{})
	var base string
	if m := regexp.MustCompile(`/assets/[0-9a-f]+/`).FindString(body(t, get(t, h, http.MethodGet, "/"))); m == "" {
		t.Fatal("no assets")
	} else {
		base = m
	}
	queue, seen := []string{"home.js", "setup.js", "verify-email.js", "docs.js"}, map[string]bool{}
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		r := get(t, h, http.MethodGet, base+name)
		if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "text/javascript; charset=utf-8" {
			t.Fatalf("%s: %d %s", name, r.StatusCode, r.Header.Get("Content-Type"))
		}
		text := body(t, r)
		for _, m := range imports.FindAllStringSubmatch(text, -1) {
			queue = append(queue, m[1])
		}
		for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "localStorage", "sessionStorage"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s uses %s", name, bad)
			}
		}
	}
	if len(seen) != 7 {
		t.Errorf("%d modules are reached, want 7", len(seen))
	}
}

func TestAssets_OfAnotherReleaseAreNotKept(t *testing.T) {
	t.Parallel()
	h := front.Handler(front.Config{})
	r := get(t, h, http.MethodGet, "/assets/0123456789abcdef/page.js")
	if r.StatusCode != http.StatusOK || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d, cached %q", r.StatusCode, r.Header.Get("Cache-Control"))
	}
}

func TestHandler_AnswersOnlyWhatIsThere(t *testing.T) {
	t.Parallel()
	h := front.Handler(front.Config{})
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{http.MethodHead, "/docs", http.StatusOK},
		{http.MethodPost, "/setup", http.StatusMethodNotAllowed},
		{http.MethodGet, "/nothing", http.StatusNotFound},
		{http.MethodGet, "/assets/", http.StatusNotFound},
		{http.MethodGet, "/assets/x/", http.StatusNotFound},
		{http.MethodGet, "/assets/x/front.go", http.StatusNotFound},
		{http.MethodGet, "/assets/x/..%2fpages%2fhome.html", http.StatusNotFound},
		{http.MethodGet, "/pages/home.html", http.StatusNotFound},
	} {
		if got := get(t, h, c.method, c.path).StatusCode; got != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, got, c.want)
		}
	}
}
