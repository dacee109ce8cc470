package db_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
)

func addPerson(tb testing.TB, d *db.DB, n int, text string) {
	tb.Helper()
	id := []byte("00000000-0000-7000-8000-000000000000")
	for i := len(id) - 1; n > 0; i-- {
		id[i], n = "0123456789"[n%10], n/10
	}
	err := d.Tx(context.Background(), func(tx *db.Tx) error {
		_, err := tx.Exec(context.Background(), `INSERT INTO users (id, email, canonical_email, password_hash, search_text, created_at, updated_at)
			VALUES ($1, 'x', $2, '!', $3, $4, $4)`, string(id), string(id), text, tx.Now())
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func countContaining(tb testing.TB, d *db.DB, fragment string) (n int) {
	tb.Helper()
	ctx := context.Background()
	var args []any
	where, err := d.Contains(ctx, "users", "search_text", fragment, &args)
	if err != nil {
		tb.Fatal(err)
	}
	if err := d.QueryRow(ctx, `SELECT count(*) FROM users WHERE `+where, args...).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

func TestContains_TakesTheFragmentLiterally(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		for i, text := range []string{"plain", `50%_off\now`, `say "hi" there`, "a*b OR c", "日本語テキスト", "line\nbreak", "x'); --"} {
			addPerson(t, d, i+1, text)
		}
		for fragment, want := range map[string]int{
			"plain": 1, "lai": 1, "PLAIN": 0, "%": 1, "%_o": 1, "___": 0, `\now`: 1, `"hi"`: 1, `"`: 1, "a*b": 1, "*": 1, "a OR c": 0,
			"OR": 1, "日本": 1, "日本語": 1, "語テキ": 1, "line\nbr": 1, "'); --": 1, "NEAR(": 0, "x": 1, "": 7,
		} {
			if got := countContaining(t, d, fragment); got != want {
				t.Errorf("%q is found %d times, want %d", fragment, got, want)
			}
		}
	})
}

// The index of SQLite follows row numbers, which a rebuilt file might change.
func TestContains_SurvivesVacuum(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t, "sqlite")
	d := dbtest.Open(t, url)
	for i, text := range []string{"first", "second", "third", "fourth"} {
		addPerson(t, d, i+1, text)
	}
	ctx := context.Background()
	err := d.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM users WHERE search_text IN ('first', 'third')`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	file, err := sql.Open("sqlite", strings.TrimPrefix(url, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.ExecContext(ctx, "VACUUM"); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	for fragment, want := range map[string]int{"first": 0, "second": 1, "third": 0, "fourth": 1} {
		if got := countContaining(t, d, fragment); got != want {
			t.Errorf("%q is found %d times, want %d", fragment, got, want)
		}
	}
}
