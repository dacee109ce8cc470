// Package userapi is the HTTP surface of the user service: the own profile,
// and people for those who may see and change them.
package userapi

import (
	"gatehouse/internal/account"
	"gatehouse/internal/api"
	"gatehouse/internal/api/userview"
)

// Deps are the use cases behind the surface. All are required.
type Deps struct {
	Accounts *account.Service
}

// surface is the service's endpoints.
type surface struct{ Deps }

// Routes adds the service's routes to s.
func Routes(s *api.Surface, d Deps) {
	a := &surface{Deps: d}
	a.profileRoutes(s)
	a.userRoutes(s)
}

// userOutput is one person with the version that was seen.
type userOutput struct {
	ETag string `header:"ETag"`
	Body userview.User
}

// userFrom shows what a use case returned.
func userFrom(p account.Person, err error) (*userOutput, error) {
	if err != nil {
		return nil, err
	}
	return &userOutput{ETag: api.ETag(p.ID, p.Version), Body: userview.From(p)}, nil
}
