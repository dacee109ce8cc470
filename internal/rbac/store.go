package rbac

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/identity"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/id"
)

const columns = `roles.id, roles.name, roles.description, roles.permissions, roles.system,
	roles.epoch, roles.version, roles.created_at, roles.updated_at`

// scanRole reads columns, and what stands behind them into more. Only what
// the catalogue lists counts; the administrator has all of it.
func (s *Service) scanRole(row db.Scanner, more ...any) (Role, error) {
	var r Role
	var permissions string
	err := row.Scan(append([]any{
		&r.ID, &r.Name, &r.Description, &permissions, &r.System, &r.Epoch, &r.Version, &r.CreatedAt, &r.UpdatedAt,
	}, more...)...)
	if errors.Is(err, db.ErrNoRows) {
		return Role{}, ErrNotFound
	}
	if err != nil {
		return Role{}, err
	}
	if err := json.Unmarshal([]byte(permissions), &r.Permissions); err != nil {
		return Role{}, fmt.Errorf("permissions of role %s: %w", r.ID, err)
	}
	r.Permissions = s.catalogue.known(r.Permissions)
	if r.is(Admin) {
		r.Permissions = slices.Clone(s.catalogue.names)
	}
	return r, nil
}

func encode(ps []actor.Permission) string {
	if ps == nil {
		ps = []actor.Permission{}
	}
	text, err := json.Marshal(ps)
	if err != nil {
		panic("rbac: " + err.Error()) // strings always marshal
	}
	return string(text)
}

func (s *Service) findRole(ctx context.Context, q db.Querier, r RoleID, lock string) (Role, error) {
	return s.scanRole(q.QueryRow(ctx, `SELECT `+columns+` FROM roles WHERE id = $1`+lock, r))
}

func (s *Service) findRoleByName(ctx context.Context, q db.Querier, name, lock string) (Role, error) {
	return s.scanRole(q.QueryRow(ctx, `SELECT `+columns+` FROM roles WHERE canonical_name = $1`+lock, canonical(name)))
}

// resolveAll returns the roles of names and ids, or ErrNotFound if one of them
// does not exist.
func (s *Service) resolveAll(ctx context.Context, q db.Querier, refs []string) ([]Role, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	var ids []RoleID
	var names []string
	for _, ref := range refs {
		if r, err := id.Parse[Role](ref); err == nil {
			ids = append(ids, r)
		} else {
			names = append(names, canonical(ref))
		}
	}
	var args []any
	byID, byName := db.In(&args, ids), db.In(&args, names)
	scan := func(row db.Scanner) (Role, error) { return s.scanRole(row) }
	roles, err := db.List(ctx, q, scan, `SELECT `+columns+` FROM roles
		WHERE id IN `+byID+` OR canonical_name IN `+byName, args...)
	if err != nil {
		return nil, err
	}
	for _, r := range ids {
		if !slices.ContainsFunc(roles, func(found Role) bool { return found.ID == r }) {
			return nil, ErrNotFound
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(roles, func(found Role) bool { return canonical(found.Name) == name }) {
			return nil, ErrNotFound
		}
	}
	return roles, nil
}

// holders counts, by role, the people who hold it and are not deleted.
const holders = `SELECT role_id, count(*) AS n FROM user_roles
	WHERE (expires_at IS NULL OR expires_at > $1) AND user_id IN (` + identity.Present + `) GROUP BY role_id`

// besides returns every role that somebody holds beside r.
func (s *Service) besides(ctx context.Context, q db.Querier, r RoleID) ([]Role, error) {
	return db.List(ctx, q, func(row db.Scanner) (Role, error) { return s.scanRole(row) }, `SELECT `+columns+` FROM roles
		WHERE EXISTS (SELECT 1 FROM user_roles AS held JOIN user_roles AS other ON other.user_id = held.user_id
			WHERE held.role_id = $1 AND other.role_id = roles.id)`, r)
}

func (s *Service) listRoles(ctx context.Context, after string, limit int) ([]Role, error) {
	scan := func(row db.Scanner) (Role, error) {
		var n int64
		r, err := s.scanRole(row, &n)
		r.UserCount = n
		return r, err
	}
	return db.List(ctx, s.db, scan, `SELECT `+columns+`, COALESCE(h.n, 0) FROM roles
		LEFT JOIN (`+holders+`) h ON h.role_id = roles.id
		WHERE roles.canonical_name > $2 ORDER BY roles.canonical_name LIMIT $3`, s.now(), after, limit)
}

func countHolders(ctx context.Context, q db.Querier, r RoleID, now time.Time) (n int64, err error) {
	err = q.QueryRow(ctx, `SELECT count(*) FROM user_roles WHERE role_id = $2
		AND (expires_at IS NULL OR expires_at > $1) AND user_id IN (`+identity.Present+`)`, now, r).Scan(&n)
	return n, err
}

// insertBuiltIn adds a role that is not there yet.
func insertBuiltIn(ctx context.Context, tx *db.Tx, r Role) error {
	_, err := tx.Exec(ctx, `INSERT INTO roles (id, name, canonical_name, description, permissions, system, epoch, version, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, TRUE, 1, 1, $6, $6) ON CONFLICT (canonical_name) DO NOTHING`,
		r.ID, r.Name, canonical(r.Name), r.Description, encode(r.Permissions), tx.Now())
	return err
}

func insertRole(ctx context.Context, tx *db.Tx, r Role) error {
	_, err := tx.Exec(ctx, `INSERT INTO roles (id, name, canonical_name, description, permissions, system, epoch, version, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, FALSE, 1, 1, $6, $6)`,
		r.ID, r.Name, canonical(r.Name), r.Description, encode(r.Permissions), r.CreatedAt)
	return taken(err)
}

// updateRole writes a role that the transaction has locked.
func updateRole(ctx context.Context, tx *db.Tx, r Role) error {
	_, err := tx.Exec(ctx, `UPDATE roles SET name = $2, canonical_name = $3, description = $4, permissions = $5,
			epoch = $6, version = $7, updated_at = $8 WHERE id = $1`,
		r.ID, r.Name, canonical(r.Name), r.Description, encode(r.Permissions), r.Epoch, r.Version, r.UpdatedAt)
	return taken(err)
}

func taken(err error) error {
	if db.IsUnique(err, "roles_canonical_name_key") {
		return ErrNameTaken.With(err)
	}
	return err
}

// deleteRole removes a role that the transaction has locked, so that nobody
// can be given it in between.
func deleteRole(ctx context.Context, tx *db.Tx, r RoleID) error {
	tx.Queue(`DELETE FROM user_roles WHERE role_id = $1`, r)
	_, err := tx.Exec(ctx, `DELETE FROM roles WHERE id = $1`, r)
	return err
}

// growAdmin writes the permissions of the role "admin" if they are others than
// those stored, and reports whether they were.
func growAdmin(ctx context.Context, tx *db.Tx, admin Role) (bool, error) {
	var stored string
	if err := tx.QueryRow(ctx, `SELECT permissions FROM roles WHERE id = $1`, admin.ID).Scan(&stored); err != nil {
		return false, err
	}
	var before []actor.Permission
	if err := json.Unmarshal([]byte(stored), &before); err != nil {
		return false, fmt.Errorf("permissions of role %s: %w", admin.ID, err)
	}
	if slices.Equal(before, admin.Permissions) {
		return false, nil
	}
	_, err := tx.Exec(ctx, `UPDATE roles SET permissions = $2, epoch = $3, version = version + 1, updated_at = $4 WHERE id = $1`,
		admin.ID, encode(admin.Permissions), admin.Epoch+1, tx.Now())
	return err == nil, err
}
