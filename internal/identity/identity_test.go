package identity_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/actor"
	"gatehouse/internal/identity"
	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/id"
	"gatehouse/internal/platform/secret"
)

func mustService(tb testing.TB, d *db.DB) *identity.Service {
	tb.Helper()
	keys, err := keyring.New(context.Background(), keyring.Deps{
		AccessToken: keyring.Spec{Algorithm: keyring.ES256},
		DB:          d, Master: []secret.Key{secret.NewKey()}, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatal(err)
	}
	s, err := identity.New(d, keys)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func insert(d *db.DB, s *identity.Service, n identity.NewUser) (u identity.User, err error) {
	err = d.Tx(context.Background(), func(tx *db.Tx) error {
		u, err = s.Insert(context.Background(), tx, n)
		return err
	})
	return u, err
}

func mustInsert(tb testing.TB, d *db.DB, s *identity.Service, n identity.NewUser) identity.User {
	tb.Helper()
	u, err := insert(d, s, n)
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

// try runs one change in a transaction of its own.
func try(d *db.DB, fn func(tx *db.Tx) error) error { return d.Tx(context.Background(), fn) }

func must(tb testing.TB, d *db.DB, fn func(tx *db.Tx) error) {
	tb.Helper()
	if err := try(d, fn); err != nil {
		tb.Fatal(err)
	}
}

func mustFind(tb testing.TB, d *db.DB, s *identity.Service, u identity.UserID) identity.User {
	tb.Helper()
	found, err := s.Find(context.Background(), d, u)
	if err != nil {
		tb.Fatal(err)
	}
	return found
}

func wantErr(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Errorf("err = %v, want %v", err, want)
	}
}

func ada() identity.NewUser {
	return identity.NewUser{
		Email: "Ada@Example.com", Username: "Ada", FirstName: "Ada", LastName: "Lovelace", Phone: "+441234567890",
		EmailVerified: true, PasswordHash: "$hash$",
	}
}

func TestInsert_IsFoundAsItWasGiven(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ctx := mustService(t, d), context.Background()
		u := mustInsert(t, d, s, ada())
		if u.Status != identity.Active || u.Email != "Ada@Example.com" || u.Phone != "+441234567890" {
			t.Errorf("inserted %+v", u)
		}
		if diff := cmp.Diff(u, mustFind(t, d, s, u.ID)); diff != "" {
			t.Error(diff)
		}
		for _, as := range []string{"ada@example.com", "ADA@EXAMPLE.COM", "ada", "ADA"} {
			login, err := s.FindLogin(ctx, d, as)
			if err != nil || login.PasswordHash != "$hash$" || cmp.Diff(u, login.User) != "" {
				t.Errorf("FindLogin(%q) = %+v, %v", as, login, err)
			}
		}
		for _, as := range []string{"", "bob", "bob@example.com", "ada@example.com.", "ada\x00", u.ID.String()} {
			_, err := s.FindLogin(ctx, d, as)
			wantErr(t, err, identity.ErrNotFound)
		}
		_, err := s.Find(ctx, d, id.New[actor.Subject](time.Now()))
		wantErr(t, err, identity.ErrNotFound)
	})
}

func TestInsert_PhoneIsSealed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := mustService(t, d)
		a := mustInsert(t, d, s, ada())
		b := mustInsert(t, d, s, identity.NewUser{Email: "bob@example.com", Phone: "+111111"})
		var stored []byte
		if err := d.QueryRow(context.Background(), `SELECT phone FROM users WHERE id = $1`, a.ID).Scan(&stored); err != nil {
			t.Fatal(err)
		}
		if len(stored) != 12+13+16 {
			t.Errorf("stored phone has %d bytes", len(stored))
		}
		must(t, d, func(tx *db.Tx) error {
			_, err := tx.Exec(context.Background(), `UPDATE users SET phone = $2 WHERE id = $1`, b.ID, stored)
			return err
		})
		if _, err := s.Find(context.Background(), d, b.ID); !errors.Is(err, secret.ErrOpen) {
			t.Errorf("a number moved to another person opens: %v", err)
		}
	})
}

func TestInsert_NamesAreUniqueInAnyCase(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := mustService(t, d)
		mustInsert(t, d, s, ada())
		_, err := insert(d, s, identity.NewUser{Email: "aDA@example.COM"})
		wantErr(t, err, identity.ErrEmailTaken)
		_, err = insert(d, s, identity.NewUser{Email: "other@example.com", Username: "ADA"})
		wantErr(t, err, identity.ErrUsernameTaken)
		mustInsert(t, d, s, identity.NewUser{Email: "b@example.com"})
		mustInsert(t, d, s, identity.NewUser{Email: "c@example.com"}) // two without a username
	})
}

func TestInsert_OfManyAtOnceOneGetsTheAddress(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := mustService(t, d)
		const n = 24
		results := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				_, results[i] = insert(d, s, identity.NewUser{Email: "Ada@example.com", Username: fmt.Sprint("u", i)})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range results {
			if err == nil {
				won++
			} else {
				wantErr(t, err, identity.ErrEmailTaken)
			}
		}
		if won != 1 {
			t.Errorf("%d got the address", won)
		}
		if count, err := s.Count(context.Background(), d); err != nil || count != 1 {
			t.Errorf("Count = %d, %v", count, err)
		}
	})
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ctx := mustService(t, d), context.Background()
		u := mustInsert(t, d, s, ada())
		next := u
		next.Email, next.Username, next.Phone, next.FirstName, next.EmailVerified = "countess@example.com", "", "+999999", "Augusta", false
		next.Status, next.Epoch = identity.Suspended, 99 // not for Update
		var now identity.User
		must(t, d, func(tx *db.Tx) (err error) {
			now, err = s.Update(ctx, tx, u, next)
			return err
		})
		if diff := cmp.Diff(now, mustFind(t, d, s, u.ID)); diff != "" {
			t.Error(diff)
		}
		if now.Status != identity.Active || now.Epoch != 1 || now.Version != 2 || now.Phone != "+999999" || now.Username != "" {
			t.Errorf("updated to %+v", now)
		}
		wantErr(t, try(d, func(tx *db.Tx) error { _, err := s.Update(ctx, tx, u, next); return err }), identity.ErrChanged)

		mustInsert(t, d, s, identity.NewUser{Email: "bob@example.com", Username: "bob"})
		next = now
		next.Email = "BOB@example.com"
		wantErr(t, try(d, func(tx *db.Tx) error { _, err := s.Update(ctx, tx, now, next); return err }), identity.ErrEmailTaken)
		next.Email, next.Username = now.Email, "Bob"
		wantErr(t, try(d, func(tx *db.Tx) error { _, err := s.Update(ctx, tx, now, next); return err }), identity.ErrUsernameTaken)
		next.Username, next.LastName = "", "\x00"
		if err := try(d, func(tx *db.Tx) error { _, err := s.Update(ctx, tx, now, next); return err }); errs.KindOf(err) != errs.Invalid {
			t.Errorf("Update with a bad name: %v", err)
		}
	})
}

func TestUpdate_OfManyAtOnceEachVersionIsWrittenOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ctx := mustService(t, d), context.Background()
		u := mustInsert(t, d, s, ada())
		const n = 16
		results := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				next := u
				next.FirstName = fmt.Sprint("Ada ", i)
				results[i] = try(d, func(tx *db.Tx) error { _, err := s.Update(ctx, tx, u, next); return err })
			})
		}
		wg.Wait()
		won := 0
		for _, err := range results {
			if err == nil {
				won++
			} else {
				wantErr(t, err, identity.ErrChanged)
			}
		}
		if won != 1 {
			t.Errorf("%d wrote version 2", won)
		}
	})
}

func TestStanding(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ctx := mustService(t, d), context.Background()
		u := mustInsert(t, d, s, ada())
		step := func(change func(ctx context.Context, tx *db.Tx, u identity.UserID) error, want identity.Status) {
			t.Helper()
			before := mustFind(t, d, s, u.ID)
			must(t, d, func(tx *db.Tx) error { return change(ctx, tx, u.ID) })
			after := mustFind(t, d, s, u.ID)
			if after.Status != want || after.Epoch != before.Epoch+1 || after.Version != before.Version+1 {
				t.Errorf("after: %+v, want %s", after, want)
			}
		}
		step(s.Suspend, identity.Suspended)
		step(s.Activate, identity.Active)
		step(s.Suspend, identity.Suspended)
		wantErr(t, try(d, func(tx *db.Tx) error { return s.Suspend(ctx, tx, u.ID) }), identity.ErrChanged)
		step(s.Delete, identity.Deleted)
		if _, err := s.FindLogin(ctx, d, "ada"); !errors.Is(err, identity.ErrNotFound) {
			t.Errorf("a deleted person signs in: %v", err)
		}
		for _, change := range []func(context.Context, *db.Tx, identity.UserID) error{s.Delete, s.Suspend, s.Activate, s.Bump} {
			wantErr(t, try(d, func(tx *db.Tx) error { return change(ctx, tx, u.ID) }), identity.ErrChanged)
		}
		step(s.Restore, identity.Suspended)
		step(s.Bump, identity.Suspended)
	})
}

func TestStanding_WithoutPasswordIsPending(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ctx := mustService(t, d), context.Background()
		u := mustInsert(t, d, s, identity.NewUser{Email: "new@example.com"})
		if u.Status != identity.Pending {
			t.Errorf("status = %s", u.Status)
		}
		must(t, d, func(tx *db.Tx) error { return s.Suspend(ctx, tx, u.ID) })
		must(t, d, func(tx *db.Tx) error { return s.Activate(ctx, tx, u.ID) })
		if got := mustFind(t, d, s, u.ID).Status; got != identity.Pending {
			t.Errorf("status = %s", got)
		}
		must(t, d, func(tx *db.Tx) error { return s.SetPassword(ctx, tx, u.ID, "$hash$", true) })
		if got := mustFind(t, d, s, u.ID); got.Status != identity.Active || !got.PasswordChangeRequired || got.Epoch != 4 {
			t.Errorf("after SetPassword: %+v", got)
		}
	})
}

func TestRestore_NeedsTheNamesToBeFree(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ctx := mustService(t, d), context.Background()
		first := mustInsert(t, d, s, ada())
		must(t, d, func(tx *db.Tx) error { return s.Delete(ctx, tx, first.ID) })
		second := mustInsert(t, d, s, identity.NewUser{Email: "ADA@example.com"})
		restore := func(tx *db.Tx) error { return s.Restore(ctx, tx, first.ID) }
		wantErr(t, try(d, restore), identity.ErrEmailTaken)
		must(t, d, func(tx *db.Tx) error { return s.Delete(ctx, tx, second.ID) })
		must(t, d, restore)
		wantErr(t, try(d, restore), identity.ErrChanged)
	})
}

func TestConfirmLogin_OnlyOfTheSameEpoch(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ctx := mustService(t, d), context.Background()
		u := mustInsert(t, d, s, ada())
		confirm := func(tx *db.Tx) error { return s.ConfirmLogin(ctx, tx, u.ID, u.Epoch) }
		must(t, d, confirm)
		if got := mustFind(t, d, s, u.ID); got.LastLoginAt.IsZero() || got.Version != 1 || got.Epoch != 1 {
			t.Errorf("after a sign-in: %+v", got)
		}
		must(t, d, func(tx *db.Tx) error { return s.SetPassword(ctx, tx, u.ID, "$other$", false) })
		wantErr(t, try(d, confirm), identity.ErrChanged)
	})
}

func TestRehash_OnlyOfTheSamePassword(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ctx := mustService(t, d), context.Background()
		u := mustInsert(t, d, s, ada())
		must(t, d, func(tx *db.Tx) error { s.Rehash(tx, u.ID, "$else$", "$wrong$"); return nil })
		must(t, d, func(tx *db.Tx) error { s.Rehash(tx, u.ID, "$hash$", "$new$"); s.TouchLogin(tx, u.ID); return nil })
		got, err := s.FindLoginByID(ctx, d, u.ID)
		if err != nil || got.PasswordHash != "$new$" || got.Epoch != 1 || got.LastLoginAt.IsZero() {
			t.Errorf("after Rehash: %+v, %v", got, err)
		}
	})
}

func TestVerifyEmail_OnlyTheAddressOfThePerson(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ctx := mustService(t, d), context.Background()
		u := mustInsert(t, d, s, identity.NewUser{Email: "new@example.com"})
		for _, c := range []struct {
			email string
			want  bool
		}{{"old@example.com", false}, {"no address", false}, {"NEW@example.com", true}, {"new@example.com", false}} {
			must(t, d, func(tx *db.Tx) error {
				ok, err := s.VerifyEmail(ctx, tx, u.ID, c.email)
				if ok != c.want {
					t.Errorf("VerifyEmail(%s) = %v", c.email, ok)
				}
				return err
			})
		}
		if got := mustFind(t, d, s, u.ID); !got.EmailVerified || got.Version != 2 {
			t.Errorf("after VerifyEmail: %+v", got)
		}
	})
}

func TestCached_RemembersUntilForgotten(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ctx := mustService(t, d), context.Background()
		u := mustInsert(t, d, s, ada())
		read := func() identity.User {
			t.Helper()
			got, err := s.Cached(ctx, u.ID)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if diff := cmp.Diff(u, read()); diff != "" {
			t.Error(diff)
		}
		must(t, d, func(tx *db.Tx) error { return s.Suspend(ctx, tx, u.ID) })
		if read().Status != identity.Active {
			t.Error("read again before Forget")
		}
		s.Forget(u.ID)
		if read().Status != identity.Suspended {
			t.Error("remembered after Forget")
		}
		_, err := s.Cached(ctx, id.New[actor.Subject](time.Now()))
		wantErr(t, err, identity.ErrNotFound)
	})
}

func TestCached_NeverOutlivesAChange(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ctx := mustService(t, d), context.Background()
		u := mustInsert(t, d, s, ada())
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						_, _ = s.Cached(ctx, u.ID)
					}
				}
			})
		}
		for range 30 {
			must(t, d, func(tx *db.Tx) error { return s.Bump(ctx, tx, u.ID) })
			s.Forget(u.ID)
			want := mustFind(t, d, s, u.ID).Version
			if got, err := s.Cached(ctx, u.ID); err != nil || got.Version != want {
				t.Errorf("version %d after the change to %d (%v)", got.Version, want, err)
			}
		}
		close(stop)
		wg.Wait()
	})
}
