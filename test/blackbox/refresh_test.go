package blackbox_test

import (
	"encoding/json"
	"sync"
	"testing"
	"time"
)

const repeatWindow = 10 * time.Second

func renew(token string) map[string]string { return map[string]string{"refresh_token": token} }

func TestRefresh_ParallelUsesOverTwoNodesGiveOneSuccessor(t *testing.T) {
	t.Parallel()
	const rounds, uses = 5, 32
	a, b := install(t, production, "GATEHOUSE_RATE_LIMITS=off").pair()
	c := a.connect()
	token := c.signIn(adminEmail, adminPassword).RefreshToken
	for range rounds {
		var mu sync.Mutex
		successors := map[string]int{}
		var wg sync.WaitGroup
		for k := range uses {
			to := c.at([]*node{a, b}[k%2])
			wg.Go(func() {
				r, err := to.try("POST", "/auth/refresh", renew(token))
				if err != nil {
					t.Error(err)
					return
				}
				var s signedIn
				switch {
				case r.status == 200 && json.Unmarshal(r.body, &s) == nil:
					mu.Lock()
					successors[s.RefreshToken]++
					mu.Unlock()
				case r.status != 401:
					t.Errorf("%d %s", r.status, r.body)
				}
			})
		}
		wg.Wait()
		if len(successors) != 1 {
			t.Fatalf("%d successors", len(successors))
		}
		for next, n := range successors {
			t.Logf("one successor, told %d times", n)
			token = next
		}
	}
}

func TestRefresh_ARepeatWithinTenSecondsGetsTheSameSuccessorUntilThatIsUsed(t *testing.T) {
	t.Parallel()
	bothStacks(t, func(t *testing.T, stack string) {
		c := install(t, stack).start().connect()
		first := c.signIn(adminEmail, adminPassword)
		var next, repeated, third signedIn
		c.send("POST", "/auth/refresh", renew(first.RefreshToken)).want(200).into(&next)
		c.send("POST", "/auth/refresh", renew(first.RefreshToken)).want(200).into(&repeated)
		if next.RefreshToken != repeated.RefreshToken {
			t.Error("the repeat got another successor")
		}
		c.send("POST", "/auth/refresh", renew(next.RefreshToken)).want(200).into(&third)
		c.send("POST", "/auth/refresh", renew(first.RefreshToken)).refused(401, "token_invalid")
		c.as(third.AccessToken).send("GET", "/users/profile", nil).want(200)
		c.send("POST", "/auth/refresh", renew(third.RefreshToken)).want(200)
	})
}

func TestRefresh_AReuseAfterTenSecondsEndsTheSessionAndTellsThePerson(t *testing.T) {
	t.Parallel()
	i := install(t, production)
	a, b := i.pair()
	admin := a.connect().admin()
	u := admin.create("ada@example.com")
	s := admin.signIn("ada@example.com", personPass)
	other := admin.signIn("ada@example.com", personPass)
	var next signedIn
	admin.send("POST", "/auth/refresh", renew(s.RefreshToken)).want(200).into(&next)
	spent := time.Now()
	ada := admin.as(next.AccessToken)
	ada.at(b).send("GET", "/users/profile", nil).want(200)

	<-time.After(time.Until(spent.Add(repeatWindow + time.Second))) // the one wait that no clock spares
	ada.at(b).send("GET", "/users/profile", nil).want(200)
	admin.at(b).send("POST", "/auth/refresh", renew(s.RefreshToken)).refused(401, "token_invalid")

	for _, n := range []*node{b, a} {
		took := eventually(t, revocationWorst, "the access tokens end", func() bool {
			return ada.at(n).send("GET", "/users/profile", nil).code() == "session_revoked"
		})
		t.Logf("access tokens end after %v", took)
		admin.at(n).send("POST", "/auth/refresh", renew(next.RefreshToken)).refused(401, "session_revoked")
	}
	admin.as(other.AccessToken).send("GET", "/users/profile", nil).want(200)
	i.mail(10*time.Second, "ada@example.com", "")
	if got := admin.logged("token.reused"); len(got) != 1 || got[0].Target.ID != u.ID {
		t.Errorf("in the log: %+v", got)
	}
}

func TestRefresh_AnUnknownTokenRevokesNothing(t *testing.T) {
	t.Parallel()
	c := install(t, embedded).start().connect()
	s := c.signIn(adminEmail, adminPassword)
	wrong := []byte(s.RefreshToken)
	wrong[len(wrong)-3] ^= 1
	for _, token := range []string{string(wrong), s.AccessToken, s.RefreshToken + "A", s.RefreshToken[:20], "x", ""} {
		if r := c.send("POST", "/auth/refresh", renew(token)); r.status != 401 && r.status != 422 {
			t.Errorf("got %d %s", r.status, r.body)
		}
	}
	c.as(s.RefreshToken).send("GET", "/users/profile", nil).want(401)
	c.send("POST", "/auth/refresh", renew(s.RefreshToken)).want(200)
	c.as(s.AccessToken).send("GET", "/users/profile", nil).want(200)
}
