// Package adminapi is the HTTP surface of the admin service: roles and who
// holds them, the sessions of others, and the log.
package adminapi

import (
	"gatehouse/internal/account"
	"gatehouse/internal/api"
	"gatehouse/internal/audit"
	"gatehouse/internal/rbac"
)

// Deps are the use cases behind the surface. All are required.
type Deps struct {
	Roles    *rbac.Service
	Accounts *account.Service
	Audit    *audit.Log
}

// surface is the service's endpoints.
type surface struct{ Deps }

// Routes adds the service's routes to s.
func Routes(s *api.Surface, d Deps) {
	a := &surface{Deps: d}
	a.roleRoutes(s)
	a.assignmentRoutes(s)
	a.sessionRoutes(s)
	a.auditRoutes(s)
}
