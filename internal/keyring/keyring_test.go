package keyring_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
	"gatehouse/internal/platform/secret"
)

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// each runs fn on each engine with a database that follows the clock.
func each(t *testing.T, fn func(t *testing.T, d *db.DB, c *clock)) {
	t.Helper()
	t.Parallel()
	for _, engine := range dbtest.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			d, err := db.Open(t.Context(), db.Config{
				URL: dbtest.URL(t, engine), PoolSize: 8, CallTimeout: 30 * time.Second, Now: c.Now,
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(d.Close)
			fn(t, d, c)
		})
	}
}

func deps(d *db.DB, c *clock, master ...secret.Key) keyring.Deps {
	return keyring.Deps{DB: d, Master: master, Now: c.Now, Logger: slog.New(slog.DiscardHandler)}
}

func mustNode(tb testing.TB, d *db.DB, c *clock, master ...secret.Key) *keyring.Keyring {
	tb.Helper()
	k, err := keyring.New(tb.Context(), deps(d, c, master...))
	if err != nil {
		tb.Fatalf("start a node: %v", err)
	}
	return k
}

func apply(ctx context.Context, d *db.DB, k *keyring.Keyring, c keyring.Change) error {
	return d.Tx(ctx, func(tx *db.Tx) error { return k.ApplyTx(ctx, tx, c) })
}

func mustApply(tb testing.TB, d *db.DB, k *keyring.Keyring, c keyring.Change) {
	tb.Helper()
	if err := apply(tb.Context(), d, k, c); err != nil {
		tb.Fatalf("apply %s of %s: %v", c.Kind, c.Purpose, err)
	}
	mustReload(tb, k)
}

func mustReload(tb testing.TB, k *keyring.Keyring) {
	tb.Helper()
	if err := k.Reload(tb.Context()); err != nil {
		tb.Fatalf("reload: %v", err)
	}
}

// mustUpkeep applies what is due and returns it as "kind purpose".
func mustUpkeep(tb testing.TB, d *db.DB, k *keyring.Keyring) []string {
	tb.Helper()
	list, err := k.PlanUpkeep()
	if err != nil {
		tb.Fatalf("plan upkeep: %v", err)
	}
	var done []string
	for _, c := range list {
		mustApply(tb, d, k, c)
		done = append(done, string(c.Kind)+" "+string(c.Purpose))
	}
	return done
}

func mustActive(tb testing.TB, k *keyring.Keyring) keyring.SigningKey {
	tb.Helper()
	sk, err := k.Signing(keyring.AccessToken)
	if err != nil {
		tb.Fatal(err)
	}
	return sk
}

func TestNew_NodesThatStartTogetherShareOneSetOfKeys(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, c *clock) {
		master := secret.NewKey()
		nodes := make([]*keyring.Keyring, 3)
		var wg sync.WaitGroup
		for i := range nodes {
			wg.Go(func() {
				k, err := keyring.New(t.Context(), deps(d, c, master))
				if err != nil {
					t.Errorf("start node %d: %v", i, err)
				}
				nodes[i] = k
			})
		}
		wg.Wait()
		if t.Failed() {
			return
		}
		if n := len(nodes[0].List()); n != len(keyring.Purposes()) {
			t.Errorf("%d keys for %d purposes", n, len(keyring.Purposes()))
		}
		for _, k := range nodes[1:] {
			mustReload(t, k)
			if diff := cmp.Diff(nodes[0].List(), k.List()); diff != "" {
				t.Errorf("the nodes hold different keys:\n%s", diff)
			}
		}
		for _, p := range keyring.Purposes() {
			if p == keyring.AccessToken || p == keyring.AuditHead {
				continue
			}
			a, errA := nodes[0].Current(p)
			b, errB := nodes[1].Current(p)
			if errA != nil || errB != nil || a != b {
				t.Errorf("%s differs between nodes (%v, %v)", p, errA, errB)
			}
			if key, err := nodes[2].ByID(p, a.ID); err != nil || key != a.Key {
				t.Errorf("%s is not found by its id: %v", p, err)
			}
			if _, err := nodes[2].ByID(p, "unknown"); !errors.Is(err, keyring.ErrNoKey) {
				t.Errorf("%s by an unknown id: %v", p, err)
			}
		}
	})
}

func TestNew_RefusesAnotherMasterKey(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, c *clock) {
		master, other := secret.NewKey(), secret.NewKey()
		mustNode(t, d, c, master)
		if _, err := keyring.New(t.Context(), deps(d, c, other)); !errors.Is(err, keyring.ErrMasterKey) {
			t.Errorf("another master key: %v, want ErrMasterKey", err)
		}
		mustNode(t, d, c, master) // the refused node left no trace
		if _, err := keyring.New(t.Context(), deps(d, c)); err == nil {
			t.Error("starts without a master key")
		}
		if _, err := keyring.New(t.Context(), deps(d, c, secret.Key{})); err == nil {
			t.Error("starts with a master key of zeros")
		}
	})
}

func TestNew_OneMasterKeyClaimsAnEmptyDatabase(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, c *clock) {
		errs := make([]error, 4)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { _, errs[i] = keyring.New(t.Context(), deps(d, c, secret.NewKey())) })
		}
		wg.Wait()
		started := 0
		for _, err := range errs {
			if err == nil {
				started++
			} else if !errors.Is(err, keyring.ErrMasterKey) {
				t.Errorf("refused with %v, want ErrMasterKey", err)
			}
		}
		if started != 1 {
			t.Errorf("%d nodes with different master keys started", started)
		}
	})
}

func TestNew_RefusesKeysSwappedBetweenRows(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, c *clock) {
		master := secret.NewKey()
		mustNode(t, d, c, master)
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(t.Context(), `
				UPDATE keys SET wrapped = (SELECT o.wrapped FROM keys o WHERE o.purpose = 'mail')
				WHERE purpose = 'csrf'`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := keyring.New(t.Context(), deps(d, c, master)); !errors.Is(err, secret.ErrOpen) {
			t.Errorf("a wrapped key of another row: %v, want ErrOpen", err)
		}
	})
}

func TestFind_LearnsWhatAnotherNodeMade(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, c *clock) {
		master := secret.NewKey()
		a, b := mustNode(t, d, c, master), mustNode(t, d, c, master)
		plan, err := a.PlanRotation(keyring.AccessToken, keyring.Spec{Algorithm: keyring.ES256}, true)
		if err != nil {
			t.Fatal(err)
		}
		mustApply(t, d, a, plan)
		kid := mustActive(t, a).ID
		if _, ok := b.Verification(keyring.AccessToken, kid); ok {
			t.Fatal("the other node knows the key without looking")
		}
		if _, err := b.Find(t.Context(), keyring.AccessToken, kid); err != nil {
			t.Errorf("the other node refuses a new key: %v", err)
		}
		if _, err := b.Find(t.Context(), keyring.AuditHead, kid); !errors.Is(err, keyring.ErrNoKey) {
			t.Errorf("a key serves another purpose: %v", err)
		}
	})
}

func TestFind_ReloadsAtMostOnceASecondForUnknownKeys(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, c *clock) {
		master := secret.NewKey()
		a, b := mustNode(t, d, c, master), mustNode(t, d, c, master)
		if _, err := b.Find(t.Context(), keyring.AccessToken, "stranger"); !errors.Is(err, keyring.ErrNoKey) {
			t.Fatalf("an unknown key: %v, want ErrNoKey", err)
		}
		plan, err := a.PlanRotation(keyring.AccessToken, keyring.Spec{Algorithm: keyring.ES256}, true)
		if err != nil {
			t.Fatal(err)
		}
		mustApply(t, d, a, plan)
		kid := mustActive(t, a).ID
		for range 100 {
			if _, err := b.Find(t.Context(), keyring.AccessToken, kid); !errors.Is(err, keyring.ErrNoKey) {
				t.Fatalf("within a second of a request's reload: %v, want ErrNoKey", err)
			}
		}
		c.Advance(time.Second)
		if _, err := b.Find(t.Context(), keyring.AccessToken, kid); err != nil {
			t.Errorf("a second later: %v", err)
		}
	})
}

func TestFind_RefusesWhenItCannotKnowOfWithdrawals(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, c *clock) {
		k := mustNode(t, d, c, secret.NewKey())
		kid := mustActive(t, k).ID
		d.Close()
		c.Advance(45 * time.Second)
		if _, err := k.Find(t.Context(), keyring.AccessToken, kid); err != nil {
			t.Errorf("45 s without the database: %v", err)
		}
		c.Advance(10 * time.Second)
		_, err := k.Find(t.Context(), keyring.AccessToken, kid)
		if err == nil || errors.Is(err, keyring.ErrNoKey) {
			t.Errorf("55 s without the database: %v, want the error of the database", err)
		}
		if len(k.Published(keyring.AccessToken)) == 0 {
			t.Error("public keys are not published without the database")
		}
	})
}

func TestRun_HearsOfRotation(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, c *clock) {
		k := mustNode(t, d, c, secret.NewKey())
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- k.Run(ctx) }()
		before := mustActive(t, k).ID
		plan, err := k.PlanRotation(keyring.AccessToken, keyring.Spec{Algorithm: keyring.EdDSA}, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := apply(t.Context(), d, k, plan); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(4 * time.Second) // less than the poll
		for mustActive(t, k).ID == before {
			if time.Now().After(deadline) {
				t.Fatal("the node did not hear of the rotation")
			}
			<-time.After(time.Millisecond)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run ended with %v", err)
		}
	})
}
