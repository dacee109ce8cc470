package rbac

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/identity"
	"gatehouse/internal/platform/db"
)

// Grants is what a person holds at one instant.
type Grants struct {
	Roles       []Grant            // by name, with "user"
	Permissions []actor.Permission // of all roles, sorted
	ValidUntil  time.Time          // when the first role ends by itself; zero: none does
}

// Grant is one role that a person holds.
type Grant struct {
	Role  RoleID
	Name  string
	Epoch int64 // of the role
}

// Names returns the names of the roles, in order.
func (g Grants) Names() []string {
	names := make([]string, len(g.Roles))
	for i, r := range g.Roles {
		names[i] = r.Name
	}
	return names
}

// RolesOf returns what the person holds now, in one query. It says nothing on
// whether the person exists.
func (s *Service) RolesOf(ctx context.Context, q db.Querier, u identity.UserID) (Grants, error) {
	type held struct {
		role  Role
		until time.Time
	}
	scan := func(row db.Scanner) (h held, err error) {
		h.role, err = s.scanRole(row, &h.until)
		return h, err
	}
	roles, err := db.List(ctx, q, scan, `SELECT `+columns+`, user_roles.expires_at FROM roles
		LEFT JOIN user_roles ON user_roles.role_id = roles.id AND user_roles.user_id = $1
			AND (user_roles.expires_at IS NULL OR user_roles.expires_at > $2)
		WHERE user_roles.user_id IS NOT NULL OR roles.canonical_name = 'user'
		ORDER BY roles.canonical_name`, u, s.now())
	var g Grants
	for _, h := range roles {
		g.Roles = append(g.Roles, Grant{Role: h.role.ID, Name: h.role.Name, Epoch: h.role.Epoch})
		g.Permissions = append(g.Permissions, h.role.Permissions...)
		if !h.until.IsZero() && (g.ValidUntil.IsZero() || h.until.Before(g.ValidUntil)) {
			g.ValidUntil = h.until
		}
	}
	g.Permissions = set(g.Permissions)
	return g, err
}

// NamesOf returns the names of the roles of each person, in one query.
func (s *Service) NamesOf(ctx context.Context, q db.Querier, people []identity.UserID) (map[identity.UserID][]string, error) {
	names := make(map[identity.UserID][]string, len(people))
	for _, u := range people {
		names[u] = []string{User}
	}
	if len(people) == 0 {
		return names, nil
	}
	args := []any{s.now()}
	in := db.In(&args, people)
	scan := func(row db.Scanner) (struct{}, error) {
		var u identity.UserID
		var name string
		err := row.Scan(&u, &name)
		names[u] = append(names[u], name)
		return struct{}{}, err
	}
	_, err := db.List(ctx, q, scan, `SELECT user_roles.user_id, roles.name FROM user_roles
		JOIN roles ON roles.id = user_roles.role_id
		WHERE (user_roles.expires_at IS NULL OR user_roles.expires_at > $1) AND user_roles.user_id IN `+in, args...)
	for u, list := range names {
		names[u] = sorted(list)
	}
	return names, err
}

// sorted puts names in the order in which they are shown, each once.
func sorted(names []string) []string {
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(canonical(a), canonical(b)) })
	return slices.Compact(names)
}

// Members narrows a listing of people to those who hold the role of that
// name; to nobody if there is none. It is nil, everyone, for "user".
func (s *Service) Members(name string) identity.Subquery {
	if canonical(name) == User {
		return nil
	}
	return func(args *[]any) string {
		*args = append(*args, canonical(name), s.now())
		n := len(*args)
		return `SELECT user_roles.user_id FROM user_roles JOIN roles ON roles.id = user_roles.role_id
			WHERE roles.canonical_name = $` + strconv.Itoa(n-1) +
			` AND (user_roles.expires_at IS NULL OR user_roles.expires_at > $` + strconv.Itoa(n) + `)`
	}
}

// Guard returns actor.ErrForbidden if the person holds a permission that the
// actor lacks (RBAC-4).
func (s *Service) Guard(ctx context.Context, q db.Querier, by actor.Actor, u identity.UserID) error {
	if by.Type == actor.System {
		return nil
	}
	held, err := s.RolesOf(ctx, q, u)
	if err != nil {
		return err
	}
	if !by.Covers(held.Permissions) {
		return actor.ErrForbidden
	}
	return nil
}

// KeepAdmin runs change, which may keep the person from signing in or from
// being an administrator. It returns ErrLastAdmin if that leaves no
// administrator who can sign in. All such changes run one after the other
// until their transactions end, so two administrators can't remove one another
// (RBAC-6). Call it before the transaction locks anything else.
func (s *Service) KeepAdmin(ctx context.Context, tx *db.Tx, u identity.UserID, change func() error) error {
	admin, err := s.findRoleByName(ctx, tx, Admin, tx.ForUpdate())
	if err != nil {
		return err
	}
	wasAdmin, err := holds(ctx, tx, u, admin.ID)
	if err != nil {
		return err
	}
	if err := change(); err != nil || !wasAdmin {
		return err
	}
	left, err := isLeft(ctx, tx, admin.ID)
	if err == nil && !left {
		return ErrLastAdmin
	}
	return err
}

// HasAdministrator reports whether anybody holds the role "admin".
func (s *Service) HasAdministrator(ctx context.Context, q db.Querier) (bool, error) {
	return exists(q.QueryRow(ctx, `SELECT 1 FROM user_roles JOIN roles ON roles.id = user_roles.role_id
		WHERE roles.canonical_name = 'admin' LIMIT 1`))
}

func holds(ctx context.Context, q db.Querier, u identity.UserID, r RoleID) (bool, error) {
	return exists(q.QueryRow(ctx, `SELECT 1 FROM user_roles WHERE user_id = $1 AND role_id = $2`, u, r))
}

func isLeft(ctx context.Context, q db.Querier, admin RoleID) (bool, error) {
	return exists(q.QueryRow(ctx, `SELECT 1 FROM user_roles WHERE role_id = $1 AND expires_at IS NULL
		AND user_id IN (`+identity.Able+`) LIMIT 1`, admin))
}

func exists(row *db.Row) (bool, error) {
	var one int
	err := row.Scan(&one)
	if errors.Is(err, db.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func findExpiry(ctx context.Context, tx *db.Tx, u identity.UserID, r RoleID) (until time.Time, held bool, err error) {
	err = tx.QueryRow(ctx, `SELECT expires_at FROM user_roles WHERE user_id = $1 AND role_id = $2
		AND (expires_at IS NULL OR expires_at > $3)`, u, r, tx.Now()).Scan(&until)
	if errors.Is(err, db.ErrNoRows) {
		return time.Time{}, false, nil
	}
	return until, err == nil, err
}

func queueGrant(tx *db.Tx, by actor.Actor, u identity.UserID, r RoleID, until time.Time) {
	tx.Queue(`INSERT INTO user_roles (user_id, role_id, assigned_at, assigned_by, expires_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (user_id, role_id) DO UPDATE SET assigned_at = excluded.assigned_at,
			assigned_by = excluded.assigned_by, expires_at = excluded.expires_at`,
		u, r, tx.Now(), by.UserID, until)
}

func queueUngrant(tx *db.Tx, u identity.UserID, r RoleID) {
	tx.Queue(`DELETE FROM user_roles WHERE user_id = $1 AND role_id = $2`, u, r)
}
