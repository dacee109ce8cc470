package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/actor"
	"gatehouse/internal/audit"
	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
	"gatehouse/internal/platform/id"
	"gatehouse/internal/platform/secret"
)

// fixture is a log with a clock, over a database that its owner may tamper with.
type fixture struct {
	db      *db.DB
	log     *audit.Log
	keys    *keyring.Keyring
	witness *audit.FileWitness

	mu  sync.Mutex
	now time.Time
}

func (f *fixture) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fixture) advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

func newFixture(t *testing.T, d *db.DB) *fixture {
	t.Helper()
	f := &fixture{db: d, now: time.Now(), witness: audit.NewFileWitness(filepath.Join(t.TempDir(), "head.json"))}
	logger := slog.New(slog.DiscardHandler)
	keys, err := keyring.New(t.Context(), keyring.Deps{AccessToken: keyring.Spec{Algorithm: keyring.ES256}, DB: d, Master: []secret.Key{secret.NewKey()}, Now: f.Now, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	f.keys = keys
	f.log = audit.New(audit.Deps{DB: d, Keys: keys, Now: f.Now, Log: logger, Witness: f.witness})
	return f
}

func (f *fixture) mustTx(t *testing.T, fn func(tx *db.Tx) error) {
	t.Helper()
	if err := f.db.Tx(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// mustPerson makes somebody with a data key.
func (f *fixture) mustPerson(t *testing.T) actor.Actor {
	t.Helper()
	by := actor.Actor{
		Type: actor.User, UserID: id.New[actor.Subject](f.Now()), Permissions: []actor.Permission{audit.PermRead},
		Origin: actor.Origin{RequestID: "req-1", IP: netip.MustParseAddr("192.0.2.7"), UserAgent: "curl/8"},
	}
	f.mustTx(t, func(tx *db.Tx) error {
		_, err := f.keys.CreatePersonKey(tx, by.UserID)
		return err
	})
	return by
}

func (f *fixture) mustAppend(t *testing.T, by actor.Actor, n int) {
	t.Helper()
	for i := range n {
		f.mustTx(t, func(tx *db.Tx) error {
			return f.log.Append(t.Context(), tx, by, audit.Event{
				Action: "user.updated", Target: audit.Person(by.UserID),
				Changes: map[string]audit.Change{"first_name": {From: "Ada", To: fmt.Sprint("Ada", i)}},
			})
		})
	}
}

func (f *fixture) mustSeal(t *testing.T) {
	t.Helper()
	if err := errors.Join(f.log.Seal(t.Context()), f.log.Sign(t.Context(), true)); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) mustVerify(t *testing.T) audit.Proof {
	t.Helper()
	p, err := f.log.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// asOwner takes the triggers away and runs statements, as nobody but the
// owner of the database can.
func (f *fixture) asOwner(t *testing.T, statements ...string) {
	t.Helper()
	f.mustTx(t, func(tx *db.Tx) error {
		if f.db.Embedded() {
			for _, table := range []string{"logs", "seals", "heads"} {
				tx.Queue(`DROP TRIGGER IF EXISTS audit_` + table + `_no_update`)
				tx.Queue(`DROP TRIGGER IF EXISTS audit_` + table + `_no_delete`)
			}
		} else {
			tx.Queue(`SET LOCAL session_replication_role = replica`)
		}
		for _, s := range statements {
			if _, err := tx.Exec(t.Context(), s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	})
}

func entryAt(position int) string {
	return fmt.Sprintf(`(SELECT entry_id FROM audit_seals WHERE position = %d)`, position)
}

func TestVerify_NamesWhatTheOwnerOfTheDatabaseDid(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		tamper []string
		want   []audit.Breach
	}{
		"nothing":                          {nil, nil},
		"altered a column":                 {[]string{`UPDATE audit_logs SET outcome = 'failure' WHERE id = ` + entryAt(3)}, []audit.Breach{audit.ColumnsAltered}},
		"altered an envelope":              {[]string{`UPDATE audit_logs SET envelope = (SELECT o.envelope FROM audit_logs AS o WHERE o.id = ` + entryAt(4) + `) WHERE id = ` + entryAt(3)}, []audit.Breach{audit.EntryAltered}},
		"deleted an entry":                 {[]string{`DELETE FROM audit_logs WHERE id = ` + entryAt(3)}, []audit.Breach{audit.EntryMissing}},
		"deleted an entry with its seal":   {[]string{`DELETE FROM audit_logs WHERE id = ` + entryAt(3), `DELETE FROM audit_seals WHERE position = 3`}, []audit.Breach{audit.PositionGap}},
		"reordered two entries":            {[]string{`UPDATE audit_seals SET position = -1 WHERE position = 2`, `UPDATE audit_seals SET position = 2 WHERE position = 3`, `UPDATE audit_seals SET position = 3 WHERE position = -1`}, []audit.Breach{audit.ChainBroken}},
		"cut the tail with its seals":      {[]string{`DELETE FROM audit_logs WHERE id IN (SELECT entry_id FROM audit_seals WHERE position > 4)`, `DELETE FROM audit_seals WHERE position > 4`}, []audit.Breach{audit.TailMissing}},
		"cut the tail, seals and heads":    {[]string{`DELETE FROM audit_logs WHERE id IN (SELECT entry_id FROM audit_seals WHERE position > 3)`, `DELETE FROM audit_seals WHERE position > 3`, `DELETE FROM audit_heads WHERE number > 1`}, []audit.Breach{audit.HeadReplayed}},
		"replayed an old head":             {[]string{`DELETE FROM audit_heads WHERE number = 2`, `INSERT INTO audit_heads (number, position, chain_hash, signed_at, previous, key_id, signature) SELECT 2, position, chain_hash, signed_at, previous, key_id, signature FROM audit_heads WHERE number = 1`}, []audit.Breach{audit.HeadMissing, audit.HeadInvalid}},
		"forged a head":                    {[]string{`UPDATE audit_heads SET position = 5 WHERE number = 2`}, []audit.Breach{audit.HeadInvalid}},
		"slipped an entry in":              {[]string{`INSERT INTO audit_logs (id, occurred_at, action, outcome, actor_type, target_type, request_id, envelope) SELECT '00000000-0000-7000-8000-000000000001', occurred_at, action, outcome, actor_type, target_type, request_id, envelope FROM audit_logs WHERE id = ` + entryAt(3)}, []audit.Breach{audit.EntryUnknown}},
		"removed an entry before its seal": {[]string{`DELETE FROM audit_logs WHERE id IN (SELECT entry_id FROM audit_queue)`}, []audit.Breach{audit.EntryMissing}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				f := newFixture(t, d)
				by := f.mustPerson(t)
				f.mustAppend(t, by, 3)
				f.mustSeal(t)
				f.mustAppend(t, by, 3)
				f.mustSeal(t)
				f.mustAppend(t, by, 1) // not sealed
				f.asOwner(t, c.tamper...)
				p := f.mustVerify(t)
				found := map[audit.Breach]bool{}
				for _, fault := range p.Faults {
					found[fault.Breach] = true
				}
				for _, b := range c.want {
					if !found[b] {
						t.Errorf("%s is not named in %v", b, p.Faults)
					}
				}
				if p.OK != (len(c.want) == 0) {
					t.Errorf("ok = %v with %v", p.OK, p.Faults)
				}
			})
		})
	}
}

func TestVerify_NamesSwappedEnvelopesOfTwoPeople(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d)
		f.mustAppend(t, f.mustPerson(t), 1)
		f.mustAppend(t, f.mustPerson(t), 1)
		f.mustSeal(t)
		f.asOwner(t, `CREATE TABLE swapped AS SELECT id, envelope FROM audit_logs`,
			`UPDATE audit_logs SET envelope = (SELECT o.envelope FROM swapped AS o WHERE o.id <> audit_logs.id)`)
		p := f.mustVerify(t)
		var positions []int64
		for _, fault := range p.Faults {
			if fault.Breach == audit.EntryAltered {
				positions = append(positions, fault.Position)
			}
		}
		if diff := cmp.Diff([]int64{1, 2}, positions); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTriggers_RefuseChangesToTheLog(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d)
		f.mustAppend(t, f.mustPerson(t), 2)
		f.mustSeal(t)
		statements := []string{
			`UPDATE audit_logs SET action = 'x'`, `DELETE FROM audit_logs`,
			`UPDATE audit_seals SET position = 9`, `DELETE FROM audit_seals`,
			`UPDATE audit_heads SET position = 9`, `DELETE FROM audit_heads`,
		}
		if !d.Embedded() {
			statements = append(statements, `TRUNCATE audit_logs`, `TRUNCATE audit_seals`, `TRUNCATE audit_heads`)
		}
		for _, s := range statements {
			err := d.Tx(t.Context(), func(tx *db.Tx) error { _, err := tx.Exec(t.Context(), s); return err })
			if err == nil {
				t.Errorf("%s was accepted", s)
			}
		}
		if p := f.mustVerify(t); !p.OK {
			t.Errorf("faults: %v", p.Faults)
		}
	})
}

func TestAppend_OfARolledBackChangeLeavesNoEntry(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d)
		by := f.mustPerson(t)
		_ = d.Tx(t.Context(), func(tx *db.Tx) error {
			_ = f.log.Append(t.Context(), tx, by, audit.Event{Action: "user.updated", Target: audit.Person(by.UserID)})
			return errors.New("boom")
		})
		f.mustSeal(t)
		if p := f.mustVerify(t); p.Entries != 0 {
			t.Errorf("%d entries", p.Entries)
		}
	})
}

func TestList_ShowsAnEntryBeforeAndAfterItsSeal(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d)
		by := f.mustPerson(t)
		f.mustAppend(t, by, 1)
		for _, want := range []int64{0, 1} {
			page, err := f.log.List(t.Context(), by, audit.Filter{}, audit.Cursor{}, 10, true)
			if err != nil || len(page.Entries) != 1 || *page.Total != 1 {
				t.Fatalf("page %+v, %v", page, err)
			}
			e := page.Entries[0]
			if e.Position != want || e.IP != by.Origin.IP || e.UserAgent != "curl/8" || e.Changes["first_name"].To != "Ada0" {
				t.Errorf("entry %+v", e)
			}
			f.mustSeal(t)
		}
	})
}

func TestList_FiltersAndPages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d)
		ada, bob := f.mustPerson(t), f.mustPerson(t)
		bob.Origin.IP = netip.MustParseAddr("2001:db8::7")
		bob.Origin.RequestID = "req-2"
		for range 3 {
			f.mustAppend(t, ada, 1)
			f.mustAppend(t, bob, 1)
		}
		newest, err := f.log.List(t.Context(), ada, audit.Filter{}, audit.Cursor{}, 2, false)
		if err != nil {
			t.Fatal(err)
		}
		second := newest.Entries[1].OccurredAt
		cases := map[string]struct {
			filter audit.Filter
			want   int
		}{
			"actor":      {audit.Filter{Actor: bob.UserID}, 3},
			"target":     {audit.Filter{Target: audit.Person(ada.UserID).ID}, 3},
			"action":     {audit.Filter{Action: "user.deleted"}, 0},
			"outcome":    {audit.Filter{Outcome: audit.Success}, 6},
			"ip":         {audit.Filter{IP: bob.Origin.IP}, 3},
			"unknown ip": {audit.Filter{IP: netip.MustParseAddr("203.0.113.1")}, 0},
			"request":    {audit.Filter{RequestID: "req-2"}, 3},
			"from":       {audit.Filter{From: second}, 2},
			"to":         {audit.Filter{To: second}, 4},
		}
		for name, c := range cases {
			var got int
			var after audit.Cursor
			for {
				page, err := f.log.List(t.Context(), ada, c.filter, after, 2, false)
				if err != nil {
					t.Fatal(err)
				}
				got += len(page.Entries)
				if !page.More {
					break
				}
				last := page.Entries[len(page.Entries)-1]
				after = audit.Cursor{OccurredAt: last.OccurredAt, ID: last.ID}
			}
			if got != c.want {
				t.Errorf("%s: %d entries, want %d", name, got, c.want)
			}
		}
	})
}

func TestList_NeedsThePermission(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d)
		_, err := f.log.List(t.Context(), actor.Actor{Type: actor.User}, audit.Filter{}, audit.Cursor{}, 10, false)
		if !errors.Is(err, actor.ErrForbidden) {
			t.Errorf("got %v", err)
		}
	})
}

func TestErasedPerson_LeavesAVerifiableLogThatSaysNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d)
		by := f.mustPerson(t)
		f.mustAppend(t, by, 1)
		f.mustSeal(t)
		f.mustTx(t, func(tx *db.Tx) error { f.keys.ErasePersonKey(tx, by.UserID); return nil })
		page, err := f.log.List(t.Context(), by, audit.Filter{}, audit.Cursor{}, 10, false)
		if err != nil || len(page.Entries) != 1 {
			t.Fatalf("page %+v, %v", page, err)
		}
		if e := page.Entries[0]; e.IP.IsValid() || e.UserAgent != "" || len(e.Changes) != 0 {
			t.Errorf("the log still tells %+v", e)
		}
		if p := f.mustVerify(t); !p.OK {
			t.Errorf("faults: %v", p.Faults)
		}
	})
}

func TestObserve_CountsRepeatsOfAMinute(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d)
		by := f.mustPerson(t)
		for range 50 {
			err := f.log.Observe(t.Context(), by, audit.Event{Action: "access.denied", Outcome: audit.Denied, Reason: "users:read"})
			if err != nil {
				t.Fatal(err)
			}
		}
		f.advance(2 * time.Minute)
		if err := f.log.FlushRepeats(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		page, err := f.log.List(t.Context(), by, audit.Filter{}, audit.Cursor{}, 10, false)
		if err != nil {
			t.Fatal(err)
		}
		var total int64
		for _, e := range page.Entries {
			total += e.Count
		}
		if len(page.Entries) != 2 || total != 50 {
			t.Errorf("%d entries that count %d", len(page.Entries), total)
		}
	})
}

func TestSeal_ByTwoNodesAtOnceIsGapless(t *testing.T) {
	t.Parallel()
	for _, engine := range dbtest.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := dbtest.URL(t, engine)
			f := newFixture(t, dbtest.Open(t, url))
			by := f.mustPerson(t)
			other := audit.New(audit.Deps{DB: dbtest.Open(t, url), Keys: f.keys, Now: f.Now, Log: slog.New(slog.DiscardHandler)})
			ctx, cancel := context.WithCancel(t.Context())
			var sealing, writing sync.WaitGroup
			for _, l := range []*audit.Log{f.log, other} {
				sealing.Go(func() {
					for ctx.Err() == nil {
						if err := l.Seal(context.WithoutCancel(ctx)); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			for range 4 {
				writing.Go(func() { f.mustAppend(t, by, 25) })
			}
			writing.Wait()
			cancel()
			sealing.Wait()
			f.mustSeal(t)
			if p := f.mustVerify(t); !p.OK || p.Entries != 100 || p.Last != 100 {
				t.Errorf("proof %+v", p)
			}
		})
	}
}

func TestVerifyExport_NeedsNothingButThePublicKey(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d)
		f.mustAppend(t, f.mustPerson(t), 5)
		f.mustSeal(t)
		var file bytes.Buffer
		if n, err := f.log.Export(t.Context(), &file); err != nil || n != 5 {
			t.Fatalf("%d entries, %v", n, err)
		}
		list, err := f.log.PublicKeys()
		if err != nil {
			t.Fatal(err)
		}
		keys, err := audit.ParsePublicKeys(list)
		if err != nil {
			t.Fatal(err)
		}
		whole := file.String()
		if p, err := audit.VerifyExport(bytes.NewReader([]byte(whole)), keys, audit.Head{}); err != nil || !p.OK || p.Entries != 5 {
			t.Errorf("whole: %+v, %v", p, err)
		}
		lines := bytes.SplitAfter([]byte(whole), []byte("\n"))
		cut := bytes.Join(append(append([][]byte{}, lines[:4]...), lines[5:]...), nil)
		if p, err := audit.VerifyExport(bytes.NewReader(cut), keys, audit.Head{}); err != nil || p.OK {
			t.Errorf("cut: %+v, %v", p, err)
		}
		if p, err := audit.VerifyExport(bytes.NewReader([]byte(whole)), nil, audit.Head{}); err != nil || p.OK {
			t.Errorf("without the key: %+v, %v", p, err)
		}
	})
}

func FuzzDecodeEnvelope(f *testing.F) {
	e := audit.Envelope{ID: id.New[audit.Entry](time.Now()), OccurredAt: time.Now(), Action: "user.created", Count: 1}
	f.Add(e.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := audit.DecodeEnvelope(b)
		if err == nil && !bytes.Equal(e.Encode(), b) {
			t.Errorf("two forms of one envelope: %x and %x", b, e.Encode())
		}
	})
}
