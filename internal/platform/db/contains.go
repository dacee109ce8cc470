package db

import (
	"context"
	"strconv"
	"strings"
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
	indexed := utf8.RuneCountInString(fragment) >= 3
	if indexed {
		few, err := d.matchesFew(ctx, table, column, fragment)
		if err != nil {
			return "", err
		}
		indexed = few
	}
	if !indexed {
		*args = append(*args, fragment)
		return "instr(" + table + "." + column + ", " + placeholder(args) + ") > 0", nil
	}
	*args = append(*args, ftsPhrase(fragment))
	search := table + "_search"
	return table + ".rowid IN (SELECT " + search + ".rowid FROM " + search +
		" WHERE " + search + "." + column + " MATCH " + placeholder(args) + ")", nil
}

func (d *DB) matchesFew(ctx context.Context, table, column, fragment string) (bool, error) {
	search := table + "_search"
	var n int
	err := d.QueryRow(ctx, "SELECT count(*) FROM (SELECT 1 FROM "+search+" WHERE "+search+"."+column+" MATCH $1 LIMIT $2)",
		ftsPhrase(fragment), fewMatches+1).Scan(&n)
	return n <= fewMatches, err
}

func placeholder(args *[]any) string { return "$" + strconv.Itoa(len(*args)) }

// escapeLike makes every character of s stand for itself in a LIKE pattern.
func escapeLike(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

// ftsPhrase quotes s as one FTS5 string, in which only the quote is special.
// With trigrams a phrase matches exactly where s is a part of the text.
func ftsPhrase(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
