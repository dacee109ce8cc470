package app_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"gatehouse/internal/app/apptest"
)

func TestSmoke(t *testing.T) {
	p := apptest.Start(t, "embedded")
	req, _ := http.NewRequest("POST", p.URL+"/auth/login", strings.NewReader(`{"email":"root@example.com","password":"correct horse battery staple 42"}`))
	req.Header.Set("Content-Type", "application/json")
	res, err := p.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(res.Body)
	t.Log(res.Status, res.Header, string(b))
}
