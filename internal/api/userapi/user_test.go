package userapi_test

import (
	"strings"
	"testing"

	"gatehouse/internal/app/apptest"
)

const noID = "00000000-0000-7000-8000-000000000000"

func TestCreate(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		root := p.Administrator(t)
		ada := apptest.Object{
			"email": "Ada@example.com", "password": apptest.PersonPassword, "username": "ada", "first_name": "Ada",
			"last_name": "Lovelace", "phone": "+441234567890", "email_verified": true, "roles": []string{"support"},
		}
		created := root.Post("/users", ada).Golden("user_created")
		if got := root.Get(created.Header.Get("Location")).Golden("user"); got.Text != created.Text {
			t.Errorf("created %s, found %s", created.Text, got.Text)
		}
		p.SignIn(t, "ada@example.com", apptest.PersonPassword).Get("/users").Want(200)
		root.Post("/users", apptest.Object{"email": "pending@example.com", "username": nil}).Golden("user_pending")

		root.Post("/users", apptest.Object{"email": "ADA@example.com"}).Golden("email_taken")
		root.Post("/users", apptest.Object{"email": "b@example.com", "username": "Ada"}).Refused(409, "username_taken")
		root.Post("/users", apptest.Object{"email": "b@example.com", "password": "password1234567"}).Golden("password_policy")
		root.Post("/users", apptest.Object{"email": "b@example.com", "password": ""}).Refused(422, "validation_failed")
		root.Post("/users", apptest.Object{"email": "b@example.com", "roles": []string{"none"}}).Golden("role_unknown")
		root.Post("/users", apptest.Object{"username": "b"}).Golden("email_missing")
		root.Post("/users", apptest.Object{"email": "b", "phone": "x", "id": noID}).Refused(422, "validation_failed")
		root.Post("/users", apptest.Object{"email": "b@example.com", "created_at": "2020-01-01T00:00:00Z"}).Refused(422, "validation_failed")
		if n := root.Get("/users").Want(200).Len("items"); n != 3 {
			t.Errorf("%d people, want 3", n)
		}
	})
}

func TestCreate_RepeatUnderOneKeyCreatesOnce(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		root := p.Administrator(t)
		body := apptest.Object{"email": "ada@example.com", "password": apptest.PersonPassword, "roles": []string{"support"}}
		first := root.Post("/users", body, "Idempotency-Key: k1").Want(201)
		again := root.Post("/users", body, "Idempotency-Key: k1").Want(201)
		if again.Text != first.Text || again.Header.Get("Location") != first.Header.Get("Location") ||
			again.Header.Get("ETag") != first.Header.Get("ETag") {
			t.Errorf("first %s, again %s", first.Text, again.Text)
		}
		body["password"] = "another long enough sentence"
		root.Post("/users", body, "Idempotency-Key: k1").Refused(422, "idempotency_key_reused")
		root.Post("/users", body, "Idempotency-Key: ").Refused(422, "validation_failed")
		root.Post("/users", body, "Idempotency-Key: k2").Refused(409, "email_taken")
	})
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		root := p.Administrator(t)
		ada := root.Person("ada")
		path := "/users/" + ada.UserID
		tag := root.Get(path).Want(200).Header.Get("ETag")
		root.Do("PUT", path, `{"first_name":"Ada","email":"lovelace@example.com"}`, "If-Match: "+tag).Golden("user_replaced")
		root.Do("PUT", path, `{}`, "If-Match: "+tag).Refused(412, "precondition_failed")
		root.Do("DELETE", path, nil, "If-Match: "+tag).Refused(412, "precondition_failed")
		root.Do("PATCH", path, `{"email_verified":true,"username":"ada"}`, mergePatch).Golden("user_patched")
		ada.Get("/users/profile").Refused(401, "session_revoked") // the new address was not proven
		ada = p.SignIn(t, "lovelace@example.com", apptest.PersonPassword)

		root.Do("PATCH", path, `{"account_status":"suspended"}`, mergePatch).Golden("user_suspended")
		ada.Get("/users/profile").Want(401)
		root.Do("PATCH", path, `{"account_status":"active"}`, mergePatch).Want(200)

		root.Do("PATCH", path, `{"account_status":"deleted"}`, mergePatch).Refused(422, "validation_failed")
		root.Do("PATCH", path, `{"account_status":"pending"}`, mergePatch).Refused(422, "validation_failed")
		root.Do("PATCH", path, `{"email":null}`, mergePatch).Refused(422, "validation_failed")
		root.Do("PATCH", path, `{"roles":["admin"]}`, mergePatch).Refused(422, "validation_failed")
		root.Do("PATCH", path, `{"email":"root@example.com"}`, mergePatch).Refused(409, "email_taken")
		root.Do("PUT", "/users/"+noID, `{}`).Golden("user_missing")
		root.Do("PUT", "/users/x", `{}`).Refused(404, "not_found")
		// The only administrator stays one.
		root.Do("PATCH", "/users/"+root.UserID, `{"account_status":"suspended"}`, mergePatch).Golden("last_admin")
		root.Do("DELETE", "/users/"+root.UserID, nil).Refused(409, "last_admin")
	})
}

func TestDeleteAndRestore(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		root := p.Administrator(t)
		ada := root.Person("ada", "support")
		path := "/users/" + ada.UserID
		root.Do("DELETE", path+"?erase=true", nil).Refused(422, "validation_failed")
		root.Do("DELETE", path, nil).Want(204)
		ada.Get("/users/profile").Want(401)
		root.Do("DELETE", path, nil).Refused(404, "not_found")
		root.Do("PUT", path, `{}`).Refused(404, "not_found")
		root.Get(path).Golden("user_deleted")
		if list := root.Get("/users?status=deleted").Want(200); list.Len("items") != 1 {
			t.Errorf("deleted: %s", list.Text)
		}
		root.Post(path+"/restore", nil).Golden("user_restored")
		root.Post(path+"/restore", nil).Want(200)
		p.SignIn(t, "ada@example.com", apptest.PersonPassword)

		root.Do("DELETE", path, nil).Want(204)
		root.Post("/users", apptest.Object{"email": "ada@example.com"}).Want(201)
		root.Post(path+"/restore", nil).Refused(409, "email_taken")
		root.Post("/users/"+noID+"/restore", nil).Refused(404, "not_found")
	})
}

// Support may write to people, but not to those who may do more (RBAC-4).
func TestUsers_NobodyChangesWhoStandsAbove(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		root := p.Administrator(t)
		support, auditor := root.Person("support1", "support"), root.Person("auditor1", "auditor")
		path := "/users/" + root.UserID
		support.Do("PATCH", path, `{"email":"mine@example.com"}`, mergePatch).Refused(403, "forbidden")
		support.Do("PUT", path, `{}`).Refused(403, "forbidden")
		support.Do("DELETE", path, nil).Refused(403, "forbidden")
		support.Post(path+"/restore", nil).Refused(403, "forbidden")
		support.Post("/users", apptest.Object{"email": "b@example.com", "roles": []string{"support"}}).Refused(403, "forbidden")
		support.Post("/users", apptest.Object{"email": "b@example.com"}).Want(201)

		// Who may only read sees masked numbers (IN-10).
		root.Do("PATCH", path, `{"phone":"+441234567890"}`, mergePatch).Want(200)
		if got := auditor.Get(path).Want(200).At("phone"); got != "+**********90" {
			t.Errorf("an auditor sees %s", got)
		}
		if got := support.Get(path).Want(200).At("phone"); got != "+441234567890" {
			t.Errorf("support sees %s", got)
		}
		auditor.Do("PUT", path, `{`).Golden("forbidden")
	})
}

func TestList(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		root := p.Administrator(t)
		for _, name := range []string{"ada", "bob", "cyd", "dan", "eve"} {
			root.Post("/users", apptest.Object{
				"email": name + "@example.com", "first_name": strings.ToUpper(name), "email_verified": name < "c",
			}).Want(201)
		}
		root.Get("/users?q=ADA").Golden("users")
		root.Get("/users?sort=email&limit=2&include_total=true&q=example.com").Golden("users_page")
		for query, want := range map[string]string{
			"sort=email":                         "ada bob cyd dan eve root",
			"sort=-email&limit=1":                "root eve dan cyd bob ada",
			"sort=created_at&limit=2":            "root ada bob cyd dan eve",
			"limit=4":                            "eve dan cyd bob ada root",
			"sort=-last_login_at&limit=5":        "root *",
			"status=pending&sort=email":          "ada bob cyd dan eve",
			"status=suspended":                   "",
			"role=admin":                         "root",
			"role=none":                          "",
			"role=USER&sort=email&limit=200":     "ada bob cyd dan eve root",
			"email_verified=true&sort=email":     "ada bob root",
			"email_verified=false&sort=-email":   "eve dan cyd",
			"created_after=2999-01-01T00:00:00Z": "",
			"created_before=2999-01-01T00:00:00%2B02:00&sort=email": "ada bob cyd dan eve root",
			"q=%25": "", "q=_": "",
		} {
			got := walk(t, root, "/users?"+query)
			if head, rest, ok := strings.Cut(want, " *"); ok && rest == "" {
				got, want = got[:min(len(got), len(head))], head
			}
			if got != want {
				t.Errorf("%s: %q, want %q", query, got, want)
			}
		}
		for _, query := range []string{
			"limit=0", "limit=201", "limit=x", "sort=name", "sort=", "status=none", "q=", "q=" + strings.Repeat("x", 101), "q=%00",
			"q=%ff", "q=a&q=b", "cursor=x", "unknown=1", "email_verified=yes", "created_after=yesterday", "include_total=1",
		} {
			root.Get("/users?"+query).Refused(422, "validation_failed")
		}
		next := root.Get("/users?limit=2").Want(200).At("next_cursor")
		root.Get("/users?limit=2&sort=email&cursor="+next).Refused(422, "validation_failed")
		root.Get("/users?limit=3&cursor=" + next).Want(200)
	})
}

// walk goes through every page of a list and returns whom it saw.
func walk(t *testing.T, c *apptest.Caller, path string) string {
	t.Helper()
	var names []string
	for cursor := ""; ; {
		page := c.Get(path + cursor).Want(200)
		var body struct {
			Items []struct {
				Email string `json:"email"`
			} `json:"items"`
			Next *string `json:"next_cursor"`
		}
		page.Into(&body)
		for _, u := range body.Items {
			names = append(names, strings.TrimSuffix(u.Email, "@example.com"))
		}
		if body.Next == nil {
			return strings.Join(names, " ")
		}
		if link := page.Header.Get("Link"); !strings.Contains(link, "cursor=") || !strings.HasSuffix(link, `>; rel="next"`) {
			t.Errorf("Link: %q", link)
		}
		cursor = "&cursor=" + *body.Next
		if len(names) > 20 {
			t.Fatalf("%s never ends: %v", path, names)
		}
	}
}
