package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestDocs_ListEveryActionOfTheLog compares docs/log-actions.md with the
// constants of type audit.Action.
func TestDocs_ListEveryActionOfTheLog(t *testing.T) {
	t.Parallel()
	declared := map[string]bool{}
	for _, s := range sources(t) {
		for _, spec := range constants(t, s) {
			if kind, ok := spec.Type.(*ast.SelectorExpr); !ok || kind.Sel.Name != "Action" {
				continue
			}
			for _, v := range spec.Values {
				text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				declared[text] = true
			}
		}
	}
	var listed []string
	for _, row := range table(t, "docs/log-actions.md", "| `") {
		listed = append(listed, strings.Trim(row[0], "`"))
	}
	if want := slices.Sorted(maps.Keys(declared)); !slices.Equal(listed, want) {
		t.Errorf("docs/log-actions.md has\n%s\nwant, in this order,\n%s", strings.Join(listed, "\n"), strings.Join(want, "\n"))
	}
}

// TestDocs_LimitsEqualTheConstants compares docs/dependencies.md with the
// constants that it names.
func TestDocs_LimitsEqualTheConstants(t *testing.T) {
	t.Parallel()
	values := map[string]string{}
	for _, s := range sources(t) {
		for _, spec := range constants(t, s) {
			for i, v := range spec.Values {
				values[s.dir+"."+spec.Names[i].Name] = shown(v)
			}
		}
	}
	for _, row := range table(t, "docs/dependencies.md", "| ") {
		if len(row) < 4 || !strings.HasPrefix(row[3], "`internal/") {
			continue
		}
		name := strings.Trim(row[3], "`")
		got := row[2]
		if d, err := time.ParseDuration(got); err == nil {
			got = d.String()
		}
		if want, ok := values[name]; !ok || got != want {
			t.Errorf("docs/dependencies.md says %s of %s, the code says %q", row[2], name, want)
		}
	}
}

// table returns the cells of a page's table rows that begin with prefix.
func table(tb testing.TB, page, prefix string) [][]string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		tb.Fatal(err)
	}
	var rows [][]string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, prefix) {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i, c := range cells {
			cells[i] = strings.TrimSpace(c)
		}
		rows = append(rows, cells)
	}
	if len(rows) == 0 {
		tb.Fatalf("%s has no table", page)
	}
	return rows
}

// constants returns the constants of a package that have a value of their own.
func constants(tb testing.TB, s source) []*ast.ValueSpec {
	tb.Helper()
	var specs []*ast.ValueSpec
	for _, name := range s.files {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, s.dir, name), nil, 0)
		if err != nil {
			tb.Fatal(err)
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
				for _, spec := range g.Specs {
					specs = append(specs, spec.(*ast.ValueSpec))
				}
			}
		}
	}
	return specs
}

// shown returns a number as it is and a product of a number and a unit of time
// as a duration; "" for other expressions.
func shown(e ast.Expr) string {
	switch v := e.(type) {
	case *ast.BasicLit:
		return v.Value
	case *ast.SelectorExpr:
		return unit(v).String()
	case *ast.BinaryExpr:
		n, isNumber := v.X.(*ast.BasicLit)
		u, isUnit := v.Y.(*ast.SelectorExpr)
		if !isNumber || !isUnit || v.Op != token.MUL {
			return ""
		}
		count, err := strconv.Atoi(n.Value)
		if err != nil {
			return ""
		}
		return (time.Duration(count) * unit(u)).String()
	}
	return ""
}

func unit(s *ast.SelectorExpr) time.Duration {
	return map[string]time.Duration{
		"Millisecond": time.Millisecond, "Second": time.Second, "Minute": time.Minute, "Hour": time.Hour,
	}[s.Sel.Name]
}

// TestDocs_LinksLeadSomewhere follows the links between pages of the project.
func TestDocs_LinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	link := regexp.MustCompile(`\]\(([^)#\s]+)[^)]*\)`)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), filepath.FromSlash(path.Clean(m[1])))); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
			}
		}
	}
}
