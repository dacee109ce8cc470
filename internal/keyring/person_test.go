package keyring_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/id"
	"gatehouse/internal/platform/secret"
)

func mustPerson(tb testing.TB, d *db.DB, k *keyring.Keyring) (actor.UserID, secret.Key) {
	tb.Helper()
	u := id.New[actor.Subject](time.Now())
	var key secret.Key
	err := d.Tx(tb.Context(), func(tx *db.Tx) error {
		var err error
		key, err = k.CreatePersonKey(tx, u)
		return err
	})
	if err != nil {
		tb.Fatalf("create the key of a person: %v", err)
	}
	return u, key
}

func TestPersonKey_IsTheSameOnEveryNodeUntilErased(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, c *clock) {
		master := secret.NewKey()
		a, b := mustNode(t, d, c, master), mustNode(t, d, c, master)
		u, want := mustPerson(t, d, a)
		for name, k := range map[string]*keyring.Keyring{"that made it": a, "another": b} {
			if got, err := k.PersonKey(t.Context(), d, u); err != nil || got != want {
				t.Errorf("the node %s has a different key: %v", name, err)
			}
		}
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			a.ErasePersonKey(tx, u)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for name, k := range map[string]*keyring.Keyring{"that erased it": a, "another": b} {
			if _, err := k.PersonKey(t.Context(), d, u); !errors.Is(err, keyring.ErrErased) {
				t.Errorf("the node %s: %v, want ErrErased", name, err)
			}
		}
	})
}

func TestPersonKey_LeavesMemoryWithinAnHour(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, c *clock) {
		k := mustNode(t, d, c, secret.NewKey())
		u, _ := mustPerson(t, d, k)
		err := d.Tx(t.Context(), func(tx *db.Tx) error { // nobody is told
			tx.Queue(`DELETE FROM person_keys WHERE user_id = $1`, u)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Advance(time.Hour)
		if _, err := k.PersonKey(t.Context(), d, u); !errors.Is(err, keyring.ErrErased) {
			t.Errorf("%v, want ErrErased", err)
		}
	})
}

func TestPersonKey_RefusesTheKeyOfAnother(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, c *clock) {
		k := mustNode(t, d, c, secret.NewKey())
		a, _ := mustPerson(t, d, k)
		b, _ := mustPerson(t, d, k)
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			tx.Queue(`UPDATE person_keys SET wrapped = (SELECT o.wrapped FROM person_keys o WHERE o.user_id = $1)
				WHERE user_id = $2`, a, b)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		k.Forget(b)
		if _, err := k.PersonKey(t.Context(), d, b); !errors.Is(err, secret.ErrOpen) {
			t.Errorf("%v, want ErrOpen", err)
		}
	})
}

func TestRewrap_ReplacesTheMasterKey(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, c *clock) {
		before, after := secret.NewKey(), secret.NewKey()
		old := mustNode(t, d, c, before)
		people := map[actor.UserID]secret.Key{}
		for range 3 {
			u, key := mustPerson(t, d, old)
			people[u] = key
		}
		mail, err := old.Current(keyring.Mail)
		if err != nil {
			t.Fatal(err)
		}

		k := mustNode(t, d, c, after, before)
		stopped, stop := context.WithCancel(t.Context())
		_, err = k.Rewrap(stopped, func(int64, int64) { stop() })
		if err == nil {
			t.Fatal("a cancelled rewrap says it is complete")
		}
		if retired := mustRetire(t, d, k); len(retired) != 0 {
			t.Fatalf("master keys %v are struck while keys lie under them", retired)
		}
		var last int64
		done, err := k.Rewrap(t.Context(), func(done, total int64) { last = total - done })
		if err != nil || done != int64(len(people)) || last != 0 {
			t.Fatalf("resumed: %d done, %d left, %v", done, last, err)
		}
		if retired := mustRetire(t, d, k); len(retired) != 1 {
			t.Fatalf("struck master keys: %v", retired)
		}

		alone := mustNode(t, d, c, after)
		for u, want := range people {
			if got, err := alone.PersonKey(t.Context(), d, u); err != nil || got != want {
				t.Errorf("person %s: %v", u, err)
			}
		}
		if got, err := alone.Current(keyring.Mail); err != nil || got != mail {
			t.Errorf("a rewrapped key differs: %v", err)
		}
		if _, err := keyring.New(t.Context(), deps(d, c, before)); !errors.Is(err, keyring.ErrMasterKey) {
			t.Errorf("the old master key alone: %v, want ErrMasterKey", err)
		}
	})
}

func TestRewrap_GoesThroughManyPeople(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, c *clock) {
		before, after := secret.NewKey(), secret.NewKey()
		old := mustNode(t, d, c, before)
		const n = 1100
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			for range n {
				if _, err := old.CreatePersonKey(tx, id.New[actor.Subject](tx.Now())); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		k := mustNode(t, d, c, after, before)
		done, err := k.Rewrap(t.Context(), nil)
		if want := int64(n + len(keyring.Purposes())); err != nil || done != want {
			t.Errorf("%d done, want %d: %v", done, want, err)
		}
	})
}

func mustRetire(tb testing.TB, d *db.DB, k *keyring.Keyring) []string {
	tb.Helper()
	var retired []string
	err := d.Tx(tb.Context(), func(tx *db.Tx) error {
		var err error
		retired, err = k.RetireMastersTx(tb.Context(), tx)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return retired
}
