package apptest

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "renew the answers in testdata") //nolint:gochecknoglobals // package flag wants it so

// Golden compares the reply with testdata/<name>.json, or writes that file
// under -update. What differs in each run (ids, instants, tokens, keys) is
// replaced by what it is; equal ids stay equal.
func (r Reply) Golden(name string) Reply {
	r.tb.Helper()
	got := r.normal()
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			r.tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			r.tb.Fatal(err)
		}
		return r
	}
	want, err := os.ReadFile(path)
	if err != nil {
		r.tb.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		r.tb.Errorf("%s (-want +got):\n%s", path, diff)
	}
	return r
}

// shown are the headers that belong to an answer's contract.
func shown() []string {
	return []string{
		"Allow", "Cache-Control", "Clear-Site-Data", "Content-Type", "ETag", "Link", "Location", "Retry-After",
		"Set-Cookie", "Vary", "WWW-Authenticate",
	}
}

func (r Reply) normal() string {
	r.tb.Helper()
	header := map[string]any{}
	for _, name := range shown() {
		if values := r.Header.Values(name); values != nil {
			header[name] = values
		}
	}
	answer := Object{"status": r.Status, "header": header}
	if r.Text != "" {
		var body any
		if json.Unmarshal([]byte(r.Text), &body) == nil {
			answer["body"] = body
		} else {
			answer["body"] = r.Text
		}
	}
	text, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		r.tb.Fatal(err)
	}
	return normalise(string(text)) + "\n"
}

const uuid = `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`

// normalise replaces what differs in each run.
func normalise(s string) string {
	for _, rule := range []struct{ pattern, with string }{
		{`eyJ[A-Za-z0-9_.-]+`, "JWT"},
		{`rt_[A-Za-z0-9_-]+`, "REFRESH"},
		{uuid + `\.[A-Za-z0-9_-]{40,}`, "KEYED"},
		{`Max-Age=\d{4,}`, "Max-Age=LIFE"},
		{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`, "TIME"},
		{`urn:gatehouse:request:` + uuid, "urn:gatehouse:request:ID"},
		{`"request_id": "` + uuid + `"`, `"request_id": "ID"`},
		{`http://127\.0\.0\.1:\d+`, "http://FRONT"},
		{`"[A-Za-z0-9+/]{40,}=*"`, `"BASE64"`},
		// The sealer and the jobs add to the log at any time.
		{`"(position|entries|last|unsealed)": (null|\d+)`, `"$1": "NUMBER"`},
		{`2001:db8:[0-9a-f:]+`, "ADDRESS"},
		{`"n": "[A-Za-z0-9_-]+"`, `"n": "MODULUS"`},
	} {
		s = regexp.MustCompile(rule.pattern).ReplaceAllString(s, rule.with)
	}
	numbers := map[string]string{}
	return regexp.MustCompile(uuid).ReplaceAllStringFunc(s, func(id string) string {
		if numbers[id] == "" {
			numbers[id] = fmt.Sprintf("ID-%d", len(numbers)+1)
		}
		return numbers[id]
	})
}
