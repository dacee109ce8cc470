package api_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"gatehouse/internal/api"
)

func TestOpenAPI_AgreesWithTheTable(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), func(s *api.Surface) { api.AddOpenAPI(s) })
	r := s.do(t, "GET", "/openapi.json", "")
	if r.StatusCode != 200 || r.json["openapi"] != "3.1.0" || r.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s", r.StatusCode, r.text)
	}
	at := func(keys ...string) any {
		var v any = r.json
		for _, k := range keys {
			m, ok := v.(map[string]any)
			if !ok {
				t.Fatalf("no %v in the document: %s", keys, r.text)
			}
			v = m[k]
		}
		return v
	}
	for _, route := range s.api.Routes() {
		if route.Hidden {
			continue
		}
		if got := at("paths", route.Path, strings.ToLower(route.Method), "x-access"); got != route.Access.String() {
			t.Errorf("%s: x-access is %v", route, got)
		}
	}
	for _, c := range []struct {
		path []string
		want string
	}{
		{[]string{"paths", "/things", "post", "requestBody", "content", "application/json", "schema", "properties", "name"}, `{"maxLength":5,"minLength":1,"type":"string"}`},
		{[]string{"paths", "/things", "post", "requestBody", "content", "application/json", "schema", "required"}, `["name"]`},
		{[]string{"paths", "/things", "post", "requestBody", "content", "application/json", "schema", "additionalProperties"}, `false`},
		{[]string{"paths", "/things", "post", "requestBody", "content", "application/json", "schema", "properties", "owner"}, `{"format":"uuid","type":["string","null"]}`},
		{[]string{"paths", "/things/{id}", "get", "responses", "200", "content", "application/json", "schema"}, `{"$ref":"#/components/schemas/Thing"}`},
		{[]string{"paths", "/things/{id}", "get", "security"}, `[{"bearer":[]}]`},
		{[]string{"paths", "/things/{id}", "delete", "responses", "204", "description"}, `"No Content"`},
		{[]string{"components", "schemas", "Thing", "required"}, `["id","name","note","created_at"]`},
		{[]string{"components", "schemas", "PageString", "properties", "next_cursor"}, `{"type":["string","null"]}`},
		{[]string{"paths", "/login", "post", "x-rate-limit"}, `{"max":20,"window_seconds":60}`},
		{[]string{"paths", "/things/{id}", "patch", "operationId"}, `"patchThingsId"`},
	} {
		if got, _ := json.Marshal(at(c.path...)); string(got) != c.want {
			t.Errorf("%v: %s, want %s", c.path, got, c.want)
		}
	}
	for ref := range strings.SplitSeq(r.text, `"#/components/schemas/`) {
		name, _, _ := strings.Cut(ref, `"`)
		if !strings.HasPrefix(ref, "{") && at("components", "schemas", name) == nil {
			t.Errorf("the document refers to %s, which it lacks", name)
		}
	}
}

func TestInclude_PutsSeveralServicesOnOneOrigin(t *testing.T) {
	t.Parallel()
	ready := func(context.Context) api.Health {
		return api.Health{Status: api.Degraded, Checks: map[string]string{"cache": "down"}}
	}
	sample := api.New("sample", newGate().deps(), testConfig())
	sampleRoutes(sample)
	api.AddHealth(sample, ready, false)
	g := newGate()
	front := api.New("front", g.deps(), testConfig())
	api.AddHealth(front, ready, true)
	front.Include(sample)
	s := &server{gate: g, api: front, url: listen(t, front)}
	if r := s.do(t, "GET", "/things/"+g.ada.String(), "", "Authorization", "Bearer reader"); r.StatusCode != 200 {
		t.Errorf("a route of the service: %d %s", r.StatusCode, r.text)
	}
	if r := s.do(t, "GET", "/health/ready", ""); r.StatusCode != 200 || r.json["checks"] == nil {
		t.Errorf("the front's own readiness: %d %s", r.StatusCode, r.text)
	}
	if len(front.Routes()) != len(sample.Routes()) {
		t.Errorf("front has %d routes, the service %d", len(front.Routes()), len(sample.Routes()))
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	health := api.Health{Status: api.NotReady, Checks: map[string]string{"database": "down"}}
	ready := func(context.Context) api.Health { return health }
	for _, detail := range []bool{true, false} {
		s := start(t, testConfig(), func(s *api.Surface) {
			api.AddHealth(s, ready, detail)
		})
		r := s.do(t, "GET", "/health/ready", "")
		if r.StatusCode != 503 || r.json["status"] != "not_ready" || (r.json["checks"] != nil) != detail {
			t.Errorf("detail %v: %d %s", detail, r.StatusCode, r.text)
		}
		if r := s.do(t, "GET", "/health/live", ""); r.StatusCode != 200 {
			t.Errorf("live: %d", r.StatusCode)
		}
	}
	s := start(t, testConfig(), func(s *api.Surface) { api.AddMetrics(s, newGate().registry) })
	if r := s.do(t, "GET", "/health/metrics", ""); r.StatusCode != 200 || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("metrics: %d %s", r.StatusCode, r.Header.Get("Content-Type"))
	}
}
