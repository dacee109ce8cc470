package blackbox_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// revocationHard bounds how long another node may go on accepting. The
	// promise is 200 ms; the rest is for machines that do much at once.
	revocationHard = 500 * time.Millisecond
	// revocationWorst is the promise for the very worst.
	revocationWorst = 2 * time.Second
)

// TestRevocation_ActsOnOtherNodes changes something on one node and asks the
// other one, which has just accepted the same token, until it refuses.
func TestRevocation_ActsOnOtherNodes(t *testing.T) {
	t.Parallel()
	for _, redis := range []string{"with Redis", "without Redis"} {
		t.Run(redis, func(t *testing.T) {
			t.Parallel()
			i := install(t, production)
			a, b := i.pair()
			admin := a.connect().admin()
			if redis == "without Redis" {
				i.redis.Kill()
			}
			for k, c := range revocations() {
				t.Run(c.name, func(t *testing.T) {
					email := fmt.Sprintf("person%d@example.com", k)
					admin.create(email, "support")
					s := admin.signIn(email, personPass)
					person := admin.as(s.AccessToken)
					person.send("GET", c.path, nil).want(200)
					person.at(b).send("GET", c.path, nil).want(200)
					person.at(b).send("GET", c.path, nil).want(200)

					c.change(admin, s, person)
					done := time.Now()
					if got := person.send("GET", c.path, nil); got.status == 200 {
						t.Error("the node that made the change goes on accepting")
					}
					var last reply
					took := eventually(t, revocationWorst, "the other node refuses", func() bool {
						last = person.at(b).send("GET", c.path, nil)
						return last.status != 200
					})
					if last.status != c.status || last.code() != c.code {
						t.Errorf("refused by %d %s, want %d %s", last.status, last.code(), c.status, c.code)
					}
					t.Logf("the other node refuses after %v", min(took, time.Since(done)))
					if took > revocationHard {
						t.Errorf("the other node refuses only after %v", took)
					}
				})
			}
		})
	}
}

type revocation struct {
	name, path string
	change     func(admin client, s signedIn, person client)
	status     int
	code       string
}

func revocations() []revocation {
	const people, profile = "/users?limit=1", "/users/profile"
	return []revocation{
		{"a role is taken away", people, func(admin client, s signedIn, _ client) {
			admin.send("DELETE", "/admin/users/"+s.User.ID+"/roles/"+admin.roleID("support"), nil).want(204)
		}, 403, "forbidden"},
		{"the account is suspended", profile, func(admin client, s signedIn, _ client) {
			admin.send("PATCH", "/users/"+s.User.ID, `{"account_status":"suspended"}`, mergePatch).want(200)
		}, 401, "session_revoked"},
		{"the account is deleted", profile, func(admin client, s signedIn, _ client) {
			admin.send("DELETE", "/users/"+s.User.ID, nil).want(204)
		}, 401, "session_revoked"},
		{"the password changes in another session", profile, func(admin client, s signedIn, _ client) {
			other := admin.as(admin.signIn(s.User.Email, personPass).AccessToken)
			other.send("POST", "/auth/change-password", map[string]string{
				"current_password": personPass, "new_password": personPass + " and more",
			}).want(204)
			other.send("GET", "/users/profile", nil).want(200)
		}, 401, "session_revoked"},
		{"the person signs out", profile, func(_ client, _ signedIn, person client) {
			person.send("POST", "/auth/logout", nil).want(204)
		}, 401, "session_revoked"},
		{"the person signs out everywhere from another session", profile, func(admin client, s signedIn, _ client) {
			admin.as(admin.signIn(s.User.Email, personPass).AccessToken).
				send("POST", "/auth/logout", `{"all_sessions":true}`).want(204)
		}, 401, "session_revoked"},
		{"an administrator ends the sessions", profile, func(admin client, s signedIn, _ client) {
			admin.send("DELETE", "/admin/users/"+s.User.ID+"/sessions", nil).want(204)
		}, 401, "session_revoked"},
	}
}

func TestRevocation_ARoleThatLosesAPermissionOpensNothingMoreOnOtherNodes(t *testing.T) {
	t.Parallel()
	a, b := install(t, production).pair()
	admin := a.connect().admin()
	var role struct{ ID string }
	admin.send("POST", "/admin/roles", `{"name":"reader","permissions":["users:read","roles:read"]}`).want(201).into(&role)
	reader := admin.as(admin.signInNew(admin, "reader@example.com", "reader"))
	reader.at(b).send("GET", "/users?limit=1", nil).want(200)
	admin.send("PUT", "/admin/roles/"+role.ID, `{"name":"reader","permissions":["roles:read"]}`).want(200)
	took := eventually(t, revocationHard, "the other node refuses", func() bool {
		return reader.at(b).send("GET", "/users?limit=1", nil).status == 403
	})
	t.Logf("the other node refuses after %v", took)
	reader.at(b).send("GET", "/admin/roles", nil).want(200)
	admin.send("DELETE", "/admin/roles/"+role.ID+"?force=true", nil).want(204)
	eventually(t, revocationHard, "the other node refuses", func() bool {
		return reader.at(b).send("GET", "/admin/roles", nil).status == 403
	})
}

// TestRevocation_AThousandUnderLoadLeaveNoLateAcceptance grants and takes a
// role 1,000 times on one node while the other one serves reads, those of the
// persons concerned among them.
func TestRevocation_AThousandUnderLoadLeaveNoLateAcceptance(t *testing.T) {
	t.Parallel()
	const people, rounds = 20, 50
	i := install(t, production, "GATEHOUSE_RATE_LIMITS=off")
	a, b := i.pair()
	admin := a.connect().admin()
	support := admin.roleID("support")

	stop := make(chan struct{})
	var load, work sync.WaitGroup
	var reads atomic.Int64
	for k := range 4 {
		reader := admin.as(admin.signInNew(admin, fmt.Sprintf("reader%d@example.com", k))).at(b)
		load.Go(func() {
			for !closed(stop) {
				if r, err := reader.try("GET", "/users/profile", nil); err != nil || r.status != 200 {
					t.Errorf("a reader nobody touched got %d: %v", r.status, err)
					return
				}
				reads.Add(1)
			}
		})
	}
	latest := make([]time.Duration, people)
	for k := range people {
		email := fmt.Sprintf("person%d@example.com", k)
		u := admin.create(email)
		person := admin.as(admin.signIn(email, personPass).AccessToken).at(b)
		work.Go(func() {
			for range rounds {
				late, err := takeRole(admin, person, u.ID, support)
				if err != nil {
					t.Error(err)
					return
				}
				latest[k] = max(latest[k], late)
			}
		})
	}
	work.Wait()
	close(stop)
	load.Wait()
	worst := time.Duration(0)
	for _, l := range latest {
		worst = max(worst, l)
	}
	t.Logf("%d revocations during %d reads: the latest acceptance began %v after the answer", people*rounds, reads.Load(), worst)
	if worst > revocationWorst {
		t.Errorf("an acceptance began %v after the revocation's answer", worst)
	}
}

// takeRole gives a role and takes it again, and returns how long after that
// answer the last request began that the person's token still opened.
func takeRole(admin, person client, id, role string) (late time.Duration, err error) {
	const path = "/users?limit=1"
	if r, err := admin.try("POST", "/admin/users/"+id+"/roles", `{"role":"support"}`); err != nil || r.status != 200 {
		return 0, fmt.Errorf("give: %d %s: %w", r.status, r.body, err)
	}
	limit := time.Now().Add(2 * revocationWorst)
	for {
		if r, err := person.try("GET", path, nil); err != nil || r.status == 200 {
			break
		}
		if time.Now().After(limit) {
			return 0, fmt.Errorf("the role opens nothing on the other node")
		}
	}
	r, err := admin.try("DELETE", "/admin/users/"+id+"/roles/"+role, nil)
	if err != nil || r.status != 204 {
		return 0, fmt.Errorf("take: %d %s: %w", r.status, r.body, err)
	}
	answered := time.Now()
	refusals := 0
	for refusals < 3 { // an acceptance may follow a refusal
		r, err := person.try("GET", path, nil)
		switch {
		case err != nil:
			return late, err
		case r.status == 200:
			late, refusals = r.began.Sub(answered), 0
		case r.status == 403:
			refusals++
		default:
			return late, fmt.Errorf("%s: %d %s", r.what, r.status, r.body)
		}
		if time.Since(answered) > 2*revocationWorst {
			return late, fmt.Errorf("still accepted %v after the answer", late)
		}
	}
	return late, nil
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestRevocation_AnEndedSessionIsNeverAcceptedLaterUnderLoad(t *testing.T) {
	t.Parallel()
	const people, each = 8, 8
	a, b := install(t, production, "GATEHOUSE_RATE_LIMITS=off").pair()
	admin := a.connect().admin()
	var wg sync.WaitGroup
	var worst atomic.Int64
	for k := range people {
		email := fmt.Sprintf("person%d@example.com", k)
		admin.create(email)
		sessions := make([]signedIn, each)
		for s := range sessions {
			sessions[s] = admin.signIn(email, personPass)
		}
		wg.Go(func() {
			for _, s := range sessions {
				late, err := endSession(admin.as(s.AccessToken), b)
				if err != nil {
					t.Error(err)
				}
				for old := worst.Load(); int64(late) > old && !worst.CompareAndSwap(old, int64(late)); old = worst.Load() {
				}
			}
		})
	}
	wg.Wait()
	t.Logf("the latest acceptance began %v after the answer", time.Duration(worst.Load()))
	if time.Duration(worst.Load()) > revocationWorst {
		t.Errorf("an acceptance began %v after the revocation's answer", time.Duration(worst.Load()))
	}
}

// endSession signs out here and returns how late the other node still opened.
func endSession(person client, other *node) (late time.Duration, err error) {
	there := person.at(other)
	if r, err := there.try("GET", "/users/profile", nil); err != nil || r.status != 200 {
		return 0, fmt.Errorf("before: %d: %w", r.status, err)
	}
	if r, err := person.try("POST", "/auth/logout", nil); err != nil || r.status != 204 {
		return 0, fmt.Errorf("sign out: %d: %w", r.status, err)
	}
	answered := time.Now()
	for refusals := 0; refusals < 3; {
		r, err := there.try("GET", "/users/profile", nil)
		if err != nil {
			return late, err
		}
		if refusals++; r.status == 200 {
			late, refusals = r.began.Sub(answered), 0
		}
	}
	return late, nil
}

func TestProfile_AChangeShowsOnOtherNodes(t *testing.T) {
	t.Parallel()
	a, b := install(t, production).pair()
	admin := a.connect().admin()
	ada := admin.as(admin.signInNew(admin, "ada@example.com"))
	ada.at(b).send("GET", "/users/profile", nil).want(200)
	ada.send("PUT", "/users/profile", `{"first_name":"Ada"}`).want(200)
	took := eventually(t, 5*time.Second, "the other node shows it", func() bool {
		var u user
		ada.at(b).send("GET", "/users/profile", nil).want(200).into(&u)
		return u.FirstName != nil && *u.FirstName == "Ada"
	})
	t.Logf("the other node shows it after %v", took)
}
