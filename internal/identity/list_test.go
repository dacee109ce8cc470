package identity_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/identity"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
)

// pages reads a listing to its end and returns the e-mails.
func pages(tb testing.TB, s *identity.Service, q identity.Query) []string {
	tb.Helper()
	var emails []string
	for range 1000 {
		page, err := s.List(context.Background(), q)
		if err != nil {
			tb.Fatal(err)
		}
		if q.Limit != 0 && len(page.Users) > q.Limit {
			tb.Fatalf("a page of %d", len(page.Users))
		}
		for _, u := range page.Users {
			emails = append(emails, u.Email)
		}
		if page.Next == nil {
			return emails
		}
		q.After = page.Next
	}
	tb.Fatal("the listing does not end")
	return nil
}

func TestList_EveryOrderPagesThroughEveryone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ctx := mustService(t, d), context.Background()
		var people []identity.User
		for i := range 11 {
			people = append(people, mustInsert(t, d, s, identity.NewUser{Email: fmt.Sprintf("%c%02d@example.com", 'a'+(i*7)%11, i)}))
		}
		for _, i := range []int{5, 2, 9, 7} { // the others never signed in
			must(t, d, func(tx *db.Tx) error { s.TouchLogin(tx, people[i].ID); return nil })
		}
		want := map[identity.Sort][]string{}
		add := func(sort identity.Sort, order []identity.User) {
			for _, u := range order {
				want[sort] = append(want[sort], u.Email)
			}
			want["-"+sort] = slices.Clone(want[sort])
			slices.Reverse(want["-"+sort])
		}
		slices.SortFunc(people, func(a, b identity.User) int { return compareKey(a.CreatedAt, b.CreatedAt, a, b) })
		add(identity.ByCreatedAt, people)
		slices.SortFunc(people, func(a, b identity.User) int { return compareText(a.Email, b.Email) })
		add(identity.ByEmail, people)
		for i, u := range people {
			people[i], _ = s.Find(ctx, d, u.ID)
		}
		slices.SortFunc(people, func(a, b identity.User) int { return compareKey(a.LastLoginAt, b.LastLoginAt, a, b) })
		add(identity.ByLastLoginAt, people)
		for sort, emails := range want {
			for _, limit := range []int{1, 2, 3, 7, 10, 11, 12} {
				if diff := cmp.Diff(emails, pages(t, s, identity.Query{Sort: sort, Limit: limit})); diff != "" {
					t.Errorf("%s by %d: %s", sort, limit, diff)
				}
			}
		}
		if diff := cmp.Diff(want[identity.ByCreatedAtDesc], pages(t, s, identity.Query{})); diff != "" {
			t.Error(diff)
		}
	})
}

func compareKey(x, y time.Time, a, b identity.User) int {
	if c := x.Compare(y); c != 0 {
		return c
	}
	return compareText(a.ID.String(), b.ID.String())
}

func compareText(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

func TestList_Filters(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ctx := mustService(t, d), context.Background()
		a := mustInsert(t, d, s, ada())
		b := mustInsert(t, d, s, identity.NewUser{Email: "bob@example.com", FirstName: "José", LastName: "50%_off\\"})
		c := mustInsert(t, d, s, identity.NewUser{Email: "carol@example.org", Username: "quo.te", LastName: `O"Hara`})
		must(t, d, func(tx *db.Tx) error { return s.Delete(ctx, tx, c.ID) })
		e := mustInsert(t, d, s, identity.NewUser{Email: "eve@example.org", EmailVerified: true, LastName: `O"Hara 'x' -- ;`})
		yes, no := true, false
		for name, test := range map[string]struct {
			q    identity.Query
			want []identity.User
		}{
			"everyone":           {identity.Query{}, []identity.User{a, b, e}},
			"active":             {identity.Query{Status: identity.Active}, []identity.User{a}},
			"pending":            {identity.Query{Status: identity.Pending}, []identity.User{b, e}},
			"suspended":          {identity.Query{Status: identity.Suspended}, nil},
			"deleted":            {identity.Query{Status: identity.Deleted}, []identity.User{c}},
			"deleted, searched":  {identity.Query{Status: identity.Deleted, Search: "carol"}, []identity.User{c}},
			"verified":           {identity.Query{EmailVerified: &yes}, []identity.User{a, e}},
			"not verified":       {identity.Query{EmailVerified: &no}, []identity.User{b}},
			"after":              {identity.Query{CreatedAfter: a.CreatedAt}, []identity.User{b, e}},
			"before":             {identity.Query{CreatedBefore: e.CreatedAt}, []identity.User{a, b}},
			"fragment of e-mail": {identity.Query{Search: "EXAMPLE.COM"}, []identity.User{a, b}},
			"without marks":      {identity.Query{Search: "jose"}, []identity.User{b}},
			"with marks":         {identity.Query{Search: "JOSÉ"}, []identity.User{b}},
			"one letter":         {identity.Query{Search: "v"}, []identity.User{a, e}},
			"two letters":        {identity.Query{Search: "ve"}, []identity.User{a, e}},
			"percent is literal": {identity.Query{Search: "0%_"}, []identity.User{b}},
			"underscore":         {identity.Query{Search: "_"}, []identity.User{b}},
			"backslash":          {identity.Query{Search: `off\`}, []identity.User{b}},
			"quotes":             {identity.Query{Search: `o"hara`}, []identity.User{e}},
			"SQL":                {identity.Query{Search: `' OR 1=1`}, nil},
			"FTS operators":      {identity.Query{Search: `ada OR bob`}, nil},
			"FTS star":           {identity.Query{Search: `ada*`}, nil},
			"only marks":         {identity.Query{Search: "\u0301"}, nil},
			"across fields":      {identity.Query{Search: "com\nada"}, []identity.User{a}},
			"nowhere":            {identity.Query{Search: "nowhere"}, nil},
			"among": {identity.Query{Among: func(args *[]any) string {
				return `SELECT id FROM users WHERE id IN ` + db.In(args, []identity.UserID{b.ID, c.ID})
			}, Search: "example"}, []identity.User{b}},
		} {
			var want []string
			for _, u := range test.want {
				want = append(want, u.Email)
			}
			test.q.Sort, test.q.Limit, test.q.IncludeTotal = identity.ByCreatedAt, 1, true
			if diff := cmp.Diff(want, pages(t, s, test.q)); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			page, err := s.List(ctx, test.q)
			if err != nil || page.Total != int64(len(want)) {
				t.Errorf("%s: total %d, %v", name, page.Total, err)
			}
		}
	})
}

func TestList_FindsWhatChanged(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ctx := mustService(t, d), context.Background()
		u := mustInsert(t, d, s, ada())
		next := u
		next.LastName = "King"
		must(t, d, func(tx *db.Tx) error { _, err := s.Update(ctx, tx, u, next); return err })
		for search, want := range map[string]int{"lovelace": 0, "king": 1, "ada@": 1} {
			if got := pages(t, s, identity.Query{Search: search}); len(got) != want {
				t.Errorf("%q finds %v", search, got)
			}
		}
	})
}

func TestList_FrequentAndRareFragments(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ctx := mustService(t, d), context.Background()
		const n = 1200
		must(t, d, func(tx *db.Tx) error {
			for i := range n {
				if _, err := s.Insert(ctx, tx, identity.NewUser{Email: fmt.Sprintf("person%04d@example.com", i)}); err != nil {
					return err
				}
			}
			return nil
		})
		for search, want := range map[string]int{"example": n, "person0": 1000, "person11": 100, "1199@": 1, "n": n, "09": 0} {
			if want == 0 { // counted here, since it may lie across digits
				for i := range n {
					if slices.Contains([]string{fmt.Sprintf("%04d", i)[:2], fmt.Sprintf("%04d", i)[1:3], fmt.Sprintf("%04d", i)[2:]}, search) {
						want++
					}
				}
			}
			if got := pages(t, s, identity.Query{Search: search, Limit: 200}); len(got) != want {
				t.Errorf("%q finds %d, want %d", search, len(got), want)
			}
		}
	})
}
