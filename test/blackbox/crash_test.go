package blackbox_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// ledger is what clients were told is done.
type ledger struct {
	created  sync.Map // id → e-mail
	creates  atomic.Int64
	profiles []*profileLedger
}

// profileLedger is one person who changes their profile again and again.
type profileLedger struct {
	client client
	id     string
	acked  []string // first names, in order
	tried  []string
}

// TestCrash_KilledUnderLoadLosesNoAcknowledgedWrite kills the program three
// times. After each restart whatever a client was told is done must be there,
// with exactly one entry of the log, and nothing without an entry.
func TestCrash_KilledUnderLoadLosesNoAcknowledgedWrite(t *testing.T) {
	t.Parallel()
	bothStacks(t, func(t *testing.T, stack string) {
		const writers, kills = 4, 3
		i := install(t, stack, "GATEHOUSE_RATE_LIMITS=off")
		n := i.start()
		admin := n.connect().admin()
		book := &ledger{}
		for k := range writers {
			email := fmt.Sprintf("writer%d@example.com", k)
			u := admin.create(email)
			book.profiles = append(book.profiles, &profileLedger{client: admin.as(admin.signIn(email, personPass).AccessToken), id: u.ID})
		}
		for round := range kills {
			book.load(t, n, admin, round)
			n = i.start()
			admin = admin.at(n)
			book.check(t, admin)
		}
		t.Logf("%d creations and %d profile changes acknowledged over %d kills", book.creates.Load(), book.updates(), kills)
		if book.creates.Load() == 0 || book.updates() == 0 {
			t.Error("there was no load")
		}
		requireWholeLog(t, i, admin)
	})
}

// load writes from several clients and kills the node in the middle.
func (l *ledger) load(t *testing.T, n *node, admin client, round int) {
	t.Helper()
	var wg sync.WaitGroup
	for k, p := range l.profiles {
		wg.Go(func() {
			for m := 0; ; m++ {
				name := fmt.Sprintf("name-%d-%d-%d", round, k, m)
				p.tried = append(p.tried, name)
				r, err := p.client.at(n).try("PUT", "/users/profile", map[string]string{"first_name": name})
				if err != nil {
					return
				}
				if r.status != 200 {
					t.Errorf("%s: %d %s", r.what, r.status, r.body)
					return
				}
				p.acked = append(p.acked, name)
			}
		})
		wg.Go(func() {
			for m := 0; ; m++ {
				email := fmt.Sprintf("made-%d-%d-%d@example.com", round, k, m)
				r, err := admin.at(n).try("POST", "/users", map[string]string{"email": email})
				if err != nil {
					return
				}
				var u user
				if r.status != 201 || json.Unmarshal(r.body, &u) != nil {
					t.Errorf("%s: %d %s", r.what, r.status, r.body)
					return
				}
				l.created.Store(u.ID, email)
				l.creates.Add(1)
			}
		})
	}
	before := l.creates.Load()
	eventually(t, 20*time.Second, "a load", func() bool { return l.creates.Load() >= before+200 })
	n.kill()
	wg.Wait()
}

func (l *ledger) updates() (n int) {
	for _, p := range l.profiles {
		n += len(p.acked)
	}
	return n
}

// check compares the ledger with people and log.
func (l *ledger) check(t *testing.T, admin client) {
	t.Helper()
	people := map[string]user{}
	for _, u := range all[user](admin, "/users", nil) {
		people[u.ID] = u
	}
	entries := map[string]int{}
	for _, e := range admin.logged("user.created") {
		entries[e.Target.ID]++
	}
	l.created.Range(func(id, email any) bool {
		if people[id.(string)].Email != email {
			t.Errorf("%s was acknowledged and is lost", email)
		}
		return true
	})
	for id, u := range people {
		if entries[id] != 1 {
			t.Errorf("%s has %d entries", u.Email, entries[id])
		}
	}
	for id := range entries {
		if _, ok := people[id]; !ok {
			t.Errorf("the log knows of %s, whom nobody else does", id)
		}
	}
	for _, p := range l.profiles {
		p.check(t, admin)
	}
}

// check compares what the person was told with their entries. One change may
// have been committed that nobody was told of.
func (p *profileLedger) check(t *testing.T, admin client) {
	t.Helper()
	logged := map[string]int{}
	for _, e := range all[entry](admin, "/admin/audit-logs", url.Values{"action": {"user.updated"}, "target": {p.id}}) {
		name, _ := e.Changes["first_name"].To.(string)
		logged[name]++
	}
	acked := map[string]bool{}
	for _, name := range p.acked {
		acked[name] = true
		if logged[name] != 1 {
			t.Errorf("the change to %s was acknowledged and has %d entries", name, logged[name])
		}
	}
	for name, n := range logged {
		if n > 1 {
			t.Errorf("the change to %s has %d entries", name, n)
		}
	}
	var now user
	admin.send("GET", "/users/"+p.id, nil).want(200).into(&now)
	last := p.tried[len(p.tried)-1]
	if now.FirstName == nil || *now.FirstName != p.acked[len(p.acked)-1] && *now.FirstName != last {
		t.Errorf("the first name is %v, acknowledged was %s", now.FirstName, p.acked[len(p.acked)-1])
	}
	if now.FirstName != nil && logged[*now.FirstName] != 1 {
		t.Errorf("the first name %s has %d entries", *now.FirstName, logged[*now.FirstName])
	}
}

// requireWholeLog waits until everything is sealed and has the log proven.
func requireWholeLog(t *testing.T, i *installation, admin client) {
	t.Helper()
	var proof struct {
		OK       bool
		Entries  int64
		Unsealed int64
	}
	eventually(t, 20*time.Second, "all is sealed", func() bool {
		r := admin.send("GET", "/admin/audit-logs/verify", nil).want(200)
		r.into(&proof)
		if !proof.OK {
			t.Fatalf("the log is broken: %s", r.body)
		}
		return proof.Unsealed <= 1
	})
	if r := i.command("audit", "verify"); r.code != 0 || !strings.Contains(r.stdout, "ok") && !strings.Contains(r.stdout, "whole") {
		t.Errorf("gatehouse audit verify: exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}
