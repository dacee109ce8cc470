package blackbox_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// keysLookedFor is how often a node may look for a key that it does not know.
const keysLookedFor = time.Second

// TestKeys_ARotationBesideRunningNodesFailsNoRequest renews tokens on one node
// and uses them on the other at once, while keys are rotated on the command
// line.
func TestKeys_ARotationBesideRunningNodesFailsNoRequest(t *testing.T) {
	t.Parallel()
	const rotations = 3
	i := install(t, production, "GATEHOUSE_RATE_LIMITS=off")
	a, b := i.pair()
	admin := a.connect().admin()
	old := admin.signInNew(admin, "old@example.com")
	firstKey := keyID(t, old)

	stop := make(chan struct{})
	var wg sync.WaitGroup
	var requests atomic.Int64
	for k := range 2 {
		email := fmt.Sprintf("person%d@example.com", k)
		admin.create(email)
		s := admin.signIn(email, personPass)
		nodes := []*node{a, b}
		wg.Go(func() {
			for m := k; !closed(stop); m++ {
				if err := renewHereUseThere(admin.at(nodes[m%2]), nodes[(m+1)%2], &s); err != nil {
					t.Error(err)
					return
				}
				requests.Add(2)
			}
		})
	}
	for range rotations {
		i.rotate("--force")
		done, at := requests.Load(), time.Now()
		eventually(t, 10*time.Second, "the load goes on", func() bool {
			return t.Failed() || requests.Load() > done+20 && time.Since(at) > keysLookedFor
		})
	}
	eventually(t, 10*time.Second, "new tokens have a new key", func() bool {
		return keyID(t, admin.signIn(adminEmail, adminPassword).AccessToken) != firstKey
	})
	close(stop)
	wg.Wait()
	t.Logf("%d requests during %d rotations", requests.Load(), rotations)
	for _, n := range []*node{a, b} {
		admin.as(old).at(n).send("GET", "/users/profile", nil).want(200)
		if keys := published(t, admin.at(n)); !keys[firstKey] || len(keys) < 2 {
			t.Errorf("published are %v, without the key of tokens that are still valid", keys)
		}
	}
	if got := admin.logged("key.rotated"); len(got) < rotations {
		t.Errorf("%d rotations are in the log", len(got))
	}
}

// rotate rotates the key that signs access tokens. A node that makes the next
// key in the same moment may be quicker; then it is to be repeated.
func (i *installation) rotate(flags ...string) {
	i.tb.Helper()
	eventually(i.tb, 20*time.Second, "key rotate", func() bool {
		r := i.command(append([]string{"key", "rotate"}, flags...)...)
		if r.code != 0 && !strings.Contains(r.stderr, "keys_changed") {
			i.tb.Fatalf("key rotate: exit code %d\n%s%s", r.code, r.stdout, r.stderr)
		}
		return r.code == 0
	})
}

func renewHereUseThere(here client, there *node, s *signedIn) error {
	r, err := here.try("POST", "/auth/refresh", renew(s.RefreshToken))
	if err != nil || r.status != 200 {
		return fmt.Errorf("refresh: %d %s: %w", r.status, r.body, err)
	}
	if err := json.Unmarshal(r.body, s); err != nil {
		return err
	}
	r, err = here.as(s.AccessToken).at(there).try("GET", "/users/profile", nil)
	if err != nil || r.status != 200 {
		return fmt.Errorf("use: %d %s: %w", r.status, r.body, err)
	}
	return nil
}

func TestKeys_TheNextKeyIsPublishedBeforeItSigns(t *testing.T) {
	t.Parallel()
	i := install(t, embedded)
	c := i.start().connect()
	signing := keyID(t, c.signIn(adminEmail, adminPassword).AccessToken)
	i.rotate()
	eventually(t, 10*time.Second, "two keys are published", func() bool { return len(published(t, c)) >= 2 })
	now := keyID(t, c.signIn(adminEmail, adminPassword).AccessToken)
	if now != signing {
		t.Error("a key signs that verifiers can't know yet")
	}
	if !published(t, c)[now] {
		t.Error("the key that signs is not published")
	}
}

func TestKeys_TokensOfAWithdrawnKeyAreRefused(t *testing.T) {
	t.Parallel()
	i := install(t, embedded, "GATEHOUSE_RATE_LIMITS=off")
	c := i.start().connect()
	s := c.signIn(adminEmail, adminPassword)
	c.as(s.AccessToken).send("GET", "/users/profile", nil).want(200)
	if r := i.command("key", "withdraw", keyID(t, s.AccessToken)); r.code != 0 {
		t.Fatalf("key withdraw: %s%s", r.stdout, r.stderr)
	}
	took := eventually(t, time.Minute, "the token is refused", func() bool {
		return c.as(s.AccessToken).send("GET", "/users/profile", nil).code() == "token_invalid"
	})
	t.Logf("refused after %v", took)
	var next signedIn
	c.send("POST", "/auth/refresh", renew(s.RefreshToken)).want(200).into(&next)
	c.as(next.AccessToken).send("GET", "/users/profile", nil).want(200)
}

// keyID reads the kid of a JWT.
func keyID(tb testing.TB, token string) string {
	tb.Helper()
	var header struct{ Kid, Alg, Typ string }
	first, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil || json.Unmarshal(raw, &header) != nil || header.Typ != "at+jwt" || header.Alg != "RS256" {
		tb.Fatalf("the header of a token is %s", raw)
	}
	return header.Kid
}

func published(tb testing.TB, c client) map[string]bool {
	tb.Helper()
	var set struct{ Keys []map[string]any }
	c.send("GET", "/.well-known/jwks.json", nil).want(200).into(&set)
	ids := map[string]bool{}
	for _, k := range set.Keys {
		if k["d"] != nil || k["p"] != nil {
			tb.Fatal("a private key is published")
		}
		ids[k["kid"].(string)] = true
	}
	return ids
}
