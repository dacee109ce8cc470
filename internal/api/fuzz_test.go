package api_test

import (
	stdjson "encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"gatehouse/internal/api"
)

// surface returns a handler for fuzzing: without a socket.
func surface() *api.Surface {
	d := newGate().deps()
	d.Logger = slog.New(slog.DiscardHandler)
	s := api.New("sample", d, testConfig())
	sampleRoutes(s)
	return s
}

func serve(s *api.Surface, method, target, body, contentType string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/", io.NopCloser(strings.NewReader(body)))
	r.ContentLength = int64(len(body))
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil // net/http refuses the request line
	}
	r.URL, r.RequestURI = u, target
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", "Bearer reader")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{"name":"a","count":3,"tags":["x"],"parts":[{"size":1}],"labels":{"a":1},"any":[{}],"at":"2026-01-02T03:04:05Z"}`,
		`{"name":"a"}{}`, "\ufeff{}", `{"name":"\ud800"}`, `{"a":{"b":{"c":[[[[]]]]}}}`, `[1,2,3]`, `{"name":"a","name":"b"}`, `{"name":1e999,"ratio":-0.0}`, "{\"name\":\"\xff\"}", `null`, ``,
	} {
		f.Add(seed)
	}
	s := surface()
	f.Fuzz(func(t *testing.T, body string) {
		w := serve(s, http.MethodPost, "/things", body, api.JSON)
		switch w.Code {
		case 201:
			// What is taken must be JSON for everyone else, too.
			if !stdjson.Valid([]byte(body)) || !utf8.ValidString(body) {
				t.Errorf("taken: %q", body)
			}
		case 400, 413, 422:
		default:
			t.Errorf("%q: %d %s", body, w.Code, w.Body)
		}
	})
}

func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"/things?limit=3&q=a%20b&status=on&since=2026-01-01T00:00:00Z&active=true", "/things?cursor=k1.AAAA&limit=-1", "/things?%ff=%zz&&=&q=%00",
		"/things/../x", "/things/%2e%2e", "/things/%00", "//", "/things?limit=99999999999999999999", "/things?a;b",
	} {
		f.Add(seed)
	}
	s := surface()
	f.Fuzz(func(t *testing.T, target string) {
		w := serve(s, http.MethodGet, target, "", api.JSON)
		if w != nil && (w.Code >= 500 || w.Code >= 300 && w.Code < 400) {
			t.Errorf("%q: %d %s", target, w.Code, w.Body)
		}
	})
}
