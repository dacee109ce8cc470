package idempotency_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/actor"
	"gatehouse/internal/idempotency"
	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/id"
	"gatehouse/internal/platform/secret"
)

// order is what the tests create.
type order struct {
	ID   id.ID[order]
	Text string
	Pin  secret.String
	At   time.Time
	Wait time.Duration
	Tags []string
}

type input struct {
	Text     string
	Password secret.String
}

// clock is a time that tests move.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// node is one process: a store and the handle it uses.
type node struct {
	db    *db.DB
	store *idempotency.Store
}

// each runs fn on each engine with two nodes on one database.
func each(t *testing.T, fn func(t *testing.T, a, b node, c *clock)) {
	t.Helper()
	for _, engine := range dbtest.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url, c, master := dbtest.URL(t, engine), &clock{}, secret.NewKey()
			a, b := mustNode(t, url, c, master), mustNode(t, url, c, master)
			mustExec(t, a.db, `CREATE TABLE orders (id UUID NOT NULL PRIMARY KEY, note TEXT NOT NULL)`)
			fn(t, a, b, c)
		})
	}
}

func mustNode(tb testing.TB, url string, c *clock, master secret.Key) node {
	tb.Helper()
	d, err := db.Open(context.Background(), db.Config{URL: url, PoolSize: 8, CallTimeout: 30 * time.Second, Now: c.now})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(d.Close)
	keys, err := keyring.New(context.Background(), keyring.Deps{
		AccessToken: keyring.Spec{Algorithm: keyring.ES256},
		DB:          d, Master: []secret.Key{master}, Now: c.now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return node{db: d, store: idempotency.New(d, keys)}
}

func mustExec(tb testing.TB, d *db.DB, sql string, args ...any) {
	tb.Helper()
	err := d.Tx(context.Background(), func(tx *db.Tx) error {
		_, err := tx.Exec(context.Background(), sql, args...)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func count(tb testing.TB, d *db.DB, table string) int {
	tb.Helper()
	var n int
	if err := d.QueryRow(context.Background(), `SELECT COUNT(*) FROM `+table).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

func somebody(key string) actor.Actor {
	return actor.Actor{
		Type: actor.User, UserID: id.New[actor.Subject](time.Now()), Origin: actor.Origin{IdempotencyKey: key},
	}
}

// create makes an order under the actor's key.
func (n node) create(by actor.Actor, operation string, in input) (order, error) {
	ctx := context.Background()
	return idempotency.Do(ctx, n.store, by, operation, in, func(tx *db.Tx) (order, error) {
		o := order{
			ID: id.New[order](tx.Now()), Text: in.Text, Pin: secret.NewToken("pin_"), At: tx.Now(), Wait: time.Minute,
		}
		tx.Queue(`INSERT INTO orders (id, note) VALUES ($1, $2)`, o.ID, o.Text)
		return o, nil
	})
}

func TestDo_RepeatGetsTheFirstAnswer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, b node, c *clock) {
		by := somebody("k-1")
		first, err := a.create(by, "order.create", input{Text: "tea"})
		if err != nil {
			t.Fatal(err)
		}
		c.advance(idempotency.Life - time.Minute)
		again, err := b.create(by, "order.create", input{Text: "tea"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, again); diff != "" {
			t.Error(diff)
		}
		if first.Pin.Reveal() != again.Pin.Reveal() {
			t.Error("the secret of the answer was not kept")
		}
		if n := count(t, a.db, "orders"); n != 1 {
			t.Errorf("%d orders, want 1", n)
		}
	})
}

func TestDo_ManyRepeatsAtOnceCreateOne(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, b node, _ *clock) {
		by := somebody("storm")
		const repeats = 32
		var wg sync.WaitGroup
		answers, faults := make([]order, repeats), make([]error, repeats)
		for i := range repeats {
			wg.Go(func() {
				n := a
				if i%2 == 1 {
					n = b
				}
				answers[i], faults[i] = n.create(by, "order.create", input{Text: "tea"})
			})
		}
		wg.Wait()
		for i := range repeats {
			if faults[i] != nil {
				t.Fatal(faults[i])
			}
			if answers[i].ID != answers[0].ID {
				t.Errorf("answers %v and %v", answers[i].ID, answers[0].ID)
			}
		}
		if n := count(t, a.db, "orders"); n != 1 {
			t.Errorf("%d orders, want 1", n)
		}
	})
}

func TestDo_AnotherRequestUnderTheKeyIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node, _ *clock) {
		by := somebody("k-1")
		if _, err := a.create(by, "order.create", input{Text: "tea", Password: "one"}); err != nil {
			t.Fatal(err)
		}
		for _, in := range []input{{Text: "coffee", Password: "one"}, {Text: "tea", Password: "two"}} {
			if _, err := a.create(by, "order.create", in); !errors.Is(err, idempotency.ErrReused) {
				t.Errorf("%+v: %v, want ErrReused", in, err)
			}
		}
		if n := count(t, a.db, "orders"); n != 1 {
			t.Errorf("%d orders, want 1", n)
		}
	})
}

func TestDo_KeyBelongsToOnePersonAndOperation(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node, _ *clock) {
		ada, bob := somebody("same"), somebody("same")
		for _, call := range []struct {
			by        actor.Actor
			operation string
		}{{ada, "order.create"}, {ada, "order.copy"}, {bob, "order.create"}} {
			if _, err := a.create(call.by, call.operation, input{Text: "tea"}); err != nil {
				t.Fatal(err)
			}
		}
		if n := count(t, a.db, "orders"); n != 3 {
			t.Errorf("%d orders, want 3", n)
		}
	})
}

func TestDo_WithoutKeyOrPersonRunsEachTime(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node, _ *clock) {
		stranger := actor.Of(actor.Origin{IdempotencyKey: "k"})
		for _, by := range []actor.Actor{somebody(""), stranger, stranger} {
			if _, err := a.create(by, "order.create", input{Text: "tea"}); err != nil {
				t.Fatal(err)
			}
		}
		if n, keys := count(t, a.db, "orders"), count(t, a.db, "idempotency_keys"); n != 3 || keys != 0 {
			t.Errorf("%d orders and %d keys, want 3 and 0", n, keys)
		}
	})
}

func TestDo_FailureLeavesNoKey(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node, _ *clock) {
		by, fault := somebody("k-1"), errs.New(errs.Conflict, "taken", "Taken.")
		got, err := idempotency.Do(context.Background(), a.store, by, "order.create", input{Text: "tea"},
			func(*db.Tx) (string, error) { return "half", fault })
		if !errors.Is(err, fault) || got != "" {
			t.Fatalf("%q, %v, want the fault alone", got, err)
		}
		if _, err := a.create(by, "order.create", input{Text: "coffee"}); err != nil {
			t.Errorf("the key is still taken: %v", err)
		}
	})
}

func TestDo_KeyIsFreeAfterADay(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, b node, c *clock) {
		by := somebody("k-1")
		first, err := a.create(by, "order.create", input{Text: "tea"})
		if err != nil {
			t.Fatal(err)
		}
		c.advance(idempotency.Life + time.Second)
		second, err := b.create(by, "order.create", input{Text: "coffee"})
		if err != nil {
			t.Fatal(err)
		}
		third, err := a.create(by, "order.create", input{Text: "coffee"})
		if err != nil {
			t.Fatal(err)
		}
		if first.ID == second.ID || second.ID != third.ID {
			t.Errorf("orders %v, %v, %v", first.ID, second.ID, third.ID)
		}
	})
}

func TestDo_RefusesABadKey(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node, _ *clock) {
		for _, key := range []string{" ", "a b", "a\x00b", "é", strings.Repeat("k", 256)} {
			if _, err := a.create(somebody(key), "order.create", input{}); errs.KindOf(err) != errs.Invalid {
				t.Errorf("key %q: %v, want an invalid field", key, err)
			}
		}
		if _, err := a.create(somebody(strings.Repeat("k", 255)), "order.create", input{}); err != nil {
			t.Error(err)
		}
	})
}

func TestDo_StoresNeitherRequestNorAnswerInClear(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node, _ *clock) {
		o, err := a.create(somebody("k-1"), "order.create", input{Text: "canary-text", Password: "canary-password"})
		if err != nil {
			t.Fatal(err)
		}
		var mac, answer []byte
		row := a.db.QueryRow(context.Background(), `SELECT request_mac, answer FROM idempotency_keys`)
		if err := row.Scan(&mac, &answer); err != nil {
			t.Fatal(err)
		}
		if stored := append(mac, answer...); bytes.Contains(stored, []byte("canary")) ||
			bytes.Contains(stored, []byte(o.Pin.Reveal())) {
			t.Error("stored in clear")
		}
	})
}

func TestDo_AnAnswerMovedToAnotherRowIsNotGiven(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node, _ *clock) {
		ada, bob := somebody("k-1"), somebody("k-1")
		for _, by := range []actor.Actor{ada, bob} {
			if _, err := a.create(by, "order.create", input{Text: "tea"}); err != nil {
				t.Fatal(err)
			}
		}
		mustExec(t, a.db, `UPDATE idempotency_keys SET answer =
			(SELECT answer FROM idempotency_keys WHERE actor_id = $1) WHERE actor_id = $2`, ada.UserID, bob.UserID)
		if _, err := a.create(bob, "order.create", input{Text: "tea"}); !errors.Is(err, secret.ErrOpen) {
			t.Errorf("%v, want ErrOpen", err)
		}
	})
}

func TestPurge_DeletesWhatCountsNoLonger(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a, _ node, c *clock) {
		for i := range 3 {
			if _, err := a.create(somebody(fmt.Sprint(i)), "order.create", input{}); err != nil {
				t.Fatal(err)
			}
		}
		c.advance(idempotency.Life / 2)
		if _, err := a.create(somebody("young"), "order.create", input{}); err != nil {
			t.Fatal(err)
		}
		c.advance(idempotency.Life / 2)
		n, err := a.store.Purge(context.Background())
		if err != nil || n != 3 {
			t.Errorf("purged %d, %v, want 3", n, err)
		}
		if left := count(t, a.db, "idempotency_keys"); left != 1 {
			t.Errorf("%d keys left, want 1", left)
		}
	})
}
