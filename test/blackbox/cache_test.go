package blackbox_test

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"
)

// watched is an installation whose Redis is about to be damaged, with people
// whose answers are known.
type watched struct {
	*installation
	t      *testing.T
	first  *node
	admin  client
	people []watchedPerson
	starts int
}

type watchedPerson struct {
	name   string
	token  string
	key    string // of the entry in Redis
	expect map[string]int
}

// watch makes an administrator, a reader, a person without rights, one who has
// signed out and one who lost a role.
func watch(t *testing.T) *watched {
	t.Helper()
	i := install(t, production)
	w := &watched{installation: i, t: t, first: i.start()}
	root := w.first.connect().signIn(adminEmail, adminPassword)
	w.admin = w.first.connect().as(root.AccessToken)
	w.add("administrator", root, 200, 200, 200)
	w.admin.create("reader@example.com", "auditor")
	w.add("reader", w.admin.signIn("reader@example.com", personPass), 200, 200, 403)
	w.admin.create("plain@example.com")
	w.add("plain", w.admin.signIn("plain@example.com", personPass), 200, 403, 403)
	w.require("before", w.admin)
	return w
}

const rolesAsWriter = "/admin/users/00000000-0000-7000-8000-000000000000/sessions"

func (w *watched) add(name string, s signedIn, profile, people, sessions int) {
	w.people = append(w.people, watchedPerson{name, s.AccessToken, "session:" + s.SessionID, map[string]int{
		"/users/profile": profile, "/users?limit=1": people, rolesAsWriter: sessions,
	}})
}

// expect changes what everybody of that name is to get everywhere.
func (w *watched) expect(name string, status map[string]int) {
	for k := range w.people {
		if w.people[k].name == name {
			w.people[k].expect = status
		}
	}
}

// require compares every answer of the node that c speaks to.
func (w *watched) require(when string, c client) {
	w.t.Helper()
	for _, p := range w.people {
		for path, status := range p.expect {
			r := c.as(p.token).send("GET", path, nil)
			if r.status != status && !(path == rolesAsWriter && status == 200 && r.status == 404) {
				w.t.Errorf("%s: %s: %s: got %d, want %d\n%s", when, p.name, path, r.status, status, r.body)
			}
			if r.took > 3*time.Second {
				w.t.Errorf("%s: %s took %v", when, path, r.took)
			}
		}
	}
}

// requireEverywhere asks the node that knows everybody and one that was just
// started and has to ask Redis, if anyone.
func (w *watched) requireEverywhere(when string) {
	w.t.Helper()
	w.require(when+", a node with a memory", w.admin)
	w.starts++
	fresh := w.startNode(fmt.Sprintf("fresh%d", w.starts), nil)
	w.require(when+", a new node", w.admin.at(fresh))
	fresh.kill()
}

func (w *watched) entries() map[string]string {
	w.t.Helper()
	list := map[string]string{}
	for _, key := range redisDo(w.t, w.redis, "KEYS", "session:*") {
		if v := redisDo(w.t, w.redis, "GET", key); len(v) == 1 {
			list[key] = v[0]
		}
	}
	if len(list) == 0 {
		w.t.Fatal("Redis holds no session")
	}
	return list
}

func (w *watched) put(key, value string) { redisDo(w.t, w.redis, "SET", key, value) }

func TestRedis_EntriesOfSessionsExpireWithinADay(t *testing.T) {
	t.Parallel()
	w := watch(t)
	for key := range w.entries() {
		ttl := redisDo(t, w.redis, "TTL", key)[0]
		if ttl == "-1" || len(ttl) > 5 || ttl > "86400" && len(ttl) == 5 {
			t.Errorf("%s lives %s s", key, ttl)
		}
	}
}

func TestRedis_FlushedChangesNoAnswer(t *testing.T) {
	t.Parallel()
	w := watch(t)
	redisDo(t, w.redis, "FLUSHALL")
	w.requireEverywhere("flushed")
}

func TestRedis_FilledWithGarbageChangesNoAnswer(t *testing.T) {
	t.Parallel()
	w := watch(t)
	for _, size := range []int{0, 1, 33, 200, 5000} {
		for key := range w.entries() {
			garbage := make([]byte, size)
			_, _ = rand.Read(garbage)
			w.put(key, string(garbage))
		}
		w.requireEverywhere(fmt.Sprintf("%d bytes of garbage", size))
	}
	for key, value := range w.entries() {
		w.put(key, value[:len(value)-1]+"!") // all but the last byte is right
	}
	w.requireEverywhere("a wrong byte")
	for key := range w.entries() {
		redisDo(t, w.redis, "DEL", key)
		redisDo(t, w.redis, "LPUSH", key, "not", "a", "string")
	}
	w.requireEverywhere("lists")
}

func TestRedis_EntriesSwappedBetweenSessionsChangeNoAnswer(t *testing.T) {
	t.Parallel()
	w := watch(t)
	list := w.entries()
	for k, p := range w.people {
		other := w.people[(k+1)%len(w.people)]
		if list[other.key] == "" {
			t.Fatalf("%s has no entry", other.name)
		}
		w.put(p.key, list[other.key])
	}
	w.requireEverywhere("rotated")
	for _, p := range w.people {
		w.put(p.key, list[w.people[0].key])
	}
	w.requireEverywhere("the administrator's for everybody")
}

func TestRedis_OldEntriesReplayedAfterARevocationGrantNothing(t *testing.T) {
	t.Parallel()
	w := watch(t)
	old := w.entries()
	replay := func(when string) {
		for key, value := range old {
			w.put(key, value)
		}
		w.requireEverywhere(when)
	}
	var reader user
	w.admin.as(w.people[1].token).send("GET", "/users/profile", nil).want(200).into(&reader)
	w.admin.send("DELETE", "/admin/users/"+reader.ID+"/roles/"+w.admin.roleID("auditor"), nil).want(204)
	w.expect("reader", map[string]int{"/users/profile": 200, "/users?limit=1": 403})
	replay("a role was taken")
	w.admin.as(w.people[2].token).send("POST", "/auth/logout", nil).want(204)
	w.expect("plain", map[string]int{"/users/profile": 401, "/users?limit=1": 401})
	replay("a session ended")
	w.admin.send("PATCH", "/users/"+reader.ID, `{"account_status":"suspended"}`, mergePatch).want(200)
	w.expect("reader", map[string]int{"/users/profile": 401})
	replay("an account was suspended")
}

func TestRedis_StoppedChangesNoAnswerAndSignInsGoOn(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.redis.Kill()
	w.requireEverywhere("stopped")
	requireDegraded(t, w.admin)
	s := w.admin.signIn("plain@example.com", personPass)
	w.admin.send("POST", "/auth/refresh", map[string]string{"refresh_token": s.RefreshToken}).want(200)
	w.admin.create("new@example.com")
	if err := w.redis.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "ready again", func() bool { return readiness(t, w.admin).Status == "ready" })
	w.requireEverywhere("back, and empty")
}

func TestRedis_FrozenChangesNoAnswerAndSignInsGoOn(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.redis.Pause()
	t.Cleanup(w.redis.Resume)
	w.requireEverywhere("frozen")
	requireDegraded(t, w.admin)
	w.admin.signIn("plain@example.com", personPass)
	w.redis.Resume()
	eventually(t, 10*time.Second, "ready again", func() bool { return readiness(t, w.admin).Status == "ready" })
	w.requireEverywhere("back")
}

func TestRedis_StoppedLimitsStayInForce(t *testing.T) {
	t.Parallel()
	i := install(t, production)
	c := i.start().connect()
	i.redis.Kill()
	refused := 0
	for range 40 {
		if r := c.send("POST", "/auth/login", credentials("nobody@example.com", personPass)); r.status == 429 {
			refused++
			if r.header.Get("Retry-After") == "" {
				t.Errorf("no Retry-After: %v", r.header)
			}
		}
	}
	if refused < 20 {
		t.Errorf("of 40 sign-ins from one address %d were refused", refused)
	}
}

type health struct {
	Status string
	Checks map[string]string
}

func readiness(tb testing.TB, c client) health {
	tb.Helper()
	var h health
	c.send("GET", "/health/ready", nil).into(&h)
	return h
}

func requireDegraded(t *testing.T, c client) {
	t.Helper()
	eventually(t, 5*time.Second, "degraded", func() bool { return readiness(t, c).Status == "degraded" })
	c.send("GET", "/health/ready", nil).want(200)
}
