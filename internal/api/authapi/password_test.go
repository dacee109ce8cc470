package authapi_test

import (
	"testing"

	"gatehouse/internal/app/apptest"
)

const nextPassword = "quite another long sentence"

func TestChangePassword(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		ada := p.Administrator(t).Person("ada")
		other := p.SignIn(t, "ada@example.com", apptest.PersonPassword)
		change := func(current, next string) apptest.Reply {
			return ada.Post("/auth/change-password", apptest.Object{"current_password": current, "new_password": next})
		}
		change("wrong horse battery", nextPassword).Golden("change_password_wrong")
		change(apptest.PersonPassword, "short").Refused(422, "password_policy")
		change(apptest.PersonPassword, apptest.PersonPassword).Refused(422, "validation_failed")
		ada.Post("/auth/change-password", apptest.Object{"new_password": nextPassword}).Refused(422, "validation_failed")
		p.Stranger(t).Post("/auth/change-password", apptest.Object{}).Refused(401, "token_invalid")
		other.Get("/users/profile").Want(200)

		change(apptest.PersonPassword, nextPassword).Want(204)
		ada.Get("/users/profile").Want(200)
		other.Get("/users/profile").Refused(401, "session_revoked")
		p.Stranger(t).Post("/auth/login", apptest.Object{"email": "ada@example.com", "password": apptest.PersonPassword}).
			Refused(401, "invalid_credentials")
		p.SignIn(t, "ada@example.com", nextPassword)
	})
}

func TestPasswordChangeRequired_ClosesAllElse(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		p.Administrator(t).Post("/users", apptest.Object{
			"email": "ada@example.com", "password": apptest.PersonPassword, "password_change_required": true,
			"email_verified": true, "roles": []string{"admin"},
		}).Want(201)
		ada := p.SignIn(t, "ada@example.com", apptest.PersonPassword)
		ada.Get("/users/profile").Want(200)
		ada.Get("/auth/sessions").Want(200)
		ada.Get("/users").Golden("password_change_required")
		ada.Do("PUT", "/users/profile", apptest.Object{}).Refused(403, "step_up_required")
		ada.Post("/auth/change-password", apptest.Object{"current_password": apptest.PersonPassword, "new_password": nextPassword}).Want(204)
		ada.Get("/users").Want(200)
	})
}
