package arch_test

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// rows is the import order: a package uses only rows before its own. A name
// stands for the folder and all below it.
var rows = [][]string{
	{"internal/platform"},
	{
		"internal/actor", "internal/audit", "internal/epoch", "internal/keyring", "internal/throttle",
		"internal/notify", "internal/idempotency", "internal/settings",
	},
	{
		"internal/identity", "internal/profile", "internal/password", "internal/passkey", "internal/mfa",
		"internal/session", "internal/token", "internal/link", "internal/federation", "internal/oauth",
		"internal/rbac", "internal/org", "internal/search", "internal/analytics",
	},
	{
		"internal/access", "internal/signup", "internal/signin", "internal/recovery", "internal/account",
		"internal/privacy", "internal/custody",
	},
	{"internal/api"},
	{"internal/app"},
	{"cmd"},
}

// pairs are the imports inside one row. An empty from stands for every package
// of the row.
var pairs = []struct{ from, to, reason string }{
	{"", "internal/actor", "who acts is an argument of every use case of the support row"},
	{"", "internal/audit", "a change is logged by whoever makes it"},
	{"", "internal/identity", "every capability is about people"},
	{"internal/audit", "internal/keyring", "entries are sealed, heads are signed"},
	{"internal/notify", "internal/keyring", "mails wait sealed in the queue"},
	{"internal/idempotency", "internal/keyring", "stored answers are sealed"},
	{"internal/token", "internal/session", "a token is issued for a session"},
	{"internal/oauth", "internal/session", "a grant is a session"},
	{"internal/oauth", "internal/token", "a grant is paid out in tokens"},
}

// confined are imports that only some folders may have: those of only where it
// is set, all but those of never otherwise. Programs below test are free.
var confined = []struct {
	imports, only, never []string
	reason               string
}{
	{
		imports: []string{"database/sql", "github.com/jackc/pgx", "modernc.org/sqlite"},
		only:    []string{"internal/platform/db"},
		reason:  "SQL drivers stay behind one dialect",
	},
	{
		imports: []string{module + "/internal/platform/db"},
		never:   []string{"internal/api"},
		reason:  "SQL and transactions don't reach the HTTP layer",
	},
	{
		imports: []string{"github.com/redis/rueidis"},
		only:    []string{"internal/platform/cache/rediscache"},
		reason:  "the Redis client stays behind the cache",
	},
	{
		imports: []string{"net/http"},
		only:    []string{"internal/platform", "internal/api", "internal/app", "cmd"},
		reason:  "a rule also runs from a job or the command line",
	},
	{
		imports: []string{module + "/internal/config"},
		only:    []string{"internal/config", "internal/app", "cmd"},
		reason:  "a capability gets its own small Config, never the whole",
	},
	{imports: []string{"os/exec"}, never: product, reason: "the product starts no programs"},
	{imports: []string{"unsafe", "C"}, never: product, reason: "memory safety is the compiler's to prove"},
	{imports: []string{"math/rand"}, never: product, reason: "secrets come from crypto/rand, jitter from math/rand/v2"},
	{
		imports: []string{"crypto/md5", "crypto/sha1", "crypto/des", "crypto/rc4"},
		never:   product,
		reason:  "broken or ageing primitives",
	},
}

// harmless are packages below a confined import that are none of it:
// database/sql/driver only names the interface of a value, and math/rand/v2
// succeeds math/rand.
var harmless = []string{"database/sql/driver", "math/rand/v2"}

// product is everything that ends up in the binary.
var product = []string{"internal", "cmd"}

// bannedNames say what kind of code a folder holds, not what it is about.
var bannedNames = []string{
	"model", "models", "type", "types", "util", "utils", "common", "helper", "helpers", "handler", "handlers",
	"service", "services", "repository", "repositories", "misc", "shared", "base", "lib", "pkg",
}

func TestImports_FollowTheRows(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if within(s.dir, "test", "internal/arch", "internal/config") {
			continue // not part of the product; config is held by confined
		}
		from := row(s.dir)
		if from < 0 {
			t.Errorf("%s has no place in rows", s.dir)
			continue
		}
		for _, i := range s.product {
			target, ours := strings.CutPrefix(i.path, module+"/")
			if !ours || target == "internal/config" {
				continue
			}
			to := row(target)
			switch {
			case to < 0:
				t.Errorf("%s imports %s, which has no place in rows", i.file, target)
			case to > from:
				t.Errorf("%s imports %s of a later row", i.file, target)
			case to == from && !sameRow(s.dir, target):
				t.Errorf("%s imports %s of its own row, and no pair allows it", i.file, target)
			}
		}
	}
}

// row returns the place of a folder in rows, or -1.
func row(dir string) int {
	return slices.IndexFunc(rows, func(folders []string) bool { return within(dir, folders...) })
}

// sameRow reports whether a package may import another of its row: one of the
// same folder, or one of an allowed pair.
func sameRow(from, to string) bool {
	folders := rows[row(from)]
	for _, folder := range folders {
		if within(from, folder) && within(to, folder) {
			return true
		}
	}
	for _, p := range pairs {
		if within(to, p.to) && (p.from == "" || within(from, p.from)) {
			return true
		}
	}
	return false
}

func TestPairs_AreOfOneRow(t *testing.T) {
	t.Parallel()
	for _, p := range pairs {
		if p.from != "" && row(p.from) != row(p.to) {
			t.Errorf("%s and %s stand in different rows: the pair is not needed or not possible", p.from, p.to)
		}
	}
}

func TestImports_AreConfined(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if within(s.dir, "test") {
			continue
		}
		for _, i := range s.product {
			for _, c := range confined {
				if slices.Contains(harmless, i.path) || !within(i.path, c.imports...) {
					continue
				}
				if c.only != nil && !within(s.dir, c.only...) || within(s.dir, c.never...) {
					t.Errorf("%s imports %s: %s", i.file, i.path, c.reason)
				}
			}
		}
	}
}

func TestPackages_SayWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		want := "Package " + s.name + " "
		if s.name == "main" {
			want = "Command " + path.Base(s.dir) + " "
		}
		if !strings.HasPrefix(s.doc, want) {
			t.Errorf("%s: the package comment begins %q, want %q", s.dir, firstWords(s.doc), want)
		}
		if strings.Count(s.doc, want) > 1 {
			t.Errorf("%s has more than one package comment", s.dir)
		}
	}
}

func firstWords(doc string) string {
	return strings.Join(strings.Fields(doc)[:min(3, len(strings.Fields(doc)))], " ")
}

func TestFolders_AreNamedAfterWhatTheyAreAbout(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		for part := range strings.SplitSeq(s.dir, "/") {
			if slices.Contains(bannedNames, part) {
				t.Errorf("%s: %q says what kind of code a folder holds", s.dir, part)
			}
		}
		if s.name != "main" && s.name != path.Base(s.dir) {
			t.Errorf("%s holds package %s", s.dir, s.name)
		}
	}
}
