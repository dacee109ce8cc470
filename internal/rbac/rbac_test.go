package rbac_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/actor"
	"gatehouse/internal/audit"
	"gatehouse/internal/epoch"
	"gatehouse/internal/idempotency"
	"gatehouse/internal/identity"
	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/id"
	"gatehouse/internal/platform/secret"
	"gatehouse/internal/rbac"
)

// world is a program with roles and people.
type world struct {
	testing.TB
	db    *db.DB
	keys  *keyring.Keyring
	users *identity.Service
	roles *rbac.Service
}

func mustWorld(tb testing.TB, d *db.DB) world {
	tb.Helper()
	quiet := slog.New(slog.DiscardHandler)
	keys, err := keyring.New(context.Background(), keyring.Deps{AccessToken: keyring.Spec{Algorithm: keyring.ES256}, DB: d, Master: []secret.Key{secret.NewKey()}, Now: time.Now, Logger: quiet})
	if err != nil {
		tb.Fatal(err)
	}
	users, err := identity.New(d, keys)
	if err != nil {
		tb.Fatal(err)
	}
	w := world{TB: tb, db: d, keys: keys, users: users}
	w.roles = w.withCatalogue("audit:read", "users:read", "users:write", "sessions:read")
	return w
}

// withCatalogue returns a service, as a node would have it whose program
// knows these permissions too.
func (w world) withCatalogue(names ...actor.Permission) *rbac.Service {
	w.Helper()
	var more []rbac.Permission
	for _, n := range names {
		more = append(more, rbac.Permission{Name: n, Description: "for the test"})
	}
	catalogue, err := rbac.NewCatalogue(rbac.Permissions(), more)
	if err != nil {
		w.Fatal(err)
	}
	log := audit.New(audit.Deps{DB: w.db, Keys: w.keys, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	roles := rbac.New(rbac.Deps{
		DB: w.db, Users: w.users, Log: log, Idempotency: idempotency.New(w.db, w.keys), Catalogue: catalogue, Now: time.Now,
	})
	if err := roles.Ensure(context.Background()); err != nil {
		w.Fatal(err)
	}
	return roles
}

func root() actor.Actor { return actor.ForSystem("test") }

func (w world) person(name string, roles ...string) identity.UserID {
	w.Helper()
	var u identity.User
	err := w.db.Tx(context.Background(), func(tx *db.Tx) (err error) {
		u, err = w.users.Insert(context.Background(), tx, identity.NewUser{
			Email: name + "@example.com", PasswordHash: "$hash$", EmailVerified: true,
		})
		if err != nil {
			return err
		}
		_, err = w.roles.GrantTx(context.Background(), tx, root(), u.ID, "roles", roles)
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
	return u.ID
}

func (w world) grants(u identity.UserID) rbac.Grants {
	w.Helper()
	g, err := w.roles.RolesOf(context.Background(), w.db, u)
	if err != nil {
		w.Fatal(err)
	}
	return g
}

// as returns the actor that the person is.
func (w world) as(u identity.UserID) actor.Actor {
	g := w.grants(u)
	return actor.Actor{Type: actor.User, UserID: u, Roles: g.Names(), Permissions: g.Permissions}
}

func (w world) role(name string) rbac.Role {
	w.Helper()
	r, err := w.roles.Resolve(context.Background(), w.db, name)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func (w world) create(name string, ps ...actor.Permission) rbac.Role {
	w.Helper()
	r, err := w.roles.Create(context.Background(), root(), rbac.Draft{Name: name, Permissions: ps})
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func (w world) want(err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Errorf("err = %v, want %v", err, want)
	}
}

// entries counts the entries of an action in the log.
func (w world) entries(action audit.Action) (n int) {
	w.Helper()
	if err := w.db.QueryRow(context.Background(), `SELECT count(*) FROM audit_logs WHERE action = $1`, string(action)).Scan(&n); err != nil {
		w.Fatal(err)
	}
	return n
}

func each(t *testing.T, fn func(t *testing.T, w world)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) { fn(t, mustWorld(t, d)) })
}

func TestNewCatalogue_RefusesWhatIsNoPermission(t *testing.T) {
	t.Parallel()
	for _, list := range [][]rbac.Permission{
		{{Name: "users", Description: "x"}},
		{{Name: "users:*", Description: "x"}},
		{{Name: "Users:read", Description: "x"}},
		{{Name: "users:read"}},
		{{Name: "a:b", Description: "x"}, {Name: "a:b", Description: "y"}},
	} {
		if _, err := rbac.NewCatalogue(list); err == nil {
			t.Errorf("%v is accepted", list)
		}
	}
}

func TestEnsure_MakesTheBuiltInRolesOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if err := w.roles.Ensure(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		page, err := w.roles.List(context.Background(), root(), "", 0)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string][]actor.Permission{}
		for _, r := range page.Roles {
			got[r.Name] = r.Permissions
			if !r.System || r.Version != 1 {
				t.Errorf("%+v", r)
			}
		}
		want := map[string][]actor.Permission{
			"admin":   {"audit:read", "roles:assign", "roles:read", "roles:write", "sessions:read", "users:read", "users:write"},
			"auditor": {"audit:read", "roles:read", "users:read"},
			"support": {"sessions:read", "users:read", "users:write"},
			"user":    {},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestEnsure_GivesTheAdministratorWhatIsNew(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		before := w.role(rbac.Admin)
		newer := w.withCatalogue("audit:read", "users:read", "users:write", "sessions:read", "keys:rotate")
		after, err := newer.Resolve(context.Background(), w.db, rbac.Admin)
		if err != nil || !slices.Contains(after.Permissions, "keys:rotate") || after.Epoch != before.Epoch+1 {
			t.Errorf("admin = %+v, %v", after, err)
		}
		if slices.Contains(w.role(rbac.Admin).Permissions, "keys:rotate") {
			t.Error("an older program grants what it does not know")
		}
	})
}

func TestRolesOf(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		editor := w.create("Editor", "users:write", "users:read")
		u := w.person("ada", "support", editor.ID.String())
		g := w.grants(u)
		if diff := cmp.Diff([]string{"Editor", "support", "user"}, g.Names()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]actor.Permission{"sessions:read", "users:read", "users:write"}, g.Permissions); diff != "" {
			t.Error(diff)
		}
		if !g.ValidUntil.IsZero() || g.Roles[0].Role != editor.ID || g.Roles[0].Epoch != 1 {
			t.Errorf("grants = %+v", g)
		}

		until := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
		w.want(w.roles.Assign(ctx, root(), u, "auditor", until), nil)
		if g := w.grants(u); !g.ValidUntil.Equal(until) || !slices.Contains(g.Names(), "auditor") {
			t.Errorf("grants = %+v", g)
		}
		// An assignment that has ended counts nowhere.
		err := w.db.Tx(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE user_roles SET expires_at = $1 WHERE expires_at IS NOT NULL`, tx.Now())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if g := w.grants(u); slices.Contains(g.Names(), "auditor") || !g.ValidUntil.IsZero() {
			t.Errorf("grants = %+v", g)
		}
		other := w.person("bob")
		names, err := w.roles.NamesOf(ctx, w.db, []identity.UserID{u, other})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[identity.UserID][]string{u: {"Editor", "support", "user"}, other: {"user"}}, names); diff != "" {
			t.Error(diff)
		}
		found, err := w.roles.Find(ctx, root(), w.role("auditor").ID)
		if err != nil || found.UserCount != 0 {
			t.Errorf("%d hold the role, %v", found.UserCount, err)
		}
	})
}

func TestList_CountsPeopleAndPages(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		w.person("ada", "support")
		w.person("bob", "support", "auditor")
		gone := w.person("carol", "support")
		if err := w.db.Tx(ctx, func(tx *db.Tx) error { return w.users.Delete(ctx, tx, gone) }); err != nil {
			t.Fatal(err)
		}
		got := map[string]int64{}
		after := ""
		for range 10 {
			page, err := w.roles.List(ctx, root(), after, 3)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page.Roles {
				got[r.Name] = r.UserCount
			}
			if after = page.Next; after == "" {
				break
			}
		}
		if diff := cmp.Diff(map[string]int64{"admin": 0, "auditor": 1, "support": 2, "user": 2}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestMembers_NarrowsTheListingOfPeople(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		w.person("ada", "support")
		w.person("bob")
		for role, want := range map[string]int{"support": 1, "SUPPORT": 1, "user": 2, "auditor": 0, "nothing": 0} {
			page, err := w.users.List(context.Background(), identity.Query{Among: w.roles.Members(role), Search: "example"})
			if err != nil || len(page.Users) != want {
				t.Errorf("%s: %d people, %v", role, len(page.Users), err)
			}
		}
	})
}

func TestCreate(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		r := w.create("Help Desk", "users:read", "sessions:read", "users:read")
		if diff := cmp.Diff([]actor.Permission{"sessions:read", "users:read"}, w.role("help desk").Permissions); diff != "" || r.System {
			t.Error(diff)
		}
		_, err := w.roles.Create(ctx, root(), rbac.Draft{Name: "HELP DESK"})
		w.want(err, rbac.ErrNameTaken)
		_, err = w.roles.Create(ctx, root(), rbac.Draft{Name: "Admin"})
		w.want(err, rbac.ErrNameTaken)
		for _, d := range []rbac.Draft{
			{},
			{Name: " a"},
			{Name: "a  b"},
			{Name: "a\n"},
			{Name: "0190163d-8694-739b-aea5-966c26f8ad91"},
			{Name: fmt.Sprintf("%051d", 1)},
			{Name: "x", Description: "a\x00"},
			{Name: "x", Permissions: []actor.Permission{"users:*"}},
			{Name: "x", Permissions: []actor.Permission{"*"}},
		} {
			if _, err := w.roles.Create(ctx, root(), d); errs.KindOf(err) != errs.Invalid {
				t.Errorf("Create(%q) = %v", d, err)
			}
		}
		by := actor.Actor{Type: actor.User, UserID: w.person("ada"), Permissions: []actor.Permission{"roles:write", "users:read"}}
		_, err = w.roles.Create(ctx, by, rbac.Draft{Name: "more", Permissions: []actor.Permission{"users:write"}})
		w.want(err, actor.ErrForbidden)
		_, err = w.roles.Create(ctx, by, rbac.Draft{Name: "less", Permissions: []actor.Permission{"users:read"}})
		w.want(err, nil)
		_, err = w.roles.Create(ctx, actor.Actor{}, rbac.Draft{Name: "none"})
		w.want(err, actor.ErrForbidden)
		if n := w.entries(rbac.RoleCreated); n != 2 {
			t.Errorf("%d entries in the log", n)
		}
	})
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		r := w.create("editor", "users:read", "users:write")
		u := w.person("ada", "editor")
		after, err := w.roles.Update(ctx, root(), r.ID, r.Version, rbac.Draft{Name: "Editor", Permissions: []actor.Permission{"users:read"}})
		if err != nil || after.Epoch != 2 || after.Version != 2 || after.UserCount != 1 {
			t.Errorf("Update = %+v, %v", after, err)
		}
		if diff := cmp.Diff([]actor.Permission{"users:read"}, w.grants(u).Permissions); diff != "" {
			t.Error(diff)
		}
		_, err = w.roles.Update(ctx, root(), r.ID, 1, rbac.Draft{Name: "late"})
		w.want(err, rbac.ErrChanged)
		same, err := w.roles.Update(ctx, root(), r.ID, 0, rbac.Draft{Name: "Editor", Permissions: []actor.Permission{"users:read"}})
		if err != nil || same.Version != 2 {
			t.Errorf("an update without a change: %+v, %v", same, err)
		}
		text, err := w.roles.Update(ctx, root(), r.ID, 0, rbac.Draft{Name: "Editor", Description: "edits", Permissions: []actor.Permission{"users:read"}})
		if err != nil || text.Version != 3 || text.Epoch != 2 {
			t.Errorf("an update of the description: %+v, %v", text, err)
		}
		_, err = w.roles.Update(ctx, root(), r.ID, 0, rbac.Draft{Name: "support"})
		w.want(err, rbac.ErrNameTaken)
		_, err = w.roles.Update(ctx, root(), id.New[rbac.Role](time.Now()), 0, rbac.Draft{Name: "x"})
		w.want(err, rbac.ErrNotFound)
		if n := w.entries(rbac.RoleUpdated); n != 2 {
			t.Errorf("%d entries in the log", n)
		}
	})
}

func TestUpdate_NobodyWidensWhatTheyHoldNorTakesWhatTheyLack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		r := w.create("editor", "roles:write", "users:read")
		by := w.as(w.person("ada", "editor"))
		draft := func(ps ...actor.Permission) rbac.Draft { return rbac.Draft{Name: "editor", Permissions: ps} }
		_, err := w.roles.Update(ctx, by, r.ID, 0, draft("roles:write", "users:read", "users:write"))
		w.want(err, actor.ErrForbidden)
		support := w.role("support")
		_, err = w.roles.Update(ctx, by, support.ID, 0, rbac.Draft{Name: "support"})
		w.want(err, actor.ErrForbidden)
		w.want(w.roles.Delete(ctx, by, w.create("writer", "users:write").ID, 0, true), actor.ErrForbidden)
		_, err = w.roles.Update(ctx, by, r.ID, 0, draft("roles:write"))
		w.want(err, nil)
	})
}

func TestSystemRolesAreFixed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		for _, name := range []string{"admin", "auditor", "support", "user"} {
			r := w.role(name)
			_, err := w.roles.Update(ctx, root(), r.ID, 0, rbac.Draft{Name: "other", Permissions: r.Permissions})
			w.want(err, rbac.ErrSystem)
			w.want(w.roles.Delete(ctx, root(), r.ID, 0, true), rbac.ErrSystem)
		}
		admin := w.role(rbac.Admin)
		_, err := w.roles.Update(ctx, root(), admin.ID, 0, rbac.Draft{Name: rbac.Admin, Permissions: []actor.Permission{"users:read"}})
		w.want(err, rbac.ErrSystem)
		_, err = w.roles.Update(ctx, root(), admin.ID, 0, rbac.Draft{Name: rbac.Admin, Description: "x", Permissions: admin.Permissions})
		w.want(err, nil)
		_, err = w.roles.Update(ctx, root(), w.role("support").ID, 0, rbac.Draft{Name: "support", Permissions: []actor.Permission{"users:read"}})
		w.want(err, nil)
		w.want(w.roles.Unassign(ctx, root(), w.person("ada"), w.role(rbac.User).ID), rbac.ErrSystem)
	})
}

func TestDelete_InUseNeedsForce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		r := w.create("editor", "users:write")
		u := w.person("ada", "editor")
		w.want(w.roles.Delete(ctx, root(), r.ID, 0, false), rbac.ErrInUse)
		w.want(w.roles.Delete(ctx, root(), r.ID, 7, true), rbac.ErrChanged)
		w.want(w.roles.Delete(ctx, root(), r.ID, 0, true), nil)
		w.want(w.roles.Delete(ctx, root(), r.ID, 0, true), rbac.ErrNotFound)
		if g := w.grants(u); len(g.Permissions) != 0 || len(g.Roles) != 1 {
			t.Errorf("grants = %+v", g)
		}
	})
}

func TestAssign(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		u := w.person("ada")
		w.want(w.roles.Assign(ctx, root(), u, "support", time.Time{}), nil)
		w.want(w.roles.Assign(ctx, root(), u, w.role("support").ID.String(), time.Time{}), nil) // no change
		w.want(w.roles.Assign(ctx, root(), u, "user", time.Time{}), nil)                        // everyone has it
		found, err := w.users.Find(ctx, w.db, u)
		if err != nil || found.Epoch != 2 || found.Version != 2 || w.entries(rbac.RoleAssigned) != 1 {
			t.Errorf("after one assignment: %+v, %v, %d entries", found, err, w.entries(rbac.RoleAssigned))
		}
		w.want(w.roles.Assign(ctx, root(), u, "nothing", time.Time{}), rbac.ErrUnknownRole)
		w.want(w.roles.Assign(ctx, root(), id.New[actor.Subject](time.Now()), "support", time.Time{}), identity.ErrNotFound)
		if err := w.roles.Assign(ctx, root(), u, "auditor", time.Now().Add(-time.Second)); errs.KindOf(err) != errs.Invalid {
			t.Errorf("Assign until the past: %v", err)
		}
		w.want(w.roles.Unassign(ctx, root(), u, w.role("auditor").ID), rbac.ErrNotFound)
		w.want(w.roles.Unassign(ctx, root(), u, w.role("support").ID), nil)
		if g := w.grants(u); len(g.Roles) != 1 || w.entries(rbac.RoleUnassigned) != 1 {
			t.Errorf("after Unassign: %+v", g)
		}
	})
}

func TestAssign_AnnouncesTheNewEpoch(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		feed := epoch.New(w.db, time.Now, slog.New(slog.DiscardHandler))
		if err := feed.Load(ctx); err != nil {
			t.Fatal(err)
		}
		u, r := w.person("ada"), w.create("editor", "users:read")
		readAt := time.Now()
		w.want(w.roles.Assign(ctx, root(), u, "editor", time.Time{}), nil)
		if feed.Counts(readAt, epoch.Ref{Subject: u, Epoch: 1}) {
			t.Error("the old rights of the person still count")
		}
		_, err := w.roles.Update(ctx, root(), r.ID, 0, rbac.Draft{Name: "editor"})
		w.want(err, nil)
		if feed.Counts(readAt, epoch.Ref{Subject: r.ID, Epoch: 1}) {
			t.Error("the old permissions of the role still count")
		}
	})
}

func TestAssign_NobodyGoesBeyondThemselves(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		w.create("chief", "roles:assign", "users:read", "users:write", "sessions:read")
		admin, target, me := w.person("root", "admin"), w.person("ada"), w.person("chief", "chief")
		by := w.as(me)
		w.want(w.roles.Assign(ctx, by, target, "admin", time.Time{}), actor.ErrForbidden)  // lacks
		w.want(w.roles.Assign(ctx, by, me, "support", time.Time{}), actor.ErrForbidden)    // own
		w.want(w.roles.Unassign(ctx, by, me, w.role("chief").ID), actor.ErrForbidden)      // own
		w.want(w.roles.Assign(ctx, by, admin, "support", time.Time{}), actor.ErrForbidden) // above
		w.want(w.roles.Unassign(ctx, by, admin, w.role("admin").ID), actor.ErrForbidden)   // above
		w.want(w.roles.Assign(ctx, w.as(target), me, "user", time.Time{}), actor.ErrForbidden)
		w.want(w.roles.Assign(ctx, by, target, "support", time.Time{}), nil)
		if n := w.entries(rbac.RoleAssigned); n != 1 {
			t.Errorf("%d entries in the log", n)
		}
	})
}

func TestLastAdmin_Stays(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		admin := w.role(rbac.Admin)
		a, b := w.person("a", "admin"), w.person("b", "admin")
		w.want(w.roles.Unassign(ctx, root(), a, admin.ID), nil)
		w.want(w.roles.Unassign(ctx, root(), b, admin.ID), rbac.ErrLastAdmin)
		w.want(w.roles.Assign(ctx, root(), b, "admin", time.Now().Add(time.Hour)), rbac.ErrLastAdmin)
		// One whose role ends, or who cannot sign in, does not count.
		w.want(w.roles.Assign(ctx, root(), a, "admin", time.Now().Add(time.Hour)), nil)
		w.want(w.roles.Unassign(ctx, root(), b, admin.ID), rbac.ErrLastAdmin)
		w.want(w.roles.Assign(ctx, root(), a, "admin", time.Time{}), nil)
		if err := w.db.Tx(ctx, func(tx *db.Tx) error { return w.users.Suspend(ctx, tx, a) }); err != nil {
			t.Fatal(err)
		}
		w.want(w.roles.Unassign(ctx, root(), b, admin.ID), rbac.ErrLastAdmin)
	})
}

func TestLastAdmin_StaysWhenAdministratorsActOnOneAnother(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w world) {
		ctx := context.Background()
		admin := w.role(rbac.Admin)
		var ids []identity.UserID
		var actors []actor.Actor
		for i := range 6 {
			ids = append(ids, w.person(fmt.Sprint("admin", i), "admin"))
			actors = append(actors, w.as(ids[i]))
		}
		results := make([]error, len(ids))
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() { results[i] = w.roles.Unassign(ctx, actors[i], ids[(i+1)%len(ids)], admin.ID) })
		}
		wg.Wait()
		refused := 0
		for _, err := range results {
			if err != nil {
				w.want(err, rbac.ErrLastAdmin)
				refused++
			}
		}
		found, err := w.roles.Find(ctx, root(), admin.ID)
		if err != nil || found.UserCount != 1 || refused != 1 {
			t.Errorf("%d administrators are left, %d were refused, %v", found.UserCount, refused, err)
		}
	})
}
