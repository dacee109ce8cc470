package blackbox_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// target is an operation of the OpenAPI document.
type target struct {
	method, template string
	path             string // with an id that nothing has
	hasID            bool
	access           string
	query            []string // names of the parameters
	consumes         string   // "" where there is no body
	bodyRequired     bool
	properties       map[string]property
}

type property struct {
	Type any    `json:"type"`
	Ref  string `json:"$ref"`
}

// is reports whether the property is of the type, be it or null.
func (p property) is(kind string) bool {
	if list, ok := p.Type.([]any); ok {
		return slices.Contains(list, any(kind))
	}
	return p.Type == kind
}

// targets reads the document that the node serves.
func targets(c client) []target {
	c.tb.Helper()
	type schema struct {
		Ref        string              `json:"$ref"`
		Properties map[string]property `json:"properties"`
	}
	var doc struct {
		Paths map[string]map[string]struct {
			Access     string `json:"x-access"`
			Parameters []struct{ Name, In string }
			Body       *struct {
				Required bool
				Content  map[string]struct{ Schema schema }
			} `json:"requestBody"`
		}
		Components struct{ Schemas map[string]schema }
	}
	c.send("GET", "/openapi.json", nil).want(200).into(&doc)
	var list []target
	for template, methods := range doc.Paths {
		for method, op := range methods {
			t := target{method: strings.ToUpper(method), template: template, access: op.Access, path: template}
			for _, p := range op.Parameters {
				switch p.In {
				case "query":
					t.query = append(t.query, p.Name)
				case "path":
					t.hasID = true
					t.path = strings.ReplaceAll(t.path, "{"+p.Name+"}", "01890000-0000-7000-8000-0000000000aa")
				}
			}
			if op.Body != nil {
				t.bodyRequired = op.Body.Required
				for kind, content := range op.Body.Content {
					s := content.Schema
					if name := strings.TrimPrefix(s.Ref, "#/components/schemas/"); name != s.Ref {
						s = doc.Components.Schemas[name]
					}
					t.consumes, t.properties = kind, s.Properties
				}
			}
			list = append(list, t)
		}
	}
	if len(list) < 25 {
		c.tb.Fatalf("the document has %d operations", len(list))
	}
	slices.SortFunc(list, func(a, b target) int { return strings.Compare(a.template+a.method, b.template+b.method) })
	return list
}

// attacked is a node that gets malformed requests as its administrator.
type attacked struct {
	t      *testing.T
	c      client
	list   []target
	before state
	tries  int
}

// state is what malformed requests must not change.
type state struct {
	people, roles, sessions, entries string
}

func attack(t *testing.T, stack string) *attacked {
	t.Helper()
	n := install(t, stack, "GATEHOUSE_RATE_LIMITS=off").start()
	admin := n.connect().admin()
	admin.create("ada@example.com", "support")
	a := &attacked{t: t, c: admin, list: targets(admin)}
	a.before = a.state()
	return a
}

// state reads all people, roles and own sessions, and the entries of the log
// that tell of changes.
func (a *attacked) state() state {
	a.t.Helper()
	text := func(path string) string {
		var page struct{ Items []map[string]any }
		a.c.send("GET", path, nil).want(200).into(&page)
		for _, item := range page.Items {
			delete(item, "last_activity_at") // reads move it
		}
		encoded, _ := json.Marshal(page.Items)
		return string(encoded)
	}
	var changes []string
	for _, e := range all[entry](a.c, "/admin/audit-logs", nil) {
		if e.Outcome == "success" && e.Action != "key.added" { // which the program does by itself
			changes = append(changes, e.Action+" "+e.ID)
		}
	}
	return state{text("/users?limit=200"), text("/admin/roles?limit=200"), text("/auth/sessions"), strings.Join(changes, "\n")}
}

func (a *attacked) requireUnchanged() {
	a.t.Helper()
	if now := a.state(); now != a.before {
		a.t.Errorf("malformed requests changed something:\nbefore %+v\nafter  %+v", a.before, now)
	}
	a.t.Logf("%d requests to %d operations", a.tries, len(a.list))
}

// refuse sends a request and holds the answer to the rules of a refusal: one
// of the statuses, or any 4xx.
func (a *attacked) refuse(what string, c client, method, path string, body any, headers []string, statuses ...int) {
	a.t.Helper()
	a.tries++
	r, err := c.try(method, path, body, headers...)
	if err != nil {
		a.t.Errorf("%s: %s %.200s: %v", what, method, path, err)
		return
	}
	if r.status < 400 || r.status > 499 || len(statuses) > 0 && !slices.Contains(statuses, r.status) {
		a.t.Errorf("%s: %s %.200s: got %d, want %v\n%.500s", what, method, path, r.status, statuses, r.body)
		return
	}
	if method == http.MethodHead {
		return
	}
	var p struct {
		Type, Title, Detail, Instance, Code string
		Status                              int
		RequestID                           string `json:"request_id"`
	}
	err = json.Unmarshal(r.body, &p)
	if err != nil || r.header.Get("Content-Type") != "application/problem+json" || p.Type == "" || p.Title == "" || p.Instance == "" ||
		p.Code == "" || p.Status != r.status || p.RequestID == "" || p.RequestID != r.header.Get("X-Request-Id") {
		a.t.Errorf("%s: %s %.200s: not a whole problem document: %v %s", what, method, path, r.header, r.body)
	}
	if bytes.Contains(r.body, []byte("hostile")) {
		a.t.Errorf("%s: %s %.200s: the answer repeats what was sent: %s", what, method, path, r.body)
	}
}

func TestMalformed_BodiesAreRefusedAndChangeNothing(t *testing.T) {
	t.Parallel()
	bothStacks(t, func(t *testing.T, stack string) {
		a := attack(t, stack)
		for _, to := range a.list {
			if to.consumes != "" {
				a.bodies(to)
				a.values(to)
			}
		}
		a.requireUnchanged()
	})
}

// bodies are wrong whatever the operation takes.
func (a *attacked) bodies(to target) {
	big := `{"strange":"` + strings.Repeat("x", 70<<10) + `"}`
	name := "strange"
	for p := range to.properties {
		name = p
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(`{}`))
	_ = z.Close()
	kind := "Content-Type: " + to.consumes
	for what, b := range map[string]struct {
		body     any
		kind     string
		statuses []int
	}{
		"unknown field":           {`{"strange":"hostile"}`, kind, []int{422}},
		"name in other case":      {`{"` + strings.ToUpper(name) + `":"x"}`, kind, []int{422}},
		"duplicate names":         {`{"` + name + `":"x","` + name + `":"x"}`, kind, []int{400}},
		"broken UTF-8":            {"{\"" + name + "\":\"\xff\xfe\"}", kind, []int{400}},
		"lone surrogate":          {`{"` + name + `":"\ud800"}`, kind, []int{400}},
		"byte order mark":         {"\ufeff{}", kind, []int{400}},
		"trailing data":           {`{} {}`, kind, []int{400}},
		"cut off":                 {`{"` + name + `":`, kind, []int{400}},
		"not JSON":                {`hostile`, kind, []int{400}},
		"NaN":                     {`{"` + name + `":NaN}`, kind, []int{400}},
		"single quotes":           {`{'hostile':1}`, kind, []int{400}},
		"comment":                 {`{/*hostile*/}`, kind, []int{400}},
		"trailing comma":          {`{"` + name + `":null,}`, kind, []int{400}},
		"array":                   {`[]`, kind, []int{422}},
		"string":                  {`"hostile"`, kind, []int{422}},
		"number":                  {`12`, kind, []int{422}},
		"deep array":              {strings.Repeat("[", 10_000), kind, []int{400, 422}},
		"deep object":             {strings.Repeat(`{"`+name+`":`, 1000) + "1" + strings.Repeat("}", 1000), kind, []int{400, 422}},
		"deep value":              {`{"strange":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, kind, []int{400, 422}},
		"too large":               {big, kind, []int{413}},
		"too large, unknown size": {io.MultiReader(strings.NewReader(big)), kind, []int{413}},
		"text":                    {`{}`, "Content-Type: text/plain", []int{415}},
		"form":                    {`a=b`, "Content-Type: application/x-www-form-urlencoded", []int{415}},
		"XML":                     {`<a/>`, "Content-Type: application/xml", []int{415}},
		"no type":                 {`{}`, "Content-Type: ", []int{415}},
		"broken type":             {`{}`, "Content-Type: ;;;", []int{415}},
		"other character set":     {`{}`, kind + "; charset=utf-16", []int{415}},
	} {
		a.refuse(what, a.c, to.method, to.path, b.body, []string{b.kind}, b.statuses...)
	}
	a.refuse("compressed", a.c, to.method, to.path, zipped.String(), []string{kind, "Content-Encoding: gzip"}, 415)
	if to.bodyRequired {
		a.refuse("null", a.c, to.method, to.path, "null", []string{kind}, 422)
		a.refuse("no body", a.c, to.method, to.path, nil, nil, 400, 415, 422)
		a.refuse("empty body", a.c, to.method, to.path, "", []string{kind}, 400, 415, 422)
		a.refuse("blank body", a.c, to.method, to.path, " ", []string{kind}, 400)
	}
}

// values puts wrong values in every field, one at a time.
func (a *attacked) values(to target) {
	kind := []string{"Content-Type: " + to.consumes}
	for name, p := range to.properties {
		wrong := map[string]string{
			"object": `{"strange":"hostile"}`, "huge number": `1e999`, "long integer": strings.Repeat("9", 400), "negative zero": `-0`,
		}
		if !p.is("boolean") {
			wrong["boolean"] = `true`
		}
		if !p.is("array") {
			wrong["array"] = `["hostile"]`
		}
		if p.is("string") {
			wrong["NUL"], wrong["control"] = `"hostile\u0000x"`, `"hostile\u0007\r\n"`
			wrong["very long"] = `"` + strings.Repeat("hostile", 1000) + `"`
		} else {
			wrong["string"] = `"hostile"`
		}
		for what, value := range wrong {
			statuses := []int{422}
			if strings.Contains(name, "password") || strings.Contains(name, "token") {
				statuses = []int{400, 401, 422} // a secret that was never given out
			}
			if what == "huge number" {
				statuses = append(statuses, 400)
			}
			a.refuse(what+" in "+name, a.c, to.method, to.path, `{"`+name+`":`+value+`}`, kind, statuses...)
		}
	}
}

func TestMalformed_AddressesAreRefusedAndChangeNothing(t *testing.T) {
	t.Parallel()
	bothStacks(t, func(t *testing.T, stack string) {
		a := attack(t, stack)
		for _, to := range a.list {
			a.ids(to)
			if to.template != "/auth/logout" { // whose query is nobody's business
				a.queries(to)
			}
			a.tokens(to)
		}
		a.methods()
		a.requireUnchanged()
	})
}

// ids are wrong values in the path.
func (a *attacked) ids(to target) {
	if !to.hasID {
		return
	}
	for _, id := range []string{
		"hostile", "0", "-1", "%00", "%ff%fe", "..", "%2e%2e%2f", "%0d%0aX:y", "'%20OR%201=1--", "{id}", "*", "%F0%9F%92%A9",
		"01890000-0000-7000-8000-0000000000a", "01890000-0000-7000-8000-0000000000aag", "01890000000070008000000000000aaa",
		"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", strings.Repeat("a", 3000),
		"%7B01890000-0000-7000-8000-0000000000aa%7D", "urn:uuid:01890000-0000-7000-8000-0000000000aa",
	} {
		path := to.template
		for strings.Contains(path, "{") && id != "{id}" {
			before, rest, _ := strings.Cut(path, "{")
			_, after, _ := strings.Cut(rest, "}")
			path = before + id + after
		}
		a.refuse("id "+id, a.c, to.method, path, a.plausible(to), a.kind(to), 400, 404, 405, 414, 422)
	}
	a.refuse("unknown id", a.c, to.method, to.path, a.plausible(to), a.kind(to), 404, 422)
}

// plausible is a body that is well formed.
func (*attacked) plausible(to target) any {
	if to.consumes == "" {
		return nil
	}
	return `{}`
}

func (*attacked) kind(to target) []string {
	if to.consumes == "" {
		return nil
	}
	return []string{"Content-Type: " + to.consumes}
}

// queries are wrong everywhere, or for the parameters that there are.
func (a *attacked) queries(to target) {
	for _, q := range []string{
		"x=%ff", "%ff=hostile", "x=%00", "x=%zz", "x=hostile&x=hostile", "x;y=z", "x=hostile", "x=" + strings.Repeat("a", 5000),
	} {
		statuses := []int{400, 414, 422}
		if to.hasID {
			statuses = append(statuses, 404)
		}
		if to.consumes != "" || to.access == "cookie" { // an empty body is refused before, or after, as it comes
			statuses = append(statuses, 401, 415)
		}
		if plain(to) {
			continue // what answers everyone the same has no query to be wrong
		}
		a.refuse("query "+q[:min(len(q), 20)], a.c, to.method, to.path+"?"+q, a.plausible(to), a.kind(to), statuses...)
	}
	wrong := map[string][]string{
		"limit":  {"0", "201", "-1", "abc", "1e2", "99999999999999999999", "", "1.5", "+5", "%2010", "٣"},
		"cursor": {"hostile", "AAAA", "%7B%7D", "eyJhIjoxfQ", strings.Repeat("A", 2000), "..%2f"},
		"sort":   {"password_hash", "-", "id;drop", "email,-created_at", "EMAIL", "--email"},
		"q":      {strings.Repeat("x", 101), "%00", "%01"},
		"status": {"hostile", "ACTIVE", "%00"}, "include_total": {"maybe", "2"}, "email_verified": {"maybe", "yes"},
		"created_after": {"hostile", "2020", "2020-13-01T00:00:00Z", "99999-01-01T00:00:00Z"}, "from": {"hostile", "now"}, "to": {"0"},
		"actor": {"hostile", "1"}, "target": {"hostile"}, "ip": {"hostile", "1.2.3", "1.2.3.4/8"}, "outcome": {"hostile"}, "force": {"hostile"},
		"action": {"hostile%00", "%27"}, "request_id": {strings.Repeat("x", 3000), "%00"},
	}
	for _, name := range to.query {
		a.refuse(name+" twice", a.c, to.method, to.path+"?"+name+"=1&"+name+"=1", nil, nil, 404, 422)
		for _, value := range append(wrong[name], "%ff", "%zz") {
			a.refuse(name+"="+value[:min(len(value), 20)], a.c, to.method, to.path+"?"+name+"="+value, nil, nil, 400, 404, 422)
		}
	}
}

// plain reports whether the operation takes nothing and tells everyone the
// same.
func plain(to target) bool {
	return strings.HasPrefix(to.template, "/health/") || strings.HasPrefix(to.template, "/.well-known/")
}

// tokens are no access tokens.
func (a *attacked) tokens(to target) {
	if to.access == "public" || plain(to) || strings.HasPrefix(to.template, "/auth/log") || to.consumes != "" && to.access == "cookie" {
		return
	}
	for _, header := range []string{
		"Bearer", "Bearer ", "Bearer hostile", "bearer " + a.c.token + "x", "Basic aG9zdGlsZQ==", "Bearer " + a.c.token + " hostile",
		"Bearer eyJhbGciOiJub25lIn0.e30.", "Bearer " + strings.Repeat("a", 8000), "hostile",
	} {
		if a.anonymous(to) {
			continue
		}
		a.refuse("authorization "+header[:min(len(header), 20)], a.c.as(""), to.method, to.path, a.plausible(to),
			append(a.kind(to), "Authorization: "+header), 401)
	}
}

// anonymous reports whether the operation asks nobody who they are.
func (a *attacked) anonymous(to target) bool {
	r, err := a.c.as("").try(to.method, to.path, "{", a.kind(to)...)
	return err != nil || r.status != 401
}

// methods tries what no operation has.
func (a *attacked) methods() {
	known := map[string][]string{}
	path := map[string]string{}
	for _, to := range a.list {
		known[to.template] = append(known[to.template], to.method)
		path[to.template] = to.path
	}
	for template, has := range known {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "HOSTILE"} {
			if slices.Contains(has, method) {
				continue
			}
			a.refuse("method", a.c, method, path[template], nil, nil, 405)
			r := a.c.send(method, path[template], nil)
			for _, m := range has {
				if !strings.Contains(r.header.Get("Allow"), m) {
					a.t.Errorf("%s %s: Allow is %q, without %s", method, template, r.header.Get("Allow"), m)
				}
			}
		}
	}
	for _, p := range []string{"/hostile", "//users/profile", "/users/../users/profile", "/users/profile/", "/Users/profile", "/%2e%2e/etc/passwd", "/users%2fprofile", "/.git/config", "/auth", "/admin/"} {
		a.refuse("path", a.c, "GET", p, nil, nil, 404)
	}
}

func TestMalformed_SizesAreRefused(t *testing.T) {
	t.Parallel()
	a := attack(t, embedded)
	a.refuse("long URL", a.c, "GET", "/users?q="+strings.Repeat("x", 5000), nil, nil, 414)
	a.refuse("large headers", a.c, "GET", "/users", nil, []string{"X-Hostile: " + strings.Repeat("x", 33<<10)}, 431)
	r, err := a.c.try("GET", "/users", nil, "X-Hostile: "+strings.Repeat("x", 200<<10))
	if err == nil && r.status != 431 {
		t.Errorf("very large headers: %d %s", r.status, r.body)
	}
	many := make([]string, 1290) // past ours, and within that of net/http
	for k := range many {
		many[k] = "X-Hostile-" + strconv.Itoa(k) + ": xxxxxxxx"
	}
	a.refuse("many headers", a.c, "GET", "/users", nil, many, 431)
	var names []string
	for k := range 200 {
		names = append(names, fmt.Sprintf(`"p%d:read"`, k))
	}
	a.refuse("many items", a.c, "POST", "/admin/roles", `{"name":"hostile","permissions":[`+strings.Join(names, ",")+`]}`, nil, 422)
	a.refuse("keys", a.c, "POST", "/users", `{"email":"x@example.com"}`, []string{"Idempotency-Key: " + strings.Repeat("k", 256)}, 422)
	a.refuse("keys", a.c, "POST", "/users", `{"email":"x@example.com"}`, []string{"Idempotency-Key: hostile key"}, 422)
	a.refuse("etag", a.c, "PUT", "/users/profile", `{"first_name":"X"}`, []string{"If-Match: hostile"}, 400, 412, 422)
	a.refuse("search", a.c, "GET", "/users?q="+url.QueryEscape(strings.Repeat("é", 101)), nil, nil, 422)
	a.requireUnchanged()
}
