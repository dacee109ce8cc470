package keyring_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/id"
	"gatehouse/internal/platform/secret"
)

func statuses(k *keyring.Keyring, p keyring.Purpose) []keyring.Status {
	var list []keyring.Status
	for _, key := range k.List() {
		if key.Purpose == p {
			list = append(list, key.Status)
		}
	}
	slices.Sort(list)
	return list
}

func publishes(k *keyring.Keyring, kid string) bool {
	return slices.ContainsFunc(k.Published(keyring.AccessToken),
		func(sk keyring.SigningKey) bool { return sk.ID == kid })
}

func TestRotation_NextKeyIsPublishedBeforeItSigns(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, c *clock) {
		k := mustNode(t, d, c, secret.NewKey())
		old := mustActive(t, k).ID
		plan, err := k.PlanRotation(keyring.AccessToken, keyring.Spec{Algorithm: keyring.ES256}, false)
		if err != nil {
			t.Fatal(err)
		}
		if plan.Kind != keyring.Scheduled || !plan.New.ActiveFrom.Equal(c.Now().Add(10*time.Minute)) {
			t.Fatalf("plan is %s for %s", plan.Kind, plan.New.ActiveFrom)
		}
		mustApply(t, d, k, plan)
		next := plan.New.ID.String()
		if !publishes(k, next) || mustActive(t, k).ID != old {
			t.Fatal("the next key is not published, or signs already")
		}
		c.Advance(9 * time.Minute)
		mustUpkeep(t, d, k)
		if mustActive(t, k).ID != old {
			t.Fatal("the next key signs before others can have fetched it")
		}
		c.Advance(time.Minute)
		mustUpkeep(t, d, k)
		if got := mustActive(t, k); got.ID != next || got.Algorithm != keyring.ES256 {
			t.Fatalf("%s %s signs, want %s", got.Algorithm, got.ID, next)
		}

		c.Advance(15*time.Minute + 30*time.Second)
		if _, err := k.Find(t.Context(), keyring.AccessToken, old); err != nil || !publishes(k, old) {
			t.Errorf("the retired key is gone while its last token may live: %v", err)
		}
		if sk, _ := k.Verification(keyring.AccessToken, old); sk.Signer != nil {
			t.Error("the private half of a retired key is still there")
		}
		c.Advance(2 * time.Minute)
		if done := mustUpkeep(t, d, k); !slices.Contains(done, "destroyed access_token") {
			t.Errorf("upkeep did %v", done)
		}
		if _, err := k.Find(t.Context(), keyring.AccessToken, old); !errors.Is(err, keyring.ErrNoKey) {
			t.Errorf("the retired key outlives its tokens: %v", err)
		}
	})
}

func TestRotation_TakesTheKeyThatStandsReady(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, c *clock) {
		k := mustNode(t, d, c, secret.NewKey())
		if diff := cmp.Diff([]string{"added access_token"}, mustUpkeep(t, d, k)); diff != "" {
			t.Fatalf("first upkeep:\n%s", diff)
		}
		c.Advance(time.Hour)
		plan, err := k.PlanRotation(keyring.AccessToken, keyring.Spec{}, false)
		if err != nil {
			t.Fatal(err)
		}
		if plan.Kind != keyring.Rotated {
			t.Errorf("plan is %s, want rotated at once", plan.Kind)
		}
		mustApply(t, d, k, plan)
		want := []keyring.Status{keyring.Active, keyring.Retired}
		if diff := cmp.Diff(want, statuses(k, keyring.AccessToken)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRotation_OfTwoAtOnceOneHolds(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, c *clock) {
		master := secret.NewKey()
		nodes := []*keyring.Keyring{mustNode(t, d, c, master), mustNode(t, d, c, master)}
		errs := make([]error, len(nodes))
		var wg sync.WaitGroup
		for i, k := range nodes {
			plan, err := k.PlanRotation(keyring.CSRF, keyring.Spec{}, true)
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() { errs[i] = apply(t.Context(), d, k, plan) })
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), keyring.ErrChanged) {
			t.Errorf("errors are %v", errs)
		}
		mustReload(t, nodes[0])
		want := []keyring.Status{keyring.Active, keyring.Retired}
		if diff := cmp.Diff(want, statuses(nodes[0], keyring.CSRF)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRotation_RefusesWhatCannotBe(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, c *clock) {
		k := mustNode(t, d, c, secret.NewKey())
		for _, tt := range []struct {
			purpose keyring.Purpose
			spec    keyring.Spec
			want    error
		}{
			{"nothing", keyring.Spec{}, keyring.ErrUnknownPurpose},
			{keyring.CSRF, keyring.Spec{Algorithm: keyring.ES256}, keyring.ErrSpec},
			{keyring.AccessToken, keyring.Spec{Algorithm: keyring.A256}, keyring.ErrSpec},
		} {
			if _, err := k.PlanRotation(tt.purpose, tt.spec, false); !errors.Is(err, tt.want) {
				t.Errorf("%s as %v: %v, want %v", tt.purpose, tt.spec, err, tt.want)
			}
		}
	})
}

func TestWithdrawal_HoldsOnEveryNode(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, c *clock) {
		master := secret.NewKey()
		a, b := mustNode(t, d, c, master), mustNode(t, d, c, master)
		old := mustActive(t, a).ID
		kid, err := id.Parse[keyring.Label](old)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := a.PlanWithdrawal(kid)
		if err != nil {
			t.Fatal(err)
		}
		mustApply(t, d, a, plan)
		if _, err := a.Find(t.Context(), keyring.AccessToken, old); !errors.Is(err, keyring.ErrNoKey) {
			t.Errorf("the node that withdrew: %v, want ErrNoKey", err)
		}
		c.Advance(60 * time.Second) // b hears nothing and looks at nothing meanwhile
		if _, err := b.Find(t.Context(), keyring.AccessToken, old); !errors.Is(err, keyring.ErrNoKey) {
			t.Errorf("another node a minute later: %v, want ErrNoKey", err)
		}
		if mustActive(t, b).ID != mustActive(t, a).ID || publishes(a, old) {
			t.Error("the withdrawn key is published, or has no successor")
		}
		if _, err := a.PlanWithdrawal(kid); !errors.Is(err, keyring.ErrWithdrawn) {
			t.Errorf("withdraw twice: %v", err)
		}
	})
}

func TestWithdrawal_RefusesWhatCannotBe(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, c *clock) {
		k := mustNode(t, d, c, secret.NewKey())
		if _, err := k.PlanWithdrawal(id.New[keyring.Label](c.Now())); !errors.Is(err, keyring.ErrNotFound) {
			t.Errorf("unknown key: %v", err)
		}
		for _, key := range k.List() {
			if key.Purpose == keyring.Pepper {
				if _, err := k.PlanWithdrawal(key.ID); !errors.Is(err, keyring.ErrSymmetric) {
					t.Errorf("pepper: %v", err)
				}
			}
		}
	})
}

func TestUpkeep_AddressDigestsLiveThirtyDays(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, c *clock) {
		k := mustNode(t, d, c, secret.NewKey())
		first, err := k.Current(keyring.AuditDigest)
		if err != nil {
			t.Fatal(err)
		}
		for range 30 * 24 {
			c.Advance(time.Hour)
			mustUpkeep(t, d, k)
		}
		c.Advance(time.Hour)
		mustUpkeep(t, d, k)
		if now, err := k.Current(keyring.AuditDigest); err != nil || now.ID == first.ID {
			t.Errorf("the key was not followed: %v", err)
		}
		if _, err := k.ByID(keyring.AuditDigest, first.ID); !errors.Is(err, keyring.ErrNoKey) {
			t.Errorf("the key lives longer: %v", err)
		}
	})
}

func TestUpkeep_EachMonthHasItsKeyAndKeepsIt(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, c *clock) {
		k := mustNode(t, d, c, secret.NewKey())
		march, err := k.Current(keyring.AuditMonth)
		if err != nil {
			t.Fatal(err)
		}
		c.Advance(time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC).Sub(c.Now()))
		mustUpkeep(t, d, k)
		if now, _ := k.Current(keyring.AuditMonth); now.ID != march.ID {
			t.Error("the key changes before the month ends")
		}
		c.Advance(12 * time.Hour)
		mustUpkeep(t, d, k)
		if now, _ := k.Current(keyring.AuditMonth); now.ID == march.ID {
			t.Error("the key outlives its month")
		}
		c.Advance(400 * 24 * time.Hour)
		mustUpkeep(t, d, k)
		if _, err := k.ByID(keyring.AuditMonth, march.ID); err != nil {
			t.Errorf("the key of a past month is gone: %v", err)
		}
	})
}

func TestUpkeep_SigningKeyIsFollowedAfterNinetyDays(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, c *clock) {
		k := mustNode(t, d, c, secret.NewKey())
		mustUpkeep(t, d, k)
		old := mustActive(t, k).ID
		c.Advance(89 * 24 * time.Hour)
		mustUpkeep(t, d, k)
		if mustActive(t, k).ID != old {
			t.Error("followed too early")
		}
		c.Advance(24 * time.Hour)
		mustUpkeep(t, d, k)
		if mustActive(t, k).ID == old {
			t.Error("not followed")
		}
	})
}

func TestParseSpec(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]keyring.Spec{
		"RS256":      {Algorithm: keyring.RS256},
		"RS256/3072": {Algorithm: keyring.RS256, Bits: 3072},
		"PS256/2048": {Algorithm: keyring.PS256, Bits: 2048},
		"ES256":      {Algorithm: keyring.ES256},
		"EdDSA":      {Algorithm: keyring.EdDSA},
	} {
		if got, err := keyring.ParseSpec(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "none", "HS256", "A256", "RS256/1024", "RS256/", "ES256/256", "rs256", "RS512"} {
		if _, err := keyring.ParseSpec(text); !errors.Is(err, keyring.ErrSpec) {
			t.Errorf("%q: %v, want ErrSpec", text, err)
		}
	}
}
