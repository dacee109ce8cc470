package blackbox_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"gatehouse/test/servers/local"
)

// outage is a node whose own PostgreSQL goes away under load.
type outage struct {
	t       *testing.T
	pg      *local.Postgres
	node    *node
	admin   client
	readers []client
	login   map[string]string

	mu             sync.Mutex
	faults         []string
	slowestRefusal time.Duration
}

// refusalHard bounds the refusal of what needs the database. The promise is
// 2 s, and 3 s where packets just vanish; the rest is for busy machines.
const refusalHard = 3500 * time.Millisecond

func newOutage(t *testing.T) *outage {
	t.Helper()
	pg, err := local.StartPostgres(t.TempDir(), local.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pg.Kill)
	redis, err := local.StartRedis(t.TempDir(), local.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Kill)
	n := installOn(t, pg.URL("postgres"), redis, "GATEHOUSE_RATE_LIMITS=off").start()
	o := &outage{t: t, pg: pg, node: n, admin: n.connect().admin(), login: credentials(adminEmail, adminPassword)}
	for k := range 2 {
		reader := o.admin.as(o.admin.signInNew(o.admin, fmt.Sprintf("reader%d@example.com", k)))
		reader.send("GET", "/users/profile", nil).want(200)
		o.readers = append(o.readers, reader)
	}
	return o
}

func (o *outage) fault(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.faults) < 10 {
		o.faults = append(o.faults, fmt.Sprintf(format, args...))
	}
}

// run takes the database away for a while and watches every kind of request.
func (o *outage) run(away, back func(), length time.Duration) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	began := time.Now()
	var slowest time.Duration
	for k, reader := range o.readers {
		wg.Go(func() {
			for !closed(stop) {
				r, err := reader.try("GET", "/users/profile", nil)
				if err != nil || r.status != 200 {
					o.fault("after %v a read with a verified token got %d: %v %s", time.Since(began), r.status, err, r.body)
				}
				if r.took > refusalHard {
					o.fault("a read took %v", r.took)
				}
				if k == 0 {
					slowest = max(slowest, r.took)
				}
			}
		})
	}
	wg.Go(func() { o.live(stop) })
	warm := time.Now()
	eventually(o.t, 10*time.Second, "the load is under way", func() bool { return time.Since(warm) > 2*time.Second })
	away()
	gone := time.Now()
	wg.Go(func() { o.refusals(stop, gone) })
	took := eventually(o.t, 5*time.Second, "not ready", func() bool {
		return o.admin.send("GET", "/health/ready", nil).status == 503
	})
	o.t.Logf("not ready after %v", took)
	for time.Since(gone) < length {
		if r := o.admin.send("GET", "/health/ready", nil); r.status != 503 {
			o.t.Errorf("ready while the database is away: %s", r.body)
		}
		time.Sleep(50 * time.Millisecond)
	}
	close(stop)
	wg.Wait()
	back()
	o.resumes(time.Now())
	o.t.Logf("the slowest read of the outage took %v, the slowest refusal %v", slowest, o.slowestRefusal)
	for _, f := range o.faults {
		o.t.Error(f)
	}
}

// live asks for liveness all the time.
func (o *outage) live(stop <-chan struct{}) {
	for !closed(stop) {
		r, err := o.admin.try("GET", "/health/live", nil)
		if err != nil || r.status != 200 || r.took > time.Second {
			o.fault("liveness: %d after %v: %v", r.status, r.took, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// refusals writes and signs in, which must be refused soon and politely.
func (o *outage) refusals(stop <-chan struct{}, gone time.Time) {
	for k := 0; !closed(stop); k++ {
		for _, try := range []func() (reply, error){
			func() (reply, error) { return o.admin.elsewhere().try("POST", "/auth/login", o.login) },
			func() (reply, error) {
				return o.readers[0].try("PUT", "/users/profile", map[string]string{"first_name": "N" + strconv.Itoa(k)})
			},
			func() (reply, error) {
				return o.admin.try("POST", "/users", map[string]string{"email": fmt.Sprintf("no%d@example.com", k)})
			},
		} {
			r, err := try()
			switch {
			case err != nil:
				o.fault("%v", err)
			case r.status != 503 || r.code() != "unavailable":
				o.fault("%v into the outage %s got %d %s", r.began.Sub(gone), r.what, r.status, r.body)
			case r.took > refusalHard:
				o.fault("%s was refused only after %v", r.what, r.took)
			}
			o.mu.Lock()
			o.slowestRefusal = max(o.slowestRefusal, r.took)
			o.mu.Unlock()
			if after, err := strconv.Atoi(r.header.Get("Retry-After")); err != nil || after < 1 {
				o.fault("%s: Retry-After %q", r.what, r.header.Get("Retry-After"))
			}
		}
	}
}

// resumes waits until everything works again.
func (o *outage) resumes(back time.Time) {
	o.t.Helper()
	for name, ok := range map[string]func() bool{
		"readiness": func() bool { return o.admin.send("GET", "/health/ready", nil).status == 200 },
		"a write": func() bool {
			return o.admin.send("POST", "/users", map[string]string{"email": "back@example.com"}).status == 201
		},
		"a sign-in": func() bool { return o.admin.elsewhere().send("POST", "/auth/login", o.login).status == 200 },
	} {
		eventually(o.t, 10*time.Second-time.Since(back), name, ok)
	}
	o.t.Logf("all works %v after the database came back", time.Since(back))
}

func TestPostgres_StoppedReadsGoOnAndAllElseIsRefusedUntilItIsBack(t *testing.T) {
	t.Parallel()
	o := newOutage(t)
	o.run(func() {
		if err := o.pg.Stop(); err != nil {
			t.Fatal(err)
		}
	}, func() {
		if err := o.pg.Start(); err != nil {
			t.Fatal(err)
		}
	}, 10*time.Second)
}

func TestPostgres_KilledReadsGoOnAndAllElseIsRefusedUntilItIsBack(t *testing.T) {
	t.Parallel()
	o := newOutage(t)
	o.run(o.pg.Kill, func() {
		if err := o.pg.Start(); err != nil {
			t.Fatal(err)
		}
	}, 5*time.Second)
}

func TestPostgres_FrozenReadsGoOnAndAllElseIsRefusedUntilItIsBack(t *testing.T) {
	t.Parallel()
	o := newOutage(t)
	o.run(o.pg.Pause, o.pg.Resume, 12*time.Second)
}

func TestPostgres_AwayForAMinuteNoTokenIsAcceptedAnyMore(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a minute")
	}
	o := newOutage(t)
	warm := time.Now()
	eventually(t, 10*time.Second, "the reader is known", func() bool {
		o.readers[0].send("GET", "/users/profile", nil).want(200)
		return time.Since(warm) > 2*time.Second
	})
	gone := time.Now()
	if err := o.pg.Stop(); err != nil {
		t.Fatal(err)
	}
	var r reply
	eventually(t, 75*time.Second, "a verified token is refused", func() bool {
		time.Sleep(100 * time.Millisecond)
		r = o.readers[0].send("GET", "/users/profile", nil)
		return r.status != 200
	})
	t.Logf("reads went on for %v", time.Since(gone))
	if r.refused(503, "unavailable"); time.Since(gone) < 30*time.Second || time.Since(gone) > time.Minute+3*time.Second {
		t.Errorf("reads went on for %v, not for about a minute", time.Since(gone))
	}
	if err := o.pg.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "the token is accepted again", func() bool {
		return o.readers[0].send("GET", "/users/profile", nil).status == 200
	})
}
