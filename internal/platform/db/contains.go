package db

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// fewMatches is up to how many matches SQLite looks up and sorts; of more, so
// many lie along the order asked for that walking it finds a page sooner.
const fewMatches = 500

// Contains returns the condition that column of table holds fragment, a
// literal text compared byte by byte, and appends what the condition needs to
// args. On PostgreSQL the column has a trigram index and the statement is to
// be run by QueryPlanned; on SQLite its content is indexed by the FTS5 table
// <table>_search (tokenizer trigram). Both find a rare fragment by the index
// and leave a frequent one to the order of the listing. Text is expected to be
// folded and free of NUL.
func (d *DB) Contains(ctx context.Context, table, column, fragment string, args *[]any) (string, error) {
	if d.engine.dialect() == postgresDialect {
		*args = append(*args, "%"+escapeLike(fragment)+"%")
		return table + "." + column + " LIKE " + placeholder(args), nil
	}
	*args = append(*args, fragment)
	exact := "instr(" + table + "." + column + ", " + placeholder(args) + ") > 0"
	if utf8.RuneCountInString(fragment) < 3 {
		return exact, nil
	}
	if d.frequent.has(table + "." + column + "\x00" + fragment) {
		return exact, nil
	}
	rows, err := d.matches(ctx, table, column, fragment)
	if err != nil {
		return exact, err
	}
	if len(rows) > fewMatches {
		d.frequent.add(table + "." + column + "\x00" + fragment)
		return exact, nil
	}
	list, err := json.Marshal(rows)
	if err != nil {
		return "", err
	}
	*args = append(*args, string(list))
	return table + ".rowid IN (SELECT value FROM json_each(" + placeholder(args) + ")) AND " + exact, nil
}

// matches returns the numbers of the rows that hold fragment, of more than
// fewMatches one more than those.
func (d *DB) matches(ctx context.Context, table, column, fragment string) ([]int64, error) {
	scan := func(s Scanner) (n int64, err error) { return n, s.Scan(&n) }
	search := table + "_search"
	return List(ctx, d, scan, "SELECT rowid FROM "+search+" WHERE "+search+"."+column+" MATCH $1 LIMIT $2",
		ftsPhrase(fragment), fewMatches+1)
}

// frequent remembers which fragments were found often a moment ago, so that not
// every search has to count. One that has become rare is found more slowly, and
// just as well.
type frequent struct {
	mu    sync.Mutex
	since time.Time
	texts map[string]bool
}

const (
	frequentFor  = 10 * time.Second
	maxFrequents = 1000
)

func (f *frequent) has(text string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.texts[text] && time.Since(f.since) < frequentFor
}

func (f *frequent) add(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.since) >= frequentFor || len(f.texts) >= maxFrequents {
		f.since, f.texts = time.Now(), map[string]bool{}
	}
	f.texts[text] = true
}

func placeholder(args *[]any) string { return "$" + strconv.Itoa(len(*args)) }

// escapeLike makes every character of s stand for itself in a LIKE pattern.
func escapeLike(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

// ftsPhrase quotes s as one FTS5 string, in which only the quote is special.
// With trigrams a phrase matches exactly where s is a part of the text.
func ftsPhrase(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
