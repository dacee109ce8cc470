package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// module is the path of the module, as go.mod names it.
const module = "gatehouse"

// root is the folder of go.mod, seen from this package.
const root = "../.."

// source is one package of the module as its files show it, whatever build
// tags they carry.
type source struct {
	dir     string   // from the root, with slashes: "internal/session"
	name    string   // as the package clause has it
	doc     string   // the package comment
	product []imp    // imports of the files that are not tests
	files   []string // those files
}

type imp struct{ file, path string }

// sources reads the module once for all tests.
func sources(tb testing.TB) []source {
	tb.Helper()
	list, err := read()
	if err != nil {
		tb.Fatal(err)
	}
	return list
}

var read = sync.OnceValues(func() ([]source, error) {
	var list []source
	err := filepath.WalkDir(root, func(dir string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		name := entry.Name()
		if dir != root && (strings.HasPrefix(name, ".") || name == "testdata" || isModule(dir)) {
			return filepath.SkipDir
		}
		s, err := readPackage(dir)
		if err == nil && s.name != "" {
			list = append(list, s)
		}
		return err
	})
	return list, err
})

// isModule reports whether dir has a go.mod of its own.
func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func readPackage(dir string) (source, error) {
	rel, err := filepath.Rel(root, dir)
	if err != nil {
		return source{}, err
	}
	s := source{dir: filepath.ToSlash(rel)}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return source{}, err
	}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return source{}, err
		}
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		s.name = file.Name.Name
		s.files = append(s.files, filepath.Base(name))
		s.add(path.Join(s.dir, filepath.Base(name)), file)
	}
	return s, nil
}

func (s *source) add(name string, file *ast.File) {
	if file.Doc != nil {
		s.doc += file.Doc.Text()
	}
	for _, spec := range file.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the compiler tells
		}
		s.product = append(s.product, imp{file: name, path: target})
	}
}

// within reports whether dir is one of the folders or lies in one.
func within(dir string, folders ...string) bool {
	for _, folder := range folders {
		if dir == folder || strings.HasPrefix(dir, folder+"/") {
			return true
		}
	}
	return false
}
