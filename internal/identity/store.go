package identity

import (
	"context"
	"errors"

	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/secret"
)

// columns are those of a User, in the order of scanUser. password_hash comes
// last, where it is wanted at all.
const columns = `id, email, COALESCE(username, ''), COALESCE(first_name, ''), COALESCE(last_name, ''), phone,
	COALESCE(avatar_url, ''), email_verified, account_status, password_change_required,
	last_login_at, created_at, updated_at, deleted_at, epoch, version`

// row is a User as it is stored: the phone number still sealed.
type row struct {
	User
	phone []byte
	hash  string
}

func (r *row) dest() []any {
	return []any{
		&r.ID, &r.Email, &r.Username, &r.FirstName, &r.LastName, &r.phone,
		&r.AvatarURL, &r.EmailVerified, (*string)(&r.Status), &r.PasswordChangeRequired,
		&r.LastLoginAt, &r.CreatedAt, &r.UpdatedAt, &r.DeletedAt, &r.Epoch, &r.Version,
	}
}

func (r *row) scanned(err error) (row, error) {
	if errors.Is(err, db.ErrNoRows) {
		return row{}, ErrNotFound
	}
	if r.IsDeleted() {
		r.Status = Deleted
	}
	return *r, err
}

func scanUser(s db.Scanner) (row, error) {
	var r row
	return r.scanned(s.Scan(r.dest()...))
}

func scanLogin(s db.Scanner) (row, error) {
	var r row
	return r.scanned(s.Scan(append(r.dest(), &r.hash)...))
}

func findUser(ctx context.Context, q db.Querier, id UserID, lock string) (row, error) {
	return scanUser(q.QueryRow(ctx, `SELECT `+columns+` FROM users WHERE id = $1`+lock, id))
}

func findLoginByID(ctx context.Context, q db.Querier, id UserID) (row, error) {
	return scanLogin(q.QueryRow(ctx, `SELECT `+columns+`, password_hash FROM users
		WHERE id = $1 AND deleted_at IS NULL`, id))
}

func findLoginByEmail(ctx context.Context, q db.Querier, canonical string) (row, error) {
	return scanLogin(q.QueryRow(ctx, `SELECT `+columns+`, password_hash FROM users
		WHERE canonical_email = $1 AND deleted_at IS NULL`, canonical))
}

func findLoginByUsername(ctx context.Context, q db.Querier, canonical string) (row, error) {
	return scanLogin(q.QueryRow(ctx, `SELECT `+columns+`, password_hash FROM users
		WHERE canonical_username = $1 AND deleted_at IS NULL`, canonical))
}

func insertUser(ctx context.Context, tx *db.Tx, u User, phone []byte, hash secret.String) error {
	email, username := u.canonical()
	_, err := tx.Exec(ctx, `INSERT INTO users (id, email, canonical_email, username, canonical_username,
			password_hash, password_change_required, first_name, last_name, phone, email_verified, account_status,
			search_text, created_at, updated_at, epoch, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14, 1, 1)`,
		u.ID, u.Email, email, null(u.Username), null(username),
		hash.Reveal(), u.PasswordChangeRequired, null(u.FirstName), null(u.LastName), phone, u.EmailVerified, string(u.Status),
		u.searchText(), u.CreatedAt)
	return taken(err)
}

// updateUser writes what people and administrators may edit, if the version
// is still the one that was read. The sealed phone number is not among it.
func updateUser(ctx context.Context, tx *db.Tx, u User, version int64) error {
	email, username := u.canonical()
	n, err := tx.Exec(ctx, `UPDATE users SET email = $3, canonical_email = $4, username = $5, canonical_username = $6,
			first_name = $7, last_name = $8, email_verified = $9, search_text = $10, updated_at = $11, version = version + 1
		WHERE id = $1 AND version = $2 AND deleted_at IS NULL`,
		u.ID, version, u.Email, email, null(u.Username), null(username),
		null(u.FirstName), null(u.LastName), u.EmailVerified, u.searchText(), tx.Now())
	if err != nil {
		return taken(err)
	}
	if n == 0 {
		return ErrChanged
	}
	return nil
}

func queuePhone(tx *db.Tx, id UserID, phone []byte) {
	tx.Queue(`UPDATE users SET phone = $2 WHERE id = $1`, id, phone)
}

// The statements that change what a person may do. Each raises the epoch and
// returns it; one that does not apply returns db.ErrNoRows.
const (
	suspend = `UPDATE users SET account_status = 'suspended', epoch = epoch + 1, version = version + 1, updated_at = $2
		WHERE id = $1 AND deleted_at IS NULL AND account_status <> 'suspended' RETURNING epoch`
	// Who has no password yet goes back to waiting for one.
	activate = `UPDATE users SET account_status = CASE WHEN password_hash = '!' THEN 'pending' ELSE 'active' END,
			epoch = epoch + 1, version = version + 1, updated_at = $2
		WHERE id = $1 AND deleted_at IS NULL AND account_status IN ('suspended', 'deactivated') RETURNING epoch`
	softDelete = `UPDATE users SET deleted_at = $2, epoch = epoch + 1, version = version + 1, updated_at = $2
		WHERE id = $1 AND deleted_at IS NULL RETURNING epoch`
	restore = `UPDATE users SET deleted_at = NULL, epoch = epoch + 1, version = version + 1, updated_at = $2
		WHERE id = $1 AND deleted_at IS NOT NULL RETURNING epoch`
	bump = `UPDATE users SET epoch = epoch + 1, version = version + 1, updated_at = $2
		WHERE id = $1 AND deleted_at IS NULL RETURNING epoch`
	setPassword = `UPDATE users SET password_hash = $3, password_change_required = $4,
			account_status = CASE WHEN account_status = 'pending' THEN 'active' ELSE account_status END,
			epoch = epoch + 1, version = version + 1, updated_at = $2
		WHERE id = $1 AND deleted_at IS NULL RETURNING epoch`
)

// changeStanding runs one of them.
func changeStanding(ctx context.Context, tx *db.Tx, sql string, id UserID, more ...any) (epoch int64, err error) {
	err = tx.QueryRow(ctx, sql, append([]any{id, tx.Now()}, more...)...).Scan(&epoch)
	return epoch, taken(err)
}

func queueRehash(tx *db.Tx, id UserID, before, after secret.String) {
	tx.Queue(`UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2`, id, before.Reveal(), after.Reveal())
}

func queueLastLogin(tx *db.Tx, id UserID) {
	tx.Queue(`UPDATE users SET last_login_at = $2 WHERE id = $1`, id, tx.Now())
}

func confirmLogin(ctx context.Context, tx *db.Tx, id UserID, epoch int64) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE users SET last_login_at = $3
		WHERE id = $1 AND epoch = $2 AND deleted_at IS NULL`, id, epoch, tx.Now())
	return n == 1, err
}

func verifyEmail(ctx context.Context, tx *db.Tx, id UserID, canonical string) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE users SET email_verified = TRUE, version = version + 1, updated_at = $3
		WHERE id = $1 AND canonical_email = $2 AND email_verified = FALSE AND deleted_at IS NULL`, id, canonical, tx.Now())
	return n == 1, err
}

// canonical returns the forms of checked names by which they are unique.
func (u User) canonical() (email, username string) {
	email, _ = CanonicalEmail(u.Email)
	username, _ = CanonicalUsername(u.Username)
	return email, username
}

// taken names the refusal of a unique index.
func taken(err error) error {
	switch {
	case db.IsUnique(err, "users_canonical_email_key"):
		return ErrEmailTaken.With(err)
	case db.IsUnique(err, "users_canonical_username_key"):
		return ErrUsernameTaken.With(err)
	}
	return err
}

// null stores "" as NULL.
func null(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
