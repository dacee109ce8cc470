package account_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/account"
	"gatehouse/internal/actor"
	"gatehouse/internal/audit"
	"gatehouse/internal/idempotency"
	"gatehouse/internal/identity"
	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/id"
	"gatehouse/internal/platform/secret"
	"gatehouse/internal/rbac"
	"gatehouse/internal/session"
)

// world is a program with people in it.
type world struct {
	testing.TB
	db       *db.DB
	users    *identity.Service
	roles    *rbac.Service
	sessions *session.Service
	accounts *account.Service
}

func root() actor.Actor { return actor.ForSystem("test") }

func mustWorld(tb testing.TB, d *db.DB) world {
	tb.Helper()
	ctx, quiet := context.Background(), slog.New(slog.DiscardHandler)
	keys, err := keyring.New(ctx, keyring.Deps{AccessToken: keyring.Spec{Algorithm: keyring.ES256}, DB: d, Master: []secret.Key{secret.NewKey()}, Now: time.Now, Logger: quiet})
	if err != nil {
		tb.Fatal(err)
	}
	users, err := identity.New(d, keys)
	if err != nil {
		tb.Fatal(err)
	}
	catalogue, err := rbac.NewCatalogue(rbac.Permissions(), account.Permissions(), []rbac.Permission{
		{Name: session.PermRead, Description: "See sessions"}, {Name: session.PermRevoke, Description: "End sessions"},
	})
	if err != nil {
		tb.Fatal(err)
	}
	log := audit.New(audit.Deps{DB: d, Keys: keys, Now: time.Now, Log: quiet})
	once := idempotency.New(d, keys)
	roles := rbac.New(rbac.Deps{DB: d, Users: users, Log: log, Idempotency: once, Catalogue: catalogue, Now: time.Now})
	if err := roles.Ensure(ctx); err != nil {
		tb.Fatal(err)
	}
	sessions := session.New(session.Deps{DB: d, Keys: keys, Audit: log, Now: time.Now, Logger: quiet})
	return world{TB: tb, db: d, users: users, roles: roles, sessions: sessions, accounts: account.New(account.Deps{
		DB: d, Users: users, Roles: roles, Sessions: sessions, Log: log, Idempotency: once,
	})}
}

func each(t *testing.T, fn func(t *testing.T, w world)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) { fn(t, mustWorld(t, d)) })
}

func draft(name string, roles ...string) account.NewPerson {
	return account.NewPerson{
		NewUser: identity.NewUser{
			Email: name + "@example.com", Username: name, Phone: "+441234567890", EmailVerified: true, PasswordHash: "$hash$",
		},
		Roles: roles,
	}
}

func (w world) person(name string, roles ...string) account.Person {
	w.Helper()
	p, err := w.accounts.Create(context.Background(), root(), draft(name, roles...))
	if err != nil {
		w.Fatal(err)
	}
	return p
}

// as returns the actor that the person is.
func (w world) as(u identity.UserID) actor.Actor {
	w.Helper()
	g, err := w.roles.RolesOf(context.Background(), w.db, u)
	if err != nil {
		w.Fatal(err)
	}
	return actor.Actor{Type: actor.User, UserID: u, Roles: g.Names(), Permissions: g.Permissions}
}

func (w world) find(u identity.UserID) account.Person {
	w.Helper()
	p, err := w.accounts.Find(context.Background(), root(), u)
	if err != nil {
		w.Fatal(err)
	}
	return p
}

func (w world) signIn(u identity.UserID) {
	w.Helper()
	err := w.db.Tx(context.Background(), func(tx *db.Tx) error {
		_, _, err := w.sessions.StartTx(context.Background(), tx, session.NewSession{UserID: u})
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
}

func (w world) live(u identity.UserID) int {
	w.Helper()
	list, err := w.sessions.List(context.Background(), root(), u)
	if err != nil {
		w.Fatal(err)
	}
	return len(list)
}

func (w world) want(err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Errorf("err = %v, want %v", err, want)
	}
}

// entries counts the entries in the log about a person, by action.
func (w world) entries(u identity.UserID) map[string]int {
	w.Helper()
	counts := map[string]int{}
	scan := func(row db.Scanner) (action string, err error) { return action, row.Scan(&action) }
	actions, err := db.List(context.Background(), w.db, scan, `SELECT action FROM audit_logs WHERE target_id = $1`, u)
	if err != nil {
		w.Fatal(err)
	}
	for _, a := range actions {
		counts[a]++
	}
	return counts
}

func ptr[T any](v T) *T { return &v }

func TestCreate(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		p := w.person("ada", "support", "USER")
		if diff := cmp.Diff(p, w.find(p.ID)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"support", "user"}, p.Roles); diff != "" || p.Status != identity.Active {
			t.Error(diff, p.Status)
		}
		if diff := cmp.Diff(map[string]int{"user.created": 1}, w.entries(p.ID)); diff != "" {
			t.Error(diff)
		}
		pending, err := w.accounts.Create(ctx, root(), account.NewPerson{NewUser: identity.NewUser{Email: "b@example.com"}})
		if err != nil || pending.Status != identity.Pending {
			t.Errorf("without a password: %+v, %v", pending, err)
		}
		_, err = w.accounts.Create(ctx, root(), draft("ADA"))
		w.want(err, identity.ErrEmailTaken)
		_, err = w.accounts.Create(ctx, root(), draft("eve", "nothing"))
		if errs.KindOf(err) != errs.Invalid {
			t.Errorf("with an unknown role: %v", err)
		}
	})
}

func TestCreate_NeedsThePermissions(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		nobody, support := w.as(w.person("nobody").ID), w.as(w.person("support", "support").ID)
		_, err := w.accounts.Create(ctx, actor.Actor{}, draft("x"))
		w.want(err, actor.ErrForbidden)
		_, err = w.accounts.Create(ctx, nobody, draft("x"))
		w.want(err, actor.ErrForbidden)
		_, err = w.accounts.Create(ctx, support, draft("x", "support"))
		w.want(err, actor.ErrForbidden)
		support.Permissions = append(support.Permissions, rbac.PermAssign)
		slices.Sort(support.Permissions)
		_, err = w.accounts.Create(ctx, support, draft("x", "admin"))
		w.want(err, actor.ErrForbidden)
		_, err = w.accounts.Create(ctx, support, draft("x", "support"))
		w.want(err, nil)
	})
}

func TestCreate_RepeatUnderOneKeyCreatesOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		by := w.as(w.person("root", "admin").ID)
		by.Origin.IdempotencyKey = "key-1"
		n := draft("ada", "support")
		n.Request = map[string]any{"email": "ada@example.com", "password": secret.String("secret")}
		first, err := w.accounts.Create(ctx, by, n)
		if err != nil {
			t.Fatal(err)
		}
		n.PasswordHash = "$another salt$"
		again, err := w.accounts.Create(ctx, by, n)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(asJSON(first), asJSON(again)); diff != "" {
			t.Error(diff)
		}
		n.Request = map[string]any{"email": "ada@example.com", "password": secret.String("other")}
		_, err = w.accounts.Create(ctx, by, n)
		w.want(err, idempotency.ErrReused)
	})
}

func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func TestProfile(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		p := w.person("ada", "support")
		by := w.as(p.ID)
		got, err := w.accounts.Profile(ctx, by)
		if err != nil || cmp.Diff(p, got) != "" {
			t.Errorf("%s, %v", cmp.Diff(p, got), err)
		}
		_, err = w.accounts.Profile(ctx, actor.Actor{})
		w.want(err, actor.ErrForbidden)

		now, err := w.accounts.UpdateProfile(ctx, by, p.Version, account.ProfileChange{FirstName: ptr("Ada"), Phone: ptr("")})
		if err != nil || now.FirstName != "Ada" || now.Phone != "" || now.Username != "ada" || now.Version != 2 || now.Epoch != 1 {
			t.Errorf("UpdateProfile = %+v, %v", now, err)
		}
		if got, err := w.accounts.Profile(ctx, by); err != nil || cmp.Diff(now, got) != "" {
			t.Errorf("%s, %v", cmp.Diff(now, got), err)
		}
		_, err = w.accounts.UpdateProfile(ctx, by, 1, account.ProfileChange{FirstName: ptr("Late")})
		w.want(err, identity.ErrChanged)
		same, err := w.accounts.UpdateProfile(ctx, by, 0, account.ProfileChange{FirstName: ptr("Ada")})
		if err != nil || same.Version != 2 {
			t.Errorf("without a change: %+v, %v", same, err)
		}
		_, err = w.accounts.UpdateProfile(ctx, by, 0, account.ProfileChange{FirstName: ptr("\x00"), Phone: ptr("1")})
		if errs.KindOf(err) != errs.Invalid {
			t.Errorf("with bad fields: %v", err)
		}
		w.person("bob")
		_, err = w.accounts.UpdateProfile(ctx, by, 0, account.ProfileChange{Username: ptr("BOB")})
		w.want(err, identity.ErrUsernameTaken)
		if diff := cmp.Diff(map[string]int{"user.created": 1, "user.updated": 1}, w.entries(p.ID)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestUpdateProfile_WithoutAVersionNoneOfManyIsLost(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		p := w.person("ada")
		by := w.as(p.ID)
		const n = 12
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				if _, err := w.accounts.UpdateProfile(ctx, by, 0, account.ProfileChange{FirstName: ptr(fmt.Sprint("Ada ", i))}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := w.find(p.ID); got.Version != n+1 || w.entries(p.ID)["user.updated"] != n {
			t.Errorf("version %d, %v", got.Version, w.entries(p.ID))
		}
		if cached, err := w.accounts.Profile(ctx, by); err != nil || cached.Version != n+1 {
			t.Errorf("in memory: %+v, %v", cached, err)
		}
	})
}

func TestFindAndList_NeedThePermissionAndMaskThePhone(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		p := w.person("ada", "auditor")
		other := w.person("bob")
		for by, want := range map[string]string{"auditor": "+**********90", "support": "+441234567890"} {
			who := w.as(w.person(by, by).ID)
			got, err := w.accounts.Find(ctx, who, p.ID)
			if err != nil || got.Phone != want {
				t.Errorf("%s finds %q, %v", by, got.Phone, err)
			}
			page, err := w.accounts.List(ctx, who, account.Query{Query: identity.Query{Search: "ada"}})
			if err != nil || len(page.People) != 1 || page.People[0].Phone != want || page.People[0].Roles[0] != "auditor" {
				t.Errorf("%s lists %+v, %v", by, page, err)
			}
		}
		own, err := w.accounts.Find(ctx, w.as(p.ID), p.ID)
		if err != nil || own.Phone != "+441234567890" {
			t.Errorf("own phone %q, %v", own.Phone, err)
		}
		_, err = w.accounts.Find(ctx, w.as(other.ID), p.ID)
		w.want(err, actor.ErrForbidden)
		_, err = w.accounts.List(ctx, w.as(other.ID), account.Query{})
		w.want(err, actor.ErrForbidden)
		_, err = w.accounts.Find(ctx, root(), id.New[actor.Subject](time.Now()))
		w.want(err, identity.ErrNotFound)
		_, err = w.accounts.List(ctx, root(), account.Query{Query: identity.Query{Sort: "password_hash", Status: "gone", Search: "\x00"}})
		if errs.KindOf(err) != errs.Invalid {
			t.Errorf("a bad query: %v", err)
		}
	})
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		p := w.person("ada")
		now, err := w.accounts.Update(ctx, root(), p.ID, p.Version, account.UserChange{
			ProfileChange: account.ProfileChange{LastName: ptr("Lovelace")}, Email: ptr("countess@example.com"),
		})
		if err != nil || now.Email != "countess@example.com" || now.EmailVerified || now.LastName != "Lovelace" || now.Username != "ada" {
			t.Errorf("Update = %+v, %v", now, err)
		}
		now, err = w.accounts.Update(ctx, root(), p.ID, 0, account.UserChange{Email: ptr("Countess@example.com"), EmailVerified: ptr(true)})
		if err != nil || !now.EmailVerified || now.Version != 3 {
			t.Errorf("Update = %+v, %v", now, err)
		}
		now, err = w.accounts.Update(ctx, root(), p.ID, 0, account.UserChange{Email: ptr("COUNTESS@example.com")})
		if err != nil || !now.EmailVerified {
			t.Errorf("the same address in another case is not verified: %+v, %v", now, err)
		}
		_, err = w.accounts.Update(ctx, root(), p.ID, 1, account.UserChange{})
		w.want(err, identity.ErrChanged)
		_, err = w.accounts.Update(ctx, root(), id.New[actor.Subject](time.Now()), 0, account.UserChange{})
		w.want(err, identity.ErrNotFound)
		_, err = w.accounts.Update(ctx, w.as(p.ID), p.ID, 0, account.UserChange{})
		w.want(err, actor.ErrForbidden)
		if diff := cmp.Diff(map[string]int{"user.created": 1, "user.updated": 3}, w.entries(p.ID)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestUpdate_SuspendEndsSessions(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		p := w.person("ada")
		w.signIn(p.ID)
		set := func(status identity.Status) (account.Person, error) {
			return w.accounts.Update(ctx, root(), p.ID, 0, account.UserChange{Status: &status})
		}
		now, err := set(identity.Suspended)
		if err != nil || now.Status != identity.Suspended || now.Epoch != 2 || w.live(p.ID) != 0 {
			t.Errorf("suspended: %+v, %v, %d sessions", now, err, w.live(p.ID))
		}
		_, err = set(identity.Suspended) // no change
		w.want(err, nil)
		now, err = set(identity.Active)
		if err != nil || now.Status != identity.Active {
			t.Errorf("activated: %+v, %v", now, err)
		}
		for _, status := range []identity.Status{identity.Pending, identity.Deleted, identity.Deactivated, "x"} {
			if _, err := set(status); errs.KindOf(err) != errs.Invalid {
				t.Errorf("%s: %v", status, err)
			}
		}
		if diff := cmp.Diff(map[string]int{"user.created": 1, "user.suspended": 1, "user.activated": 1}, w.entries(p.ID)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDeleteAndRestore(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		p := w.person("ada", "support")
		w.signIn(p.ID)
		w.want(w.accounts.Delete(ctx, root(), p.ID, 9), identity.ErrChanged)
		w.want(w.accounts.Delete(ctx, root(), p.ID, p.Version), nil)
		if got := w.find(p.ID); got.Status != identity.Deleted || got.DeletedAt.IsZero() || w.live(p.ID) != 0 {
			t.Errorf("deleted: %+v", got)
		}
		w.want(w.accounts.Delete(ctx, root(), p.ID, 0), identity.ErrNotFound)
		_, err := w.accounts.Update(ctx, root(), p.ID, 0, account.UserChange{})
		w.want(err, identity.ErrNotFound)
		second := w.person("ada")
		_, err = w.accounts.Restore(ctx, root(), p.ID)
		w.want(err, identity.ErrEmailTaken)
		w.want(w.accounts.Delete(ctx, root(), second.ID, 0), nil)
		for range 2 { // a repeat changes nothing
			got, err := w.accounts.Restore(ctx, root(), p.ID)
			if err != nil || got.Status != identity.Active || !slices.Contains(got.Roles, "support") {
				t.Errorf("restored: %+v, %v", got, err)
			}
		}
		_, err = w.accounts.Restore(ctx, root(), id.New[actor.Subject](time.Now()))
		w.want(err, identity.ErrNotFound)
		if diff := cmp.Diff(map[string]int{"user.created": 1, "user.deleted": 1, "user.restored": 1}, w.entries(p.ID)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestNobodyChangesAnAccountAboveThem(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		admin := w.person("root", "admin")
		w.person("second", "admin")
		support := w.as(w.person("support", "support").ID)
		support.Permissions = append(support.Permissions, account.PermDelete)
		slices.Sort(support.Permissions)
		_, err := w.accounts.Update(ctx, support, admin.ID, 0, account.UserChange{Email: ptr("mine@example.com")})
		w.want(err, actor.ErrForbidden)
		_, err = w.accounts.Update(ctx, support, admin.ID, 0, account.UserChange{Status: ptr(identity.Suspended)})
		w.want(err, actor.ErrForbidden)
		w.want(w.accounts.Delete(ctx, support, admin.ID, 0), actor.ErrForbidden)
		w.want(w.accounts.Delete(ctx, root(), admin.ID, 0), nil)
		_, err = w.accounts.Restore(ctx, support, admin.ID)
		w.want(err, actor.ErrForbidden)
		if diff := cmp.Diff(map[string]int{"user.created": 1, "user.deleted": 1}, w.entries(admin.ID)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestLastAdmin_CannotBeLockedOut(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		p := w.person("root", "admin")
		w.person("pending", "admin")
		w.want(w.accounts.Delete(ctx, root(), w.person("other").ID, 0), nil)
		pending, err := w.accounts.Create(ctx, root(), account.NewPerson{NewUser: identity.NewUser{Email: "n@example.com"}, Roles: []string{"admin"}})
		if err != nil {
			t.Fatal(err)
		}
		second := w.person("second", "admin")
		w.want(w.accounts.Delete(ctx, root(), second.ID, 0), nil)
		page, err := w.accounts.List(ctx, root(), account.Query{Query: identity.Query{Search: "pending@"}})
		if err != nil || len(page.People) != 1 {
			t.Fatal(page, err)
		}
		w.want(w.accounts.Delete(ctx, root(), page.People[0].ID, 0), nil)
		w.want(w.accounts.Delete(ctx, root(), p.ID, 0), rbac.ErrLastAdmin)
		for _, c := range []account.UserChange{
			{Status: ptr(identity.Suspended)}, {EmailVerified: ptr(false)}, {Email: ptr("new@example.com")},
		} {
			_, err = w.accounts.Update(ctx, root(), p.ID, 0, c)
			w.want(err, rbac.ErrLastAdmin)
		}
		if diff := cmp.Diff(p, w.find(p.ID)); diff != "" {
			t.Error(diff)
		}
		_, err = w.accounts.Update(ctx, root(), p.ID, 0, account.UserChange{Email: ptr("new@example.com"), EmailVerified: ptr(true)})
		w.want(err, nil)
		w.want(w.accounts.Delete(ctx, w.as(p.ID), pending.ID, 0), nil)
	})
}

func TestLastAdmin_StaysWhenAdministratorsActOnOneAnother(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		const n = 6
		var people []account.Person
		var actors []actor.Actor
		for i := range n {
			people = append(people, w.person(fmt.Sprint("admin", i), "admin"))
			actors = append(actors, w.as(people[i].ID))
		}
		results := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				u := people[(i+1)%n].ID
				switch i % 3 {
				case 0:
					results[i] = w.accounts.Delete(ctx, actors[i], u, 0)
				case 1:
					_, results[i] = w.accounts.Update(ctx, actors[i], u, 0, account.UserChange{Status: ptr(identity.Suspended)})
				case 2:
					_, results[i] = w.accounts.Update(ctx, actors[i], u, 0, account.UserChange{EmailVerified: ptr(false)})
				}
			})
		}
		wg.Wait()
		refused := 0
		for _, err := range results {
			if err != nil {
				w.want(err, rbac.ErrLastAdmin)
				refused++
			}
		}
		able := 0
		for _, p := range people {
			if now := w.find(p.ID); now.Status == identity.Active && now.EmailVerified {
				able++
			}
		}
		if refused != 1 || able != 1 {
			t.Errorf("%d refused, %d able administrators left", refused, able)
		}
	})
}
