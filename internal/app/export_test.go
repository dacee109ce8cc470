package app

import "gatehouse/internal/api"

// Routes returns every route of the services.
func (a *App) Routes() []api.Route {
	s := a.surface("routes")
	a.authRoutes(s)
	a.userRoutes(s)
	a.adminRoutes(s)
	return s.Routes()
}
