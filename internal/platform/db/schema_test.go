package db_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
)

// columnsOf lists "table.column" of everything that the migrations made,
// without the parts that one engine needs for itself.
func columnsOf(t *testing.T, d *db.DB) []string {
	t.Helper()
	query := `SELECT table_name || '.' || column_name FROM information_schema.columns
		WHERE table_schema = 'public' AND table_name NOT LIKE 'audit\_logs\_%'`
	if d.Embedded() {
		query = `SELECT t.name || '.' || c.name FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c
			WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE 'users_search%'`
	}
	list, err := db.List(t.Context(), d, func(s db.Scanner) (name string, err error) { return name, s.Scan(&name) }, query)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

func TestSchema_IsTheSameOnBothEngines(t *testing.T) {
	t.Parallel()
	lite := columnsOf(t, dbtest.Open(t, dbtest.URL(t, "sqlite")))
	big := columnsOf(t, dbtest.Open(t, dbtest.URL(t, "postgres")))
	if diff := cmp.Diff(lite, big); diff != "" {
		t.Errorf("SQLite (-) and PostgreSQL (+) differ:\n%s", diff)
	}
}

func TestSchema_EveryColumnHasAClassInTheDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/data.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 7 || strings.HasPrefix(cells[1], "-") || strings.TrimSpace(cells[1]) == "table" {
			continue
		}
		for _, class := range cells[2:6] {
			for name := range strings.SplitSeq(class, ",") {
				if name = strings.TrimSpace(name); name != "" {
					documented = append(documented, strings.TrimSpace(cells[1])+"."+name)
				}
			}
		}
	}
	slices.Sort(documented)
	if diff := cmp.Diff(documented, columnsOf(t, dbtest.Open(t, dbtest.URL(t, "sqlite")))); diff != "" {
		t.Errorf("docs/data.md (-) and the schema (+) differ:\n%s", diff)
	}
}
