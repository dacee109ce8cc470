package adminapi_test

import (
	"bufio"
	"encoding/csv"
	"strings"
	"testing"

	"gatehouse/internal/app/apptest"
)

func TestAuditLogs(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		root := p.Administrator(t)
		ada := root.Person("ada")
		ada.Do("PATCH", "/users/profile", `{"first_name":"=Ada","phone":"+441234567890"}`, "Content-Type: application/merge-patch+json").Want(200)
		p.Stranger(t).Post("/auth/login", apptest.Object{"email": "ada@example.com", "password": "wrong horse"}).Want(401)
		p.Stranger(t).Post("/auth/login", apptest.Object{"email": "eve@example.com", "password": "wrong horse"}).Want(401)
		ada.Get("/users").Refused(403, "forbidden")

		about := "/admin/audit-logs?target=" + ada.UserID
		root.Get(about + "&action=user.updated").Golden("entry")
		for query, want := range map[string]int{
			"&action=user.created": 1, "&action=login.failed": 1, "&action=login.succeeded": 1, "&action=access.denied": 1,
			"&outcome=denied": 1, "&outcome=failure": 1, "&actor=" + ada.UserID + "&action=user.updated": 1,
			"&actor=" + root.UserID: 1, "&from=2999-01-01T00:00:00Z": 0, "&to=2001-01-01T00:00:00Z": 0, "&ip=192.0.2.1": 0,
			"&request_id=" + noID: 0, "&action=no.such": 0, "": 5,
		} {
			if got := root.Get(about + query).Want(200).Len("items"); got != want {
				t.Errorf("%s: %d entries, want %d", query, got, want)
			}
		}
		entry := root.Get(about + "&action=login.succeeded").Want(200)
		if n := root.Get("/admin/audit-logs?action=login.succeeded&ip=" + entry.At("items.0.ip")).Want(200).Len("items"); n != 1 {
			t.Errorf("%d entries from the address", n)
		}
		if n := root.Get("/admin/audit-logs?request_id=" + entry.At("items.0.request_id")).Want(200).Len("items"); n != 1 {
			t.Errorf("%d entries of the request", n)
		}
		page := root.Get(about + "&limit=3&include_total=true").Want(200)
		rest := root.Get(about + "&limit=3&cursor=" + page.At("next_cursor")).Want(200)
		if page.Value("total") != 5.0 || rest.Len("items") != 2 || rest.Value("next_cursor") != nil {
			t.Errorf("pages: %s, %s", page.Text, rest.Text)
		}
		for _, query := range []string{
			"actor=x", "actor=00000000-0000-0000-0000-000000000000", "target=x", "target=00000000-0000-0000-0000-000000000000",
			"outcome=good", "ip=x", "ip=", "from=x", "action=", "action=Robert%27", "limit=0", "cursor=x", "x=1", "q=a",
		} {
			root.Get("/admin/audit-logs?"+query).Refused(422, "validation_failed")
		}
	})
}

func TestAuditLogs_Streams(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		root := p.Administrator(t)
		ada := root.Person("ada")
		ada.Do("PATCH", "/users/profile", `{"first_name":"=Ada"}`, "Content-Type: application/merge-patch+json", "User-Agent: =cmd").Want(200)
		whole := root.Get("/admin/audit-logs?limit=200").Want(200)

		table := root.Get("/admin/audit-logs?limit=1", "Accept: text/csv").Want(200)
		if got := table.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/csv") {
			t.Errorf("Content-Type: %s", got)
		}
		records, err := csv.NewReader(strings.NewReader(table.Text)).ReadAll()
		if err != nil || len(records) != whole.Len("items")+1 {
			t.Errorf("%d records of %d entries, %v", len(records), whole.Len("items"), err)
		}
		if agent := records[1][10]; agent != "'=cmd" {
			t.Errorf("an agent that is a formula: %q", agent)
		}
		if records[1][0] != whole.At("items.0.id") || records[0][0] != "id" {
			t.Errorf("first record %v", records[:2])
		}

		lines := root.Get("/admin/audit-logs?action=user.updated", "Accept: application/x-ndjson, */*;q=0.1").Want(200)
		n := 0
		for s := bufio.NewScanner(strings.NewReader(lines.Text)); s.Scan(); n++ {
			if !strings.HasPrefix(s.Text(), `{"id":"`) {
				t.Errorf("line %q", s.Text())
			}
		}
		if n != 1 || lines.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("%d lines of %s", n, lines.Header.Get("Content-Type"))
		}
		ada.Get("/admin/audit-logs", "Accept: text/csv").Refused(403, "forbidden")
		root.Get("/admin/audit-logs?x=1", "Accept: text/csv").Refused(422, "validation_failed")
	})
}

func TestAuditLogs_Verify(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		root := p.Administrator(t)
		for { // until the sealer has been here
			if err := p.App.Audit.Sign(t.Context(), true); err != nil {
				t.Fatal(err)
			}
			v, err := p.App.Audit.Verify(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if v.Unsealed == 0 && v.Last == v.Head.Position {
				break
			}
		}
		proof := root.Get("/admin/audit-logs/verify").Golden("proof")
		if proof.Value("ok") != true || proof.Value("broken") != nil {
			t.Errorf("proof %s", proof.Text)
		}
		root.Get("/admin/audit-logs/verify?x=1").Refused(422, "validation_failed")
	})
}
