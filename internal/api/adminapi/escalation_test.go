package adminapi_test

import (
	"testing"

	"gatehouse/internal/app/apptest"
)

func TestUpdateRole_WhatEveryoneHasStaysEmpty(t *testing.T) {
	t.Parallel()
	p := apptest.Start(t, "embedded")
	root := p.Administrator(t)
	root.Do("PUT", "/admin/roles/"+roleID(root, "user"), `{"name":"user","permissions":["roles:read"]}`).
		Refused(409, "system_role")
}

func TestDeleteRole_ForceStripsNobodyWhoHoldsMore(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		root := p.Administrator(t)
		editors := root.Post("/admin/roles", apptest.Object{"name": "editors", "permissions": []string{"roles:read", "roles:write"}}).Want(201)
		plain := root.Post("/admin/roles", apptest.Object{"name": "plain", "permissions": []string{}}).Want(201)
		editor, chief := root.Person("ed", "editors"), root.Person("chief", "admin", "plain")
		editor.Do("DELETE", "/admin/roles/"+plain.At("id")+"?force=true", nil).Refused(403, "forbidden")
		editor.Do("DELETE", "/admin/roles/"+editors.At("id")+"?force=true", nil).Refused(403, "forbidden")
		chief.Get("/admin/roles").Want(200)
		root.Do("DELETE", "/admin/roles/"+plain.At("id")+"?force=true", nil).Want(204)
	})
}
