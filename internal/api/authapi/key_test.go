package authapi_test

import (
	"testing"

	"gatehouse/internal/app/apptest"
)

func TestJWKS(t *testing.T) {
	t.Parallel()
	apptest.Each(t, func(t *testing.T, p *apptest.Program) {
		p.Stranger(t).Get("/.well-known/jwks.json").Golden("jwks")
	})
}
