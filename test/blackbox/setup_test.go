package blackbox_test

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
)

var setupLink = regexp.MustCompile(`(http://\S+/setup)#token=(\S+)`)

func TestSetup_OfManyUsesOfTheLinkOneMakesTheAdministrator(t *testing.T) {
	t.Parallel()
	i := install(t, embedded, "GATEHOUSE_ADMIN_EMAIL=", "GATEHOUSE_ADMIN_PASSWORD=")
	n := i.start()
	link := setupLink.FindStringSubmatch(n.stdout.String())
	if link == nil {
		t.Fatal("no link was printed")
	}
	if strings.Contains(n.stderr.String(), link[2]) {
		t.Error("the secret of the link is in the log")
	}
	c := n.connect()
	c.send("POST", "/auth/setup", map[string]string{"token": link[2], "email": "first@example.com", "password": "short"}).want(422)

	const many = 32
	replies := make([]reply, many)
	var wg sync.WaitGroup
	for k := range many {
		wg.Go(func() {
			r, err := c.elsewhere().try("POST", "/auth/setup", map[string]string{
				"token": link[2], "email": fmt.Sprintf("first%d@example.com", k), "password": adminPassword,
			})
			if err != nil {
				t.Error(err)
			}
			replies[k] = r
		})
	}
	wg.Wait()
	winner := -1
	for k, r := range replies {
		switch {
		case r.status == 204 && winner >= 0:
			t.Errorf("uses %d and %d both made an administrator", winner, k)
		case r.status == 204:
			winner = k
		default:
			r.refused(400, "invalid_link")
		}
	}
	if winner < 0 {
		t.Fatal("no use of the link made an administrator")
	}
	admin := c.as(c.signIn(fmt.Sprintf("first%d@example.com", winner), adminPassword).AccessToken)
	if people := all[user](admin, "/users", nil); len(people) != 1 {
		t.Errorf("there are %d people", len(people))
	}
	n.kill()
	if next := i.start(); setupLink.MatchString(next.stdout.String()) {
		t.Error("a link is printed although there is an administrator")
	}
}

func TestSetup_ANewLinkVoidsTheOneBefore(t *testing.T) {
	t.Parallel()
	i := install(t, embedded, "GATEHOUSE_ADMIN_EMAIL=", "GATEHOUSE_ADMIN_PASSWORD=")
	n := i.start()
	old := setupLink.FindStringSubmatch(n.stdout.String())
	n.kill()
	n = i.start()
	link := setupLink.FindStringSubmatch(n.stdout.String())
	if old == nil || link == nil || old[2] == link[2] {
		t.Fatalf("links %v and %v", old, link)
	}
	c := n.connect()
	form := map[string]string{"token": old[2], "email": "first@example.com", "password": adminPassword}
	c.send("POST", "/auth/setup", form).refused(400, "invalid_link")
	form["token"] = link[2]
	c.send("POST", "/auth/setup", form).want(204)
	c.signIn("first@example.com", adminPassword)
}
