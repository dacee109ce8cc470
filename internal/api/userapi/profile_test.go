package userapi_test

import (
	"testing"

	"gatehouse/internal/app/apptest"
)

const mergePatch = "Content-Type: application/merge-patch+json"

func TestProfile(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		ada := p.Administrator(t).Person("ada")
		seen := ada.Get("/users/profile").Golden("profile")
		ada.Get("/users/profile", "If-None-Match: "+seen.Header.Get("ETag")).Want(304)
		ada.Get("/users/profile?x=1").Refused(422, "validation_failed")
		p.Stranger(t).Get("/users/profile").Golden("profile_stranger")

		whole := apptest.Object{"username": "countess", "first_name": "Ada", "last_name": "Lovelace", "phone": "+441234567890"}
		put := ada.Do("PUT", "/users/profile", whole, "If-Match: "+seen.Header.Get("ETag")).Golden("profile_replaced")
		ada.Do("PUT", "/users/profile", whole, "If-Match: "+seen.Header.Get("ETag")).Golden("profile_stale")
		ada.Do("PATCH", "/users/profile", `{}`, mergePatch, `If-Match: "x"`).Refused(412, "precondition_failed")
		ada.Do("PATCH", "/users/profile", `{}`, mergePatch, `If-Match: "`+ada.UserID+`.0"`).Refused(412, "precondition_failed")
		if got := ada.Get("/users/profile").Want(200); got.Text != put.Text {
			t.Errorf("after PUT: %s, want %s", got.Text, put.Text)
		}
		ada.Do("PATCH", "/users/profile", `{"phone":null,"last_name":"King"}`, mergePatch).Golden("profile_patched")
		ada.Do("PUT", "/users/profile", `{"first_name":"Ada"}`).Golden("profile_cleared")
	})
}

func TestProfile_RefusesWhatPeopleMayNotSet(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		root := p.Administrator(t)
		ada := root.Person("ada")
		root.Person("bob")
		before := ada.Get("/users/profile").Want(200).Text
		for _, body := range []string{
			`{"email":"eve@example.com"}`, `{"email_verified":true}`, `{"account_status":"active"}`, `{"roles":["admin"]}`,
			`{"id":"00000000-0000-7000-8000-000000000000"}`, `{"password_hash":"!"}`, `{"avatar_url":"https://example.com"}`,
			`{"username":""}`, `{"username":"a@b"}`, `{"first_name":"\u0000"}`, `{"phone":"call me"}`, `{"first_name":1}`,
		} {
			ada.Do("PUT", "/users/profile", body).Refused(422, "validation_failed")
			ada.Do("PATCH", "/users/profile", body, mergePatch).Refused(422, "validation_failed")
		}
		ada.Do("PUT", "/users/profile", `{"username":"BOB"}`).Golden("username_taken")
		ada.Do("PUT", "/users/profile", `[]`).Refused(422, "validation_failed")
		ada.Do("PUT", "/users/profile", `{"username":"a","username":"b"}`).Refused(400, "malformed_request")
		ada.Do("PATCH", "/users/profile", `{}`).Refused(415, "unsupported_media_type")
		ada.Do("DELETE", "/users/profile", nil).Refused(405, "method_not_allowed")
		if after := ada.Get("/users/profile").Want(200).Text; after != before {
			t.Errorf("changed to %s", after)
		}
	})
}
