package db_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/id"
)

type thing struct{}

type sample struct {
	ID    id.ID[thing]
	Owner id.ID[thing]
	Name  string
	Note  *string
	At    time.Time
	Ended *time.Time
	From  netip.Addr
	Blob  []byte
	Flag  bool
	Count int64
}

func createSamples(t *testing.T, d *db.DB) {
	t.Helper()
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `CREATE TABLE samples (
			id UUID CONSTRAINT samples_pkey PRIMARY KEY, owner UUID, name VARCHAR(50) NOT NULL, note TEXT,
			at TIMESTAMPTZ, ended TIMESTAMPTZ, source INET, blob BYTEA, flag BOOLEAN NOT NULL, count BIGINT NOT NULL,
			CONSTRAINT samples_name_key UNIQUE (name))`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

const insertSample = `INSERT INTO samples (id, owner, name, note, at, ended, source, blob, flag, count)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`

func (s sample) args() []any {
	return []any{s.ID, s.Owner, s.Name, s.Note, s.At, s.Ended, s.From, s.Blob, s.Flag, s.Count}
}

func named(name string) sample {
	return sample{ID: id.New[thing](time.Now()), Name: name, At: time.Now().UTC().Truncate(time.Microsecond)}
}

func scanSample(r db.Scanner) (s sample, err error) {
	return s, r.Scan(&s.ID, &s.Owner, &s.Name, &s.Note, &s.At, &s.Ended, &s.From, &s.Blob, &s.Flag, &s.Count)
}

const selectSamples = `SELECT id, owner, name, note, at, ended, source, blob, flag, count FROM samples`

func insert(ctx context.Context, d *db.DB, s sample) error {
	return d.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, insertSample, s.args()...)
		return err
	})
}

func count(t *testing.T, d *db.DB) (n int) {
	t.Helper()
	if err := d.QueryRow(t.Context(), `SELECT count(*) FROM samples`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestValues_ComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		createSamples(t, d)
		note := "n"
		ended := time.Date(2026, 2, 3, 4, 5, 6, 789000, time.FixedZone("x", 3600))
		full := sample{
			ID: id.New[thing](time.Now()), Owner: id.New[thing](time.Now()), Name: "full", Note: &note,
			At: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), Ended: &ended,
			From: netip.MustParseAddr("2001:db8::1"), Blob: []byte{0, 1}, Flag: true, Count: 1 << 40,
		}
		empty := sample{ID: id.New[thing](time.Now()), Name: "empty"}
		for _, s := range []sample{full, empty} {
			if err := insert(t.Context(), d, s); err != nil {
				t.Fatal(err)
			}
		}
		got, err := db.List(t.Context(), d, scanSample, selectSamples+` ORDER BY name DESC`)
		if err != nil {
			t.Fatal(err)
		}
		utc := ended.UTC()
		full.Ended = &utc
		same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
		if diff := cmp.Diff([]sample{full, empty}, got, same); diff != "" {
			t.Error(diff)
		}
	})
}

func TestPlaceholders_ArePositions(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		var a, b string
		err := d.QueryRow(t.Context(), `SELECT CAST($2 AS TEXT), CAST($1 AS TEXT)`, "one", "two").Scan(&a, &b)
		if err != nil || a != "two" || b != "one" {
			t.Errorf("got %q, %q, %v", a, b, err)
		}
	})
}

func TestIn_MatchesListedValuesOnly(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		createSamples(t, d)
		for i := range 4 {
			if err := insert(t.Context(), d, named(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		for _, names := range [][]string{{"1", "3"}, {}} {
			var args []any
			got, err := db.List(t.Context(), d, scanSample, selectSamples+` WHERE name IN `+db.In(&args, names), args...)
			if err != nil || len(got) != len(names) {
				t.Errorf("%v: got %d rows, %v", names, len(got), err)
			}
		}
	})
}

func TestTx_KeepsNothingOfAnError(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		createSamples(t, d)
		boom := errors.New("boom")
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			tx.Queue(insertSample, named("queued").args()...)
			if _, err := tx.Exec(t.Context(), insertSample, named("run").args()...); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) || count(t, d) != 0 {
			t.Errorf("err %v, rows %d", err, count(t, d))
		}
	})
}

func TestTx_KeepsNothingOfAPanic(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		createSamples(t, d)
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = d.Tx(t.Context(), func(tx *db.Tx) error {
				_, _ = tx.Exec(t.Context(), insertSample, named("x").args()...)
				panic("boom")
			})
		}()
		if n := count(t, d); n != 0 {
			t.Errorf("%d rows", n)
		}
		if err := insert(t.Context(), d, named("after")); err != nil {
			t.Errorf("the database is unusable afterwards: %v", err)
		}
	})
}

func TestQueue_ErrorEndsTheTransaction(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		createSamples(t, d)
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			tx.Queue(insertSample, named("same").args()...)
			tx.Queue(insertSample, named("same").args()...)
			return nil
		})
		if !db.IsUnique(err, "samples_name_key") || count(t, d) != 0 {
			t.Errorf("err %v, rows %d", err, count(t, d))
		}
	})
}

func TestQueue_IsSeenByTheNextStatement(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		createSamples(t, d)
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			tx.Queue(insertSample, named("a").args()...)
			var n int
			if err := tx.QueryRow(t.Context(), `SELECT count(*) FROM samples`).Scan(&n); err != nil || n != 1 {
				return fmt.Errorf("sees %d rows, %w", n, err)
			}
			affected, err := tx.Exec(t.Context(), `UPDATE samples SET count = $1`, 5)
			if affected != 1 {
				return fmt.Errorf("touched %d rows", affected)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestIsUnique_NamesTheConstraint(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		createSamples(t, d)
		s := named("a")
		if err := insert(t.Context(), d, s); err != nil {
			t.Fatal(err)
		}
		if err := insert(t.Context(), d, named("a")); !db.IsUnique(err, "samples_name_key") || db.IsUnique(err, "samples_pkey") {
			t.Errorf("same name: %v", err)
		}
		s.Name = "b"
		if err := insert(t.Context(), d, s); !db.IsUnique(err, "samples_pkey") || db.IsUnique(err, "samples_name_key") {
			t.Errorf("same id: %v", err)
		}
	})
}

func TestTx_OneCancelledOf32LosesOnlyItself(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		createSamples(t, d)
		boom := errors.New("boom")
		errors32 := make([]error, 32)
		var wg sync.WaitGroup
		for i := range errors32 {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				errors32[i] = d.Tx(ctx, func(tx *db.Tx) error {
					_, err := tx.Exec(ctx, insertSample, named(fmt.Sprint(i)).args()...)
					if i == 7 {
						cancel()
						return boom
					}
					return err
				})
			})
		}
		wg.Wait()
		for i, err := range errors32 {
			if (err != nil) != (i == 7) {
				t.Errorf("transaction %d: %v", i, err)
			}
		}
		if n := count(t, d); n != 31 {
			t.Errorf("%d rows, want 31", n)
		}
	})
}

func TestTx_OneDuplicateOf32LosesOnlyItself(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		createSamples(t, d)
		var won, lost int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 32 {
			wg.Go(func() {
				err := insert(t.Context(), d, named(fmt.Sprint(i/2)))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					won++
				case db.IsUnique(err, "samples_name_key"):
					lost++
				default:
					t.Errorf("transaction %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if won != 16 || lost != 16 {
			t.Errorf("%d won, %d lost", won, lost)
		}
	})
}

func TestNotify_ReachesListenersAfterCommitOnly(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		createSamples(t, d)
		var heard []string
		d.Listen("things", func(payload string) { heard = append(heard, payload) })
		_ = d.Tx(t.Context(), func(tx *db.Tx) error {
			tx.Notify("things", "lost")
			return errors.New("boom")
		})
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			tx.Notify("things", "kept")
			tx.Queue(insertSample, named("x").args()...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"kept"}, heard); diff != "" {
			t.Error(diff)
		}
	})
}

func TestNotify_ReachesAnotherProcess(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t, "postgres")
	here, there := dbtest.Open(t, url), dbtest.Open(t, url)
	heard := make(chan string, 100)
	there.Listen("things", func(payload string) { heard <- payload })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- there.Run(ctx) }()
	defer func() { cancel(); <-done }()

	tick := time.NewTicker(10 * time.Millisecond) // until the listener is connected
	defer tick.Stop()
	for {
		select {
		case got := <-heard:
			if got != "hello" {
				t.Errorf("heard %q", got)
			}
			return
		case <-tick.C:
			if err := here.Tx(ctx, func(tx *db.Tx) error { tx.Notify("things", "hello"); return nil }); err != nil {
				t.Fatal(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("heard nothing")
		}
	}
}

func TestChanged_SeesAnotherProcess(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		createSamples(t, d)
		var since int64
		if _, err := d.Changed(t.Context(), &since); err != nil {
			t.Fatal(err)
		}
		if err := insert(t.Context(), d, named("x")); err != nil {
			t.Fatal(err)
		}
		if moved, err := d.Changed(t.Context(), &since); !moved || err != nil {
			t.Errorf("moved %v, %v", moved, err)
		}
	})
}

func TestUnreachableServer_IsUnavailable(t *testing.T) {
	t.Parallel()
	d, err := db.Open(t.Context(), db.Config{URL: "postgres://nobody@127.0.0.1:1/none?sslmode=disable"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	read := d.QueryRow(t.Context(), `SELECT 1`).Scan(new(int))
	write := d.Tx(t.Context(), func(tx *db.Tx) error { tx.Queue(`SELECT 1`); return nil })
	for what, err := range map[string]error{"read": read, "write": write, "ping": d.Ping(t.Context())} {
		if !errors.Is(err, db.ErrUnavailable) || errs.KindOf(err) != errs.Unavailable {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestMigrate_TwoAtOnceMakeOneSchema(t *testing.T) {
	t.Parallel()
	for engine, url := range map[string]string{
		"sqlite":   "sqlite:" + t.TempDir() + "/x.db",
		"postgres": dbtest.EmptyPostgres(t),
	} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			var wg sync.WaitGroup
			for range 2 {
				d := dbtest.Open(t, url)
				wg.Go(func() {
					if _, err := d.Migrate(t.Context(), ""); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			d := dbtest.Open(t, url)
			if err := d.RequireSchema(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRequireSchema_RefusesAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	for engine, url := range map[string]string{
		"sqlite":   "sqlite:" + t.TempDir() + "/x.db",
		"postgres": dbtest.EmptyPostgres(t),
	} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			if err := dbtest.Open(t, url).RequireSchema(t.Context()); !errors.Is(err, db.ErrSchema) {
				t.Errorf("got %v", err)
			}
		})
	}
}
