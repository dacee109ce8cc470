package api_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/api"
)

func TestBody_WhatIsNoStrictJSONIsMalformed(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), nil)
	deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
	for name, body := range map[string]string{
		"cut":                     `{"name":"a"`,
		"no JSON":                 `name=a`,
		"duplicate name":          `{"name":"a","name":"b"}`,
		"duplicate unknown name":  `{"name":"a","x":{"y":1,"y":2}}`,
		"trailing value":          `{"name":"a"} {}`,
		"trailing garbage":        `{"name":"a"}x`,
		"BOM":                     "\ufeff" + `{"name":"a"}`,
		"broken UTF-8":            "{\"name\":\"\xff\"}",
		"lone surrogate":          `{"name":"\ud800"}`,
		"comment":                 `{"name":"a"/**/}`,
		"single quotes":           `{'name':'a'}`,
		"raw NUL":                 "{\"name\":\"a\x00\"}",
		"too deep in a known one": `{"name":"a","any":` + deep + `}`,
		"too deep in an unknown":  `{"name":"a","x":` + deep + `}`,
		"only spaces":             "   ",
		"broken after a fault":    `{"name":1,"x":`,
		"NUL in a password":       `{"name":"a","password":"a\u0000b"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.do(t, "POST", "/things", body, "Authorization", "Bearer reader").wants(t, 400, "malformed_request")
		})
	}
	r := s.do(t, "POST", "/things", "", "Authorization", "Bearer reader", "Content-Type", "application/json")
	r.wants(t, 400, "malformed_request")
}

func TestBody_WhatBreaksTheSchemaNamesEachFault(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), nil)
	many := "[" + strings.Repeat(`"a",`, 100) + `"a"]`
	for body, want := range map[string][]string{
		`{}`:                                   {"name:required"},
		`[]`:                                   {":type"},
		`null`:                                 {":null"},
		`"x"`:                                  {":type"},
		`{"name":""}`:                          {"name:too_short"},
		`{"name":"äöüßéx"}`:                    {"name:too_long"},
		`{"name":null}`:                        {"name:null"},
		`{"name":1,"kind":"huge","count":"3"}`: {"name:type", "kind:not_allowed", "count:type"},
		`{"Name":"a"}`:                         {"Name:unknown", "name:required"},
		`{"name":"a","x":{"y":[1]},"id":1}`:    {"x:unknown", "id:unknown"},
		`{"name":"a","count":11}`:              {"count:too_large"},
		`{"name":"a","count":-1}`:              {"count:too_small"},
		`{"name":"a","count":1.5}`:             {"count:type"},
		`{"name":"a","count":1e400}`:           {"count:type"},
		`{"name":"a","count":99999999999999999999}`:      {"count:type"},
		`{"name":"a","ratio":1e400}`:                     {"ratio:out_of_range"},
		`{"name":"a","owner":"x"}`:                       {"owner:format"},
		`{"name":"a","owner":7}`:                         {"owner:type"},
		`{"name":"a","at":"yesterday"}`:                  {"at:format"},
		`{"name":"a","flag":"true"}`:                     {"flag:type"},
		`{"name":"a","tags":["abc","abcd",3]}`:           {"tags.1:too_long", "tags.2:type"},
		`{"name":"a","tags":{}}`:                         {"tags:type"},
		`{"name":"a","tags":` + many + `}`:               {"tags:too_many"},
		`{"name":"a","parts":[{"size":0},{"size":200}]}`: {"parts.0.size:too_small", "parts.1.size:out_of_range"},
		`{"name":"a","parts":[{"size":1,"z":1},{}]}`:     {"parts.0.z:unknown", "parts.1.size:required"},
		`{"name":"a\u0000"}`:                             {"name:control_character"},
		`{"name":"a\nb"}`:                                {"name:control_character"},
		`{"name":"a","tags":["\u007f"]}`:                 {"tags.0:control_character"},
		`{"name":"a","any":{"x":["\u0000"]}}`:            {"any:control_character"},
		`{"name":"a","any":{"\u0000":1}}`:                {"any:control_character"},
		`{"name":"a","labels":{"a\u0001":1}}`:            {"labels.a:control_character"},
		`{"name":"a","labels":{"a":"b"}}`:                {"labels.a:type"},
		`{"name":"a","hunter2\u0000":1}`:                 {"hunter2:unknown"},
	} {
		r := s.do(t, "POST", "/things", body, "Authorization", "Bearer reader")
		r.wants(t, 422, "validation_failed")
		if got := r.faults(); !slices.Equal(got, want) {
			t.Errorf("%.80s: %v, want %v", body, got, want)
		}
		for _, value := range []string{"huge", "yesterday", "abcd", "9999"} {
			if strings.Contains(r.text, value) {
				t.Errorf("%s is echoed: %s", value, r.text)
			}
		}
	}
	faults := s.do(t, "POST", "/things", `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1,"l":1,"m":1,"n":1,"o":1,"p":1,"q":1,"r":1,"s":1,"t":1,"u":1,"v":1}`, "Authorization", "Bearer reader").faults()
	if len(faults) != 20 {
		t.Errorf("%d faults are named", len(faults))
	}
}

func TestBody_IsReadWhole(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), nil)
	r := s.do(t, "POST", "/things", `{"name":"<\u00e4>","kind":"big","count":3,"owner":null,"at":"2026-01-02T03:04:05+01:00","tags":["x","y"],
		"parts":[{"size":1}],"flag":true,"ratio":1.5,"labels":{"l":7},"any": {"deep":[1,"<"]} ,"password":"tab\tok"}`, "Authorization", "Bearer reader")
	if r.StatusCode != 201 {
		t.Fatalf("%d: %s", r.StatusCode, r.text)
	}
	if got := fmt.Sprintln(r.json["name"], r.json["tags"], r.json["any"], r.json["labels"], r.json["parts"], r.json["flag"], r.json["password"]); got != "<ä> [x y] map[deep:[1 <]] map[l:7] 1 true tab\tok\n" {
		t.Errorf("got %q", got)
	}
	if strings.ContainsAny(r.text, "<>&") {
		t.Errorf("HTML is not escaped: %s", r.text)
	}
}

func TestBody_OnARouteWithoutOneIsNotIgnored(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), nil)
	path := "/things/" + s.ada.String()
	s.do(t, "GET", path, `{"x":1}`, "Authorization", "Bearer reader").wants(t, 422, "validation_failed")
	s.do(t, "GET", path, `{`, "Authorization", "Bearer reader").wants(t, 400, "malformed_request")
	if r := s.do(t, "GET", path, `{}`, "Authorization", "Bearer reader"); r.StatusCode != 200 {
		t.Errorf("empty object: %d", r.StatusCode)
	}
}

func TestBody_ThatMayBeMissing(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), nil)
	if r := s.do(t, "POST", "/refresh", ""); r.json["body"] != false {
		t.Errorf("without: %s", r.text)
	}
	if r := s.do(t, "POST", "/refresh", `{"refresh_token":"x"}`); r.json["body"] != true {
		t.Errorf("with: %s", r.text)
	}
	s.do(t, "POST", "/refresh", `{}`).wants(t, 422, "validation_failed")
}

func TestMergePatch_KeepsAbsentApartFromNull(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), nil)
	patch := func(body string) *reply {
		return s.do(t, "PATCH", "/things/"+s.ada.String(), body, "Authorization", "Bearer reader", "Content-Type", api.MergePatch)
	}
	for body, want := range map[string]string{
		`{}`:                        "false  false <nil>\n",
		`{"note":null}`:             "false  true <nil>\n",
		`{"note":"n","name":"new"}`: "true new true n\n",
	} {
		r := patch(body)
		if got := fmt.Sprintln(r.json["name_set"], r.json["name"], r.json["note_set"], r.json["note"]); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
	patch(`{"name":null}`).wants(t, 422, "validation_failed")
	patch(`{"name":"toolong"}`).wants(t, 422, "validation_failed")
}

func TestIfMatch(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), nil)
	patch := func(tag string) *reply {
		return s.do(t, "PATCH", "/things/"+s.ada.String(), `{}`, "Authorization", "Bearer reader", "Content-Type", api.MergePatch, "If-Match", tag)
	}
	for tag, want := range map[string]any{
		"*":                nil,
		api.ETag(s.ada, 7): 7.0,
		`"x", ` + api.ETag(s.ada, 7) + "," + api.ETag(s.ada, 5): 7.0,
	} {
		if r := patch(tag); r.StatusCode != 200 || r.json["version"] != want {
			t.Errorf("%s: %d %s", tag, r.StatusCode, r.text)
		}
	}
	for _, tag := range []string{`"x"`, "", "W/" + api.ETag(s.ada, 7), `"` + s.ada.String() + `.x"`, `"` + s.ada.String() + `.-2"`} {
		patch(tag).wants(t, 412, "precondition_failed")
	}
}

func TestETag_IsStrongAndMakesConditionalReads(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), nil)
	path := "/things/" + s.ada.String()
	tag := s.do(t, "GET", path, "", "Authorization", "Bearer reader").Header.Get("ETag")
	if tag != `"`+s.ada.String()+`.3"` {
		t.Errorf("ETag %s", tag)
	}
	if r := s.do(t, "GET", path, "", "Authorization", "Bearer reader", "If-None-Match", `"x", W/`+tag); r.StatusCode != 304 || r.text != "" {
		t.Errorf("If-None-Match: %d %q", r.StatusCode, r.text)
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), nil)
	post := func(body string, keys ...string) *reply {
		headers := []string{"Authorization", "Bearer reader"}
		for _, k := range keys {
			headers = append(headers, "Idempotency-Key", k)
		}
		return s.do(t, "POST", "/things", body, headers...)
	}
	if r := post(`{"name":"a"}`, "key-1"); r.json["key"] != "key-1" {
		t.Errorf("key: %s", r.text)
	}
	for _, keys := range [][]string{{""}, {"a b"}, {"ä"}, {strings.Repeat("k", 256)}, {"a", "b"}} {
		post(`{"name":"a"}`, keys...).wants(t, 422, "validation_failed")
	}
}

func TestQuery(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), nil)
	get := func(query string) *reply { return s.do(t, "GET", "/things"+query, "", "Authorization", "Bearer plain") }
	for query, want := range map[string]string{
		"?limit=0":                            "limit:too_small",
		"?limit=201":                          "limit:too_large",
		"?limit=x":                            "limit:type",
		"?limit=":                             "limit:type",
		"?limit=1&limit=1":                    "limit:repeated",
		"?Limit=1":                            "Limit:unknown",
		"?x=1":                                "x:unknown",
		"?include_total=1":                    "include_total:type",
		"?q=":                                 "q:too_short",
		"?q=" + strings.Repeat("%C3%A4", 101): "q:too_long",
		"?q=%ff":                              "q:encoding",
		"?q=%zz":                              "q:encoding",
		"?q=%00":                              "q:control_character",
		"?%ff=1":                              "query:encoding",
		"?status=maybe":                       "status:not_allowed",
		"?status=":                            "status:not_allowed",
		"?since=now":                          "since:format",
		"?active=yes":                         "active:type",
		"?sort=size":                          "sort:not_allowed",
		"?cursor=abc":                         "cursor:invalid",
		"?cursor=%20":                         "cursor:invalid",
		"?a;b=1":                              "a;b:unknown",
	} {
		r := get(query)
		r.wants(t, 422, "validation_failed")
		if got := r.faults(); len(got) != 1 || got[0] != want {
			t.Errorf("%.40s: %v, want %s", query, got, want)
		}
	}
	for _, query := range []string{"", "?", "?&", "?limit=200&status=on&since=2026-01-01T00:00:00Z&active=false&sort=-name", "?q=" + strings.Repeat("%C3%A4", 100), "?q=a%26b+c"} {
		if r := get(query); r.StatusCode != 200 {
			t.Errorf("%s: %d %s", query, r.StatusCode, r.text)
		}
	}
	s.do(t, "GET", "/things/mine?x=1", "", "Authorization", "Bearer plain").wants(t, 422, "validation_failed")
}

func TestListing_PagesByLink(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), nil)
	var items []any
	path := "/things?limit=2&status=on&q=a%26b"
	for pages := 0; path != ""; pages++ {
		r := s.do(t, "GET", path, "", "Authorization", "Bearer plain")
		if r.StatusCode != 200 || pages > 3 {
			t.Fatalf("page %d: %d %s", pages, r.StatusCode, r.text)
		}
		items = append(items, r.json["items"].([]any)...)
		link, ok := strings.CutPrefix(r.Header.Get("Link"), "<https://id.example.com")
		path, _, _ = strings.Cut(link, ">")
		if ok != (r.json["next_cursor"] != nil) {
			t.Errorf("Link %q, next_cursor %v", link, r.json["next_cursor"])
		}
	}
	if fmt.Sprint(items) != "[a b c d e]" {
		t.Errorf("items: %v", items)
	}
	cursor := s.do(t, "GET", "/things?limit=2", "", "Authorization", "Bearer plain").json["next_cursor"].(string)
	for _, query := range []string{"&status=on", "&sort=-name", "&q=a"} {
		s.do(t, "GET", "/things?cursor="+cursor+query, "", "Authorization", "Bearer plain").wants(t, 422, "validation_failed")
	}
	if r := s.do(t, "GET", "/things?limit=1&cursor="+cursor, "", "Authorization", "Bearer plain"); r.StatusCode != 200 {
		t.Errorf("another page size: %d", r.StatusCode)
	}
	other := start(t, testConfig(), nil)
	other.do(t, "GET", "/things?cursor="+cursor, "", "Authorization", "Bearer plain").wants(t, 422, "validation_failed")
}

func TestCookies(t *testing.T) {
	t.Parallel()
	got := func(cookies []*http.Cookie) string {
		var out []string
		for _, c := range cookies {
			out = append(out, c.String())
		}
		return strings.Join(out, "\n")
	}
	want := "__Host-refresh_token=rt; Path=/; Max-Age=604800; HttpOnly; Secure; SameSite=Strict\n" +
		"__Host-csrf_token=ct; Path=/; Max-Age=604800; Secure; SameSite=Strict"
	if s := got(api.SessionCookies("rt", "ct", 7*24*time.Hour)); s != want {
		t.Errorf("set: %s", s)
	}
	want = "__Host-refresh_token=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict\n" +
		"__Host-csrf_token=; Path=/; Max-Age=0; Secure; SameSite=Strict"
	if s := got(api.ClearCookies()); s != want {
		t.Errorf("clear: %s", s)
	}
	if n := len(start(t, testConfig(), nil).do(t, "POST", "/login", `{"password":"x"}`).Header["Set-Cookie"]); n != 2 {
		t.Errorf("%d cookies are sent", n)
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	type output struct{ Stream *api.Stream }
	s := start(t, testConfig(), func(s *api.Surface) {
		for path, err := range map[string]error{"/whole": nil, "/broken": io.ErrUnexpectedEOF} {
			api.Register(s, api.Route{Method: "GET", Path: path, Access: api.Public(), Unbounded: true},
				func(context.Context, actor.Actor, *api.None) (*output, error) {
					return &output{&api.Stream{ContentType: "text/csv", Write: func(w io.Writer) error {
						_, _ = io.WriteString(w, strings.Repeat("a,b\n", 4096))
						return err
					}}}, nil
				})
		}
	})
	if r := s.do(t, "GET", "/whole", ""); len(r.text) != 4*4096 || r.Header.Get("Content-Type") != "text/csv" {
		t.Errorf("%d bytes of %q", len(r.text), r.Header.Get("Content-Type"))
	}
	req, _ := http.NewRequestWithContext(t.Context(), "GET", s.url+"/broken", nil)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(io.Discard, res.Body); err == nil {
		t.Error("a broken stream looks whole")
	}
}
