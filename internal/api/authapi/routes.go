// Package authapi is the HTTP surface of the auth service: signing in and out,
// registering, passwords, own sessions, and the public keys.
package authapi

import (
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/keyring"
	"gatehouse/internal/recovery"
	"gatehouse/internal/session"
	"gatehouse/internal/signin"
	"gatehouse/internal/signup"
	"gatehouse/internal/throttle"
)

// Deps are the use cases behind the surface. All are required.
type Deps struct {
	Signin   *signin.Service
	Signup   *signup.Service
	Recovery *recovery.Service
	Sessions *session.Service
	Keys     *keyring.Keyring
}

// surface is the service's endpoints.
type surface struct {
	Deps
	now func() time.Time
}

// Routes adds the service's routes to s.
func Routes(s *api.Surface, d Deps) {
	a := &surface{Deps: d, now: s.Now}
	a.signinRoutes(s)
	a.signupRoutes(s)
	a.passwordRoutes(s)
	a.sessionRoutes(s)
	a.keyRoutes(s)
}

// perMinute and perHour are the limits of one client address (LIM-3).
func perMinute(n int) throttle.Limit { return throttle.Limit{Max: n, Window: time.Minute} }
func perHour(n int) throttle.Limit   { return throttle.Limit{Max: n, Window: time.Hour} }
