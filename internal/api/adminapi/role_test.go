package adminapi_test

import (
	"testing"

	"gatehouse/internal/app/apptest"
)

const noID = "00000000-0000-7000-8000-000000000000"

func TestRoles(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		root := p.Administrator(t)
		root.Get("/admin/roles").Golden("roles")
		root.Get("/admin/permissions").Golden("permissions")
		first := root.Get("/admin/permissions?limit=2&include_total=true").Want(200)
		second := root.Get("/admin/permissions?limit=200&cursor=" + first.At("next_cursor")).Want(200)
		if n := second.Len("items"); first.Value("total") != float64(2+n) {
			t.Errorf("2 and %d of %v permissions", n, first.Value("total"))
		}

		draft := apptest.Object{"name": "Desk", "description": "Front desk", "permissions": []string{"users:read", "sessions:read"}}
		created := root.Post("/admin/roles", draft, "Idempotency-Key: k").Golden("role_created")
		if again := root.Post("/admin/roles", draft, "Idempotency-Key: k").Want(201); again.Text != created.Text {
			t.Errorf("a repeat created %s", again.Text)
		}
		path, tag := created.Header.Get("Location"), created.Header.Get("ETag")
		if got := root.Get(path).Want(200); got.Text != created.Text || got.Header.Get("ETag") != tag {
			t.Errorf("created %s, found %s", created.Text, got.Text)
		}
		page := root.Get("/admin/roles?limit=3&include_total=true").Golden("roles_page")
		if rest := root.Get("/admin/roles?limit=3&cursor=" + page.At("next_cursor")).Want(200); rest.Len("items") != 2 {
			t.Errorf("second page: %s", rest.Text)
		}
		root.Person("ada", "desk")
		root.Do("PUT", path, `{"name":"Desk","permissions":["users:read"]}`, "If-Match: "+tag).Golden("role_replaced")
		root.Do("PUT", path, `{"name":"Desk","permissions":[]}`, "If-Match: "+tag).Refused(412, "precondition_failed")
		root.Do("DELETE", path, nil, "If-Match: "+tag).Refused(412, "precondition_failed")
		root.Do("DELETE", path, nil).Golden("role_in_use")
		root.Do("DELETE", path+"?force=yes", nil).Refused(422, "validation_failed")
		root.Do("DELETE", path+"?force=true", nil).Want(204)
		root.Get(path).Golden("role_missing")
		root.Do("DELETE", path, nil).Refused(404, "not_found")
	})
}

func TestRoles_Refused(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		root := p.Administrator(t)
		admin, user := roleID(root, "admin"), roleID(root, "user")
		root.Post("/admin/roles", `{"name":"ADMIN","permissions":[]}`).Golden("role_name_taken")
		root.Post("/admin/roles", `{"name":"x","permissions":["users:*"]}`).Golden("permission_unknown")
		root.Post("/admin/roles", `{"name":"","permissions":[]}`).Refused(422, "validation_failed")
		root.Post("/admin/roles", `{"name":"x"}`).Refused(422, "validation_failed")
		root.Post("/admin/roles", `{"name":"x","permissions":[],"system":true}`).Refused(422, "validation_failed")
		root.Do("PUT", "/admin/roles/"+admin, `{"name":"admin","permissions":["users:read"]}`).Golden("system_role")
		root.Do("PUT", "/admin/roles/"+user, `{"name":"person","permissions":[]}`).Refused(409, "system_role")
		root.Do("DELETE", "/admin/roles/"+admin+"?force=true", nil).Refused(409, "system_role")
		root.Do("PUT", "/admin/roles/"+noID, `{"name":"x","permissions":[]}`).Refused(404, "not_found")
		root.Get("/admin/roles/x").Refused(404, "not_found")

		// Who edits roles can grant only what they hold (RBAC-4).
		root.Post("/admin/roles", `{"name":"editor","permissions":["roles:read","roles:write","roles:assign"]}`).Want(201)
		editor := root.Person("editor", "editor")
		own := roleID(root, "editor")
		editor.Post("/admin/roles", `{"name":"x","permissions":["users:read"]}`).Refused(403, "forbidden")
		editor.Do("PUT", "/admin/roles/"+own, `{"name":"editor","permissions":["roles:read","users:write"]}`).Refused(403, "forbidden")
		editor.Post("/admin/roles", `{"name":"x","permissions":["roles:read"]}`).Want(201)
	})
}

func TestAssign(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		root := p.Administrator(t)
		ada := root.Person("ada")
		path := "/admin/users/" + ada.UserID + "/roles"
		ada.Get("/users").Refused(403, "forbidden")
		root.Post(path, `{"role":"Auditor"}`).Golden("role_assigned")
		ada.Get("/users").Want(200) // in the same session, at once
		root.Post(path, apptest.Object{"role": roleID(root, "support"), "expires_at": "2999-01-01T00:00:00Z"}).Want(200)
		ada.Do("DELETE", "/admin/users/"+ada.UserID+"/sessions", nil).Want(204)
		ada.Get("/users").Refused(401, "session_revoked")

		root.Post(path, `{"role":"none"}`).Golden("assign_unknown")
		root.Post(path, `{"role":"auditor","expires_at":"2001-01-01T00:00:00Z"}`).Refused(422, "validation_failed")
		root.Post(path, `{}`).Refused(422, "validation_failed")
		root.Post("/admin/users/"+noID+"/roles", `{"role":"auditor"}`).Refused(404, "not_found")
		root.Post("/admin/users/"+root.UserID+"/roles", `{"role":"auditor"}`).Refused(403, "forbidden")

		root.Do("DELETE", path+"/"+roleID(root, "auditor"), nil).Want(204)
		root.Do("DELETE", path+"/"+roleID(root, "auditor"), nil).Refused(404, "not_found")
		root.Do("DELETE", path+"/"+roleID(root, "user"), nil).Refused(409, "system_role")
		root.Do("DELETE", path+"/x", nil).Refused(404, "not_found")
		root.Do("DELETE", "/admin/users/"+root.UserID+"/roles/"+roleID(root, "admin"), nil).Refused(403, "forbidden")
	})
}

// Whoever may only assign roles sees no more of the person than others do.
func TestAssign_MasksThePhone(t *testing.T) {
	t.Parallel()
	p := apptest.Start(t, "embedded")
	root := p.Administrator(t)
	ada := root.Post("/users", apptest.Object{"email": "ada@example.com", "phone": "+441234567890"}).Want(201).At("id")
	root.Post("/admin/roles", `{"name":"assigner","permissions":["roles:assign"]}`).Want(201)
	root.Post("/admin/roles", `{"name":"nothing","permissions":[]}`).Want(201)
	assigner := root.Person("bob", "assigner")
	if got := assigner.Post("/admin/users/"+ada+"/roles", `{"role":"nothing"}`).Want(200).At("phone"); got != "+**********90" {
		t.Errorf("phone %s", got)
	}
	assigner.Post("/admin/users/"+ada+"/roles", `{"role":"support"}`).Refused(403, "forbidden")
	assigner.Post("/admin/users/"+root.UserID+"/roles", `{"role":"nothing"}`).Refused(403, "forbidden")
}

func roleID(c *apptest.Caller, name string) string {
	var list struct {
		Items []struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"items"`
	}
	c.Get("/admin/roles").Want(200).Into(&list)
	for _, r := range list.Items {
		if r.Name == name {
			return r.ID
		}
	}
	return ""
}

func TestSessionsOfPeople(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		root := p.Administrator(t)
		ada, support := root.Person("ada"), root.Person("bob", "support")
		path := "/admin/users/" + ada.UserID + "/sessions"
		root.Get(path).Golden("sessions")
		root.Get(path+"?limit=0").Refused(422, "validation_failed")
		root.Get("/admin/users/"+noID+"/sessions").Refused(404, "not_found")
		root.Do("DELETE", "/admin/users/"+noID+"/sessions", nil).Refused(404, "not_found")

		support.Do("DELETE", "/admin/users/"+root.UserID+"/sessions", nil).Refused(403, "forbidden")
		root.Get("/users/profile").Want(200)
		support.Do("DELETE", path, nil).Want(204)
		support.Do("DELETE", path, nil).Want(204)
		ada.Get("/users/profile").Refused(401, "session_revoked")
		if n := root.Get(path).Want(200).Len("items"); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		log := root.Get("/admin/audit-logs?action=session.revoked&target=" + ada.UserID).Golden("session_revoked_entry")
		if log.Len("items") != 1 || log.At("items.0.actor.id") != support.UserID {
			t.Errorf("the log says %s", log.Text)
		}
	})
}
