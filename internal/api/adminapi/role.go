package adminapi

import (
	"context"
	"net/http"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/api"
	"gatehouse/internal/rbac"
)

func (a *surface) roleRoutes(s *api.Surface) {
	api.Register(s, api.Route{
		Method: http.MethodGet, Path: "/admin/permissions", Access: api.Needs(rbac.PermRead),
		Tag: "Roles", Summary: "List every permission that endpoints check",
	}, a.permissions)
	api.Register(s, api.Route{
		Method: http.MethodGet, Path: "/admin/roles", Access: api.Needs(rbac.PermRead),
		Tag: "Roles", Summary: "List roles by name",
	}, a.listRoles)
	api.Register(s, api.Route{
		Method: http.MethodPost, Path: "/admin/roles", Access: api.Needs(rbac.PermWrite), Status: http.StatusCreated,
		IdempotencyKey: true, Tag: "Roles", Summary: "Create a role of permissions that you hold",
	}, a.createRole)
	api.Register(s, api.Route{
		Method: http.MethodGet, Path: "/admin/roles/{id}", Access: api.Needs(rbac.PermRead),
		Tag: "Roles", Summary: "Read a role",
	}, a.findRole)
	api.Register(s, api.Route{
		Method: http.MethodPut, Path: "/admin/roles/{id}", Access: api.Needs(rbac.PermWrite),
		Tag: "Roles", Summary: "Replace a role; what is fixed of a built-in one stays",
	}, a.replaceRole)
	api.Register(s, api.Route{
		Method: http.MethodDelete, Path: "/admin/roles/{id}", Access: api.Needs(rbac.PermWrite),
		Tag: "Roles", Summary: "Delete a role, with force also from those who hold it",
	}, a.deleteRole)
}

type permission struct {
	Name        actor.Permission `json:"name"`
	Description string           `json:"description"`
}

type listInput struct{ api.Listing }

func (a *surface) permissions(_ context.Context, by actor.Actor, in *listInput) (*api.PageOutput[permission], error) {
	list, err := a.Roles.Catalogue(by)
	if err != nil {
		return nil, err
	}
	shown := make([]permission, len(list))
	for i, p := range list {
		shown[i] = permission(p)
	}
	return api.WholePage(&in.Listing, shown,
		func(p permission) string { return string(p.Name) },
		func(p permission, key string) bool { return string(p.Name) > key })
}

type role struct {
	ID          rbac.RoleID        `json:"id"`
	Name        string             `json:"name"`
	Description string             `json:"description"`
	Permissions []actor.Permission `json:"permissions"`
	System      bool               `json:"system" doc:"Built in: can be neither renamed nor deleted"`
	UserCount   int64              `json:"user_count"`
	CreatedAt   time.Time          `json:"created_at"`
	UpdatedAt   time.Time          `json:"updated_at"`
}

func roleFrom(r rbac.Role) role {
	return role{
		ID: r.ID, Name: r.Name, Description: r.Description, Permissions: r.Permissions, System: r.System,
		UserCount: r.UserCount, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
}

type roleOutput struct {
	ETag string `header:"ETag"`
	Body role
}

func roleOutputFrom(r rbac.Role, err error) (*roleOutput, error) {
	if err != nil {
		return nil, err
	}
	return &roleOutput{ETag: api.ETag(r.ID, r.Version), Body: roleFrom(r)}, nil
}

func (a *surface) listRoles(ctx context.Context, by actor.Actor, in *listInput) (*api.PageOutput[role], error) {
	var after string
	if _, err := in.After(&after); err != nil {
		return nil, err
	}
	page, err := a.Roles.List(ctx, by, after, in.Limit)
	if err != nil {
		return nil, err
	}
	total, err := a.countRoles(ctx, by, in)
	if err != nil {
		return nil, err
	}
	shown := make([]role, len(page.Roles))
	for i, r := range page.Roles {
		shown[i] = roleFrom(r)
	}
	if page.Next == "" {
		return api.NewPage(&in.Listing, shown, nil, total)
	}
	return api.NewPage(&in.Listing, shown, page.Next, total)
}

func (a *surface) countRoles(ctx context.Context, by actor.Actor, in *listInput) (*int64, error) {
	if !in.IncludeTotal {
		return nil, nil
	}
	n, err := a.Roles.Count(ctx, by)
	return &n, err
}

type roleBody struct {
	Name        string             `json:"name" minLength:"1" maxLength:"50"`
	Description string             `json:"description,omitempty" maxLength:"500"`
	Permissions []actor.Permission `json:"permissions" maxLength:"100" doc:"From the list of GET /admin/permissions"`
}

type createRoleInput struct{ Body roleBody }

type createdRoleOutput struct {
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Body     role
}

func (a *surface) createRole(ctx context.Context, by actor.Actor, in *createRoleInput) (*createdRoleOutput, error) {
	out, err := roleOutputFrom(a.Roles.Create(ctx, by, rbac.Draft(in.Body)))
	if err != nil {
		return nil, err
	}
	return &createdRoleOutput{Location: "/admin/roles/" + out.Body.ID.String(), ETag: out.ETag, Body: out.Body}, nil
}

type roleInput struct {
	ID rbac.RoleID `path:"id"`
}

func (a *surface) findRole(ctx context.Context, by actor.Actor, in *roleInput) (*roleOutput, error) {
	return roleOutputFrom(a.Roles.Find(ctx, by, in.ID))
}

type replaceRoleInput struct {
	ID      rbac.RoleID `path:"id"`
	IfMatch api.IfMatch
	Body    roleBody
}

func (a *surface) replaceRole(ctx context.Context, by actor.Actor, in *replaceRoleInput) (*roleOutput, error) {
	version, err := in.IfMatch.Expected(in.ID)
	if err != nil {
		return nil, err
	}
	return roleOutputFrom(a.Roles.Update(ctx, by, in.ID, version, rbac.Draft(in.Body)))
}

type deleteRoleInput struct {
	ID      rbac.RoleID `path:"id"`
	Force   bool        `query:"force" doc:"Also when people hold it"`
	IfMatch api.IfMatch
}

func (a *surface) deleteRole(ctx context.Context, by actor.Actor, in *deleteRoleInput) (*api.None, error) {
	version, err := in.IfMatch.Expected(in.ID)
	if err != nil {
		return nil, err
	}
	return nil, a.Roles.Delete(ctx, by, in.ID, version, in.Force)
}
