package identity_test

import (
	"context"
	"fmt"
	"testing"

	"gatehouse/internal/identity"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
)

const benchPeople = 10_000

// bench runs fn on each engine among ten thousand people.
func bench(b *testing.B, fn func(b *testing.B, s *identity.Service)) {
	for _, engine := range dbtest.Engines() {
		b.Run(engine, func(b *testing.B) {
			d := dbtest.Open(b, dbtest.URL(b, engine))
			s := mustService(b, d)
			fill(b, d, s)
			if !d.Embedded() { // as autovacuum does within a minute
				must(b, d, func(tx *db.Tx) error { _, err := tx.Exec(context.Background(), `ANALYZE users`); return err })
			}
			b.ReportAllocs()
			b.ResetTimer()
			fn(b, s)
		})
	}
}

func fill(b *testing.B, d *db.DB, s *identity.Service) {
	b.Helper()
	first, last := []string{"Ada", "Grace", "Édouard", "Linus", "Margaret", "Żaneta", "Ken"}, []string{"Lovelace", "Hopper", "Ritchie", "Hamilton", "Núñez"}
	for start := 0; start < benchPeople; start += 1000 {
		err := d.Tx(context.Background(), func(tx *db.Tx) error {
			for i := start; i < start+1000; i++ {
				_, err := s.Insert(context.Background(), tx, identity.NewUser{
					Email: fmt.Sprintf("person%05d@example.com", i), Username: fmt.Sprint("u", i*7919), FirstName: first[i%len(first)], LastName: last[i%len(last)],
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func list(b *testing.B, s *identity.Service, query func(i int) identity.Query) {
	b.Helper()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := s.List(context.Background(), query(i)); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkList_FirstPage(b *testing.B) {
	bench(b, func(b *testing.B, s *identity.Service) {
		list(b, s, func(int) identity.Query { return identity.Query{} })
	})
}

func BenchmarkList_LastPage(b *testing.B) {
	bench(b, func(b *testing.B, s *identity.Service) {
		page, err := s.List(context.Background(), identity.Query{Sort: identity.ByCreatedAt, Limit: 51})
		if err != nil {
			b.Fatal(err)
		}
		last := page.Users[50]
		list(b, s, func(int) identity.Query {
			return identity.Query{After: &identity.Cursor{Time: last.CreatedAt, ID: last.ID}}
		})
	})
}

func BenchmarkSearch(b *testing.B) {
	for name, query := range map[string]func(i int) identity.Query{
		"rare":      func(i int) identity.Query { return identity.Query{Search: fmt.Sprintf("son%05d", i%benchPeople)} },
		"hundred":   func(i int) identity.Query { return identity.Query{Search: fmt.Sprintf("person%03d", i%100)} },
		"name":      func(int) identity.Query { return identity.Query{Search: "lovelace"} },
		"everybody": func(int) identity.Query { return identity.Query{Search: "example"} },
		"nobody":    func(int) identity.Query { return identity.Query{Search: "zzzz"} },
		"short":     func(int) identity.Query { return identity.Query{Search: "zq"} },
	} {
		b.Run(name, func(b *testing.B) {
			bench(b, func(b *testing.B, s *identity.Service) { list(b, s, query) })
		})
	}
}
