package custody_test

import (
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/actor"
	"gatehouse/internal/audit"
	"gatehouse/internal/custody"
	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
	"gatehouse/internal/platform/id"
	"gatehouse/internal/platform/secret"
)

type node struct {
	*custody.Service
	keys *keyring.Keyring
}

func mustNode(tb testing.TB, d *db.DB, now func() time.Time, master ...secret.Key) node {
	tb.Helper()
	log := slog.New(slog.DiscardHandler)
	keys, err := keyring.New(tb.Context(), keyring.Deps{DB: d, Master: master, Now: now, Logger: log})
	if err != nil {
		tb.Fatal(err)
	}
	journal := audit.New(audit.Deps{DB: d, Keys: keys, Now: now, Log: log})
	return node{custody.New(custody.Deps{DB: d, Keys: keys, Log: journal}), keys}
}

// actions returns the log, oldest first.
func actions(tb testing.TB, d *db.DB) []string {
	tb.Helper()
	list, err := db.List(tb.Context(), d, func(s db.Scanner) (string, error) {
		var action string
		err := s.Scan(&action)
		return action, err
	}, `SELECT action FROM audit_logs ORDER BY occurred_at, id`)
	if err != nil {
		tb.Fatal(err)
	}
	return list
}

func mustSigning(tb testing.TB, k *keyring.Keyring) string {
	tb.Helper()
	key, err := k.Signing(keyring.AccessToken)
	if err != nil {
		tb.Fatal(err)
	}
	return key.ID
}

func TestEachChangeHasItsEntry(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := mustNode(t, d, time.Now, secret.Key{1})
		by := actor.ForSystem("test")
		first := mustSigning(t, n.keys)

		c, err := n.Rotate(t.Context(), by, keyring.AccessToken, keyring.Spec{Algorithm: keyring.ES256}, true)
		if err != nil || c.Kind != keyring.Rotated {
			t.Fatalf("rotate by force: %s, %v", c.Kind, err)
		}
		second := mustSigning(t, n.keys)
		if second == first || second != c.New.ID.String() {
			t.Errorf("%s signs, want %s", second, c.New.ID)
		}
		c, err = n.Rotate(t.Context(), by, keyring.AccessToken, keyring.Spec{}, false)
		if err != nil || c.Kind != keyring.Scheduled {
			t.Fatalf("rotate in time: %s, %v", c.Kind, err)
		}
		if _, err = n.Withdraw(t.Context(), by, parse(t, second)); err != nil {
			t.Fatal(err)
		}
		if err := n.Upkeep(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []string{"key.rotated", "key.scheduled", "key.withdrawn", "key.added"}
		if diff := cmp.Diff(want, actions(t, d)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRefusedChangesHaveNone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := mustNode(t, d, time.Now, secret.Key{1})
		admin := actor.Actor{Type: actor.User, Permissions: []actor.Permission{"config:write"}}
		before := mustSigning(t, n.keys)
		_, rotate := n.Rotate(t.Context(), admin, keyring.AccessToken, keyring.Spec{}, true)
		_, withdraw := n.Withdraw(t.Context(), admin, parse(t, before))
		_, rewrap := n.Rewrap(t.Context(), admin, nil)
		_, list := n.List(t.Context(), admin)
		for i, err := range []error{rotate, withdraw, rewrap, list} {
			if !errors.Is(err, actor.ErrForbidden) {
				t.Errorf("use case %d: %v, want ErrForbidden", i, err)
			}
		}
		_, err := n.Withdraw(t.Context(), actor.ForSystem("test"), id.New[keyring.Label](time.Now()))
		if !errors.Is(err, keyring.ErrNotFound) {
			t.Errorf("withdraw no key: %v", err)
		}
		if got := actions(t, d); len(got) != 0 || mustSigning(t, n.keys) != before {
			t.Errorf("the log holds %v", got)
		}
	})
}

func TestUpkeep_OnSeveralNodesHappensOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		nodes := []node{mustNode(t, d, time.Now, secret.Key{1}), mustNode(t, d, time.Now, secret.Key{1})}
		var wg sync.WaitGroup
		for _, n := range nodes {
			wg.Go(func() {
				if err := n.Upkeep(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		want := []string{"key.added"}
		if diff := cmp.Diff(want, actions(t, d)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRewrap_TellsWhichMasterKeysMayGo(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		mustNode(t, d, time.Now, secret.Key{1})
		n := mustNode(t, d, time.Now, secret.Key{2}, secret.Key{1})
		for range 2 {
			if _, err := n.Rewrap(t.Context(), actor.ForSystem("test"), nil); err != nil {
				t.Fatal(err)
			}
		}
		mustNode(t, d, time.Now, secret.Key{2})
		if diff := cmp.Diff([]string{"key.rewrapped"}, actions(t, d)); diff != "" {
			t.Errorf("a second run finds nothing to do:\n%s", diff)
		}
	})
}

func parse(tb testing.TB, kid string) keyring.ID {
	tb.Helper()
	key, err := id.Parse[keyring.Label](kid)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}
