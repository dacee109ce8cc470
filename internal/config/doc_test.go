package config_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/config"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

const (
	page  = "../../docs/configuration.md"
	begin = "<!-- table: go test ./internal/config -update -->\n"
	end   = "<!-- end of table -->\n"
)

// TestDocs_TableMatchesCode compares the table in docs/configuration.md with
// the options.
func TestDocs_TableMatchesCode(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(data), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("the page has lost the marks around its table")
	}
	want := head + begin + table() + end + tail
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("the page is out of date (go test ./internal/config -update):\n%s", diff)
	}
}

func table() string {
	var b strings.Builder
	b.WriteString("| variable | flag | default | meaning |\n| --- | --- | --- | --- |\n")
	for _, o := range config.Options() {
		name, flags := "`"+o.Name+"`", "`--"+o.Flag+"`"
		if o.Secret {
			name += " or `" + o.Name + "_FILE`"
			flags += ", `--" + o.Flag + "-file`"
		}
		if !o.HasFlag {
			flags = "`--" + o.Flag + "-file`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, flags, o.Default, o.Help)
	}
	return strings.ReplaceAll(b.String(), "<", "&lt;")
}
