package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gatehouse/internal/actor"
	"gatehouse/internal/epoch"
	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/id"
	"gatehouse/internal/platform/secret"
)

// Service reads and writes people. It is safe for concurrent use.
type Service struct {
	db    *db.DB
	keys  *keyring.Keyring
	cache *cache
}

// New returns a service over the tables of d.
func New(d *db.DB, keys *keyring.Keyring) (*Service, error) {
	c, err := newCache()
	if err != nil {
		return nil, err
	}
	return &Service{db: d, keys: keys, cache: c}, nil
}

// Find returns the person, also a deleted one, or ErrNotFound.
func (s *Service) Find(ctx context.Context, q db.Querier, u UserID) (User, error) {
	r, err := findUser(ctx, q, u, "")
	if err != nil {
		return User{}, err
	}
	return s.open(ctx, q, r)
}

// Lock is Find, and keeps others from changing the person until tx ends.
func (s *Service) Lock(ctx context.Context, tx *db.Tx, u UserID) (User, error) {
	r, err := findUser(ctx, tx, u, tx.ForUpdate())
	if err != nil {
		return User{}, err
	}
	return s.open(ctx, tx, r)
}

// FindLogin returns who signs in under an e-mail address or a username, or
// ErrNotFound. An address is never looked for among the usernames (REC-1).
// Deleted people are not found.
func (s *Service) FindLogin(ctx context.Context, q db.Querier, identifier string) (Login, error) {
	find, canonical := findLoginByUsername, CanonicalUsername
	if strings.Contains(identifier, "@") {
		find, canonical = findLoginByEmail, CanonicalEmail
	}
	name, ok := canonical(identifier)
	if !ok {
		return Login{}, ErrNotFound
	}
	return s.openLogin(ctx, q)(find(ctx, q, name))
}

// FindLoginByID is FindLogin by id.
func (s *Service) FindLoginByID(ctx context.Context, q db.Querier, u UserID) (Login, error) {
	return s.openLogin(ctx, q)(findLoginByID(ctx, q, u))
}

func (s *Service) openLogin(ctx context.Context, q db.Querier) func(row, error) (Login, error) {
	return func(r row, err error) (Login, error) {
		if err != nil {
			return Login{}, err
		}
		u, err := s.open(ctx, q, r)
		return Login{User: u, PasswordHash: secret.String(r.hash)}, err
	}
}

// Insert adds a person with a fresh id and a data key of their own. It
// returns a validation error, ErrEmailTaken or ErrUsernameTaken.
func (s *Service) Insert(ctx context.Context, tx *db.Tx, n NewUser) (User, error) {
	u := n.user()
	if err := u.Check(); err != nil {
		return User{}, err
	}
	u.ID, u.CreatedAt, u.UpdatedAt = id.New[actor.Subject](tx.Now()), tx.Now(), tx.Now()
	key, err := s.keys.CreatePersonKey(tx, u.ID)
	if err != nil {
		return User{}, err
	}
	hash := n.PasswordHash
	if hash == "" {
		hash = NoPassword
	}
	return u, insertUser(ctx, tx, u, sealPhone(key, u), hash)
}

// Update replaces what may be edited: e-mail, username, names, phone and
// email_verified. before is the person as the caller saw them; the rest of
// after is ignored. It returns the person as they are now, a validation error,
// ErrEmailTaken, ErrUsernameTaken, or ErrChanged if before is out of date.
func (s *Service) Update(ctx context.Context, tx *db.Tx, before, after User) (User, error) {
	now := before
	now.Email, now.Username, now.EmailVerified = after.Email, after.Username, after.EmailVerified
	now.FirstName, now.LastName, now.Phone = after.FirstName, after.LastName, after.Phone
	if err := now.Check(); err != nil {
		return User{}, err
	}
	if err := updateUser(ctx, tx, now, before.Version); err != nil {
		return User{}, err
	}
	if now.Phone != before.Phone {
		key, err := s.keys.PersonKey(ctx, tx, now.ID)
		if err != nil {
			return User{}, fmt.Errorf("seal phone: %w", err)
		}
		queuePhone(tx, now.ID, sealPhone(key, now))
	}
	now.Version++
	now.UpdatedAt = tx.Now()
	return now, nil
}

// Suspend keeps the person from signing in. It returns ErrChanged if they are
// suspended or deleted already.
func (s *Service) Suspend(ctx context.Context, tx *db.Tx, u UserID) error {
	return s.change(ctx, tx, suspend, u)
}

// Activate ends a suspension or deactivation. Who has no password yet becomes
// pending again. It returns ErrChanged if there is nothing to end.
func (s *Service) Activate(ctx context.Context, tx *db.Tx, u UserID) error {
	return s.change(ctx, tx, activate, u)
}

// Delete hides the person and frees their e-mail and username. It returns
// ErrChanged if they are deleted already.
func (s *Service) Delete(ctx context.Context, tx *db.Tx, u UserID) error {
	return s.change(ctx, tx, softDelete, u)
}

// Restore undoes Delete. It returns ErrEmailTaken or ErrUsernameTaken if
// somebody took the name meanwhile, ErrChanged if the person is not deleted.
func (s *Service) Restore(ctx context.Context, tx *db.Tx, u UserID) error {
	return s.change(ctx, tx, restore, u)
}

// SetPassword replaces the password and makes a pending account active.
func (s *Service) SetPassword(ctx context.Context, tx *db.Tx, u UserID, hash secret.String, mustChange bool) error {
	return s.change(ctx, tx, setPassword, u, hash.Reveal(), mustChange)
}

// Bump makes everything cached about the rights of the person stale. It
// returns ErrChanged if they are deleted.
func (s *Service) Bump(ctx context.Context, tx *db.Tx, u UserID) error {
	return s.change(ctx, tx, bump, u)
}

func (s *Service) change(ctx context.Context, tx *db.Tx, sql string, u UserID, more ...any) error {
	grown, err := changeStanding(ctx, tx, sql, u, more...)
	if errors.Is(err, db.ErrNoRows) {
		return ErrChanged
	}
	if err != nil {
		return err
	}
	epoch.Bump(tx, u, grown)
	return nil
}

// Rehash stores the same password under other parameters, if it is still the
// same. Nothing that the person may do changes.
func (s *Service) Rehash(tx *db.Tx, u UserID, before, after secret.String) {
	queueRehash(tx, u, before, after)
}

// TouchLogin notes the instant of a sign-in. It raises neither version nor
// epoch.
func (s *Service) TouchLogin(tx *db.Tx, u UserID) { queueLastLogin(tx, u) }

// ConfirmLogin is TouchLogin if the rights of the person are still those of
// the given epoch, and ErrChanged otherwise. A sign-in that begins its
// transaction with it can't slip past a suspension or a new password that
// came while it hashed, nor past one that waits for it.
func (s *Service) ConfirmLogin(ctx context.Context, tx *db.Tx, u UserID, epoch int64) error {
	ok, err := confirmLogin(ctx, tx, u, epoch)
	if err == nil && !ok {
		return ErrChanged
	}
	return err
}

// VerifyEmail marks the address as proven if it still is the person's, and
// reports whether that changed anything.
func (s *Service) VerifyEmail(ctx context.Context, tx *db.Tx, u UserID, email string) (bool, error) {
	canonical, ok := CanonicalEmail(email)
	if !ok {
		return false, nil
	}
	return verifyEmail(ctx, tx, u, canonical)
}

// Present selects the ids of everyone who is not deleted.
const Present = `SELECT id FROM users WHERE deleted_at IS NULL`

// Able selects the ids of everyone who can sign in as things stand.
const Able = `SELECT id FROM users WHERE deleted_at IS NULL AND account_status = 'active'
	AND email_verified = TRUE AND password_hash <> '!'`

// open returns the domain form of a row.
func (s *Service) open(ctx context.Context, q db.Querier, r row) (User, error) {
	if r.phone == nil {
		return r.User, nil
	}
	key, err := s.keys.PersonKey(ctx, q, r.ID)
	if errors.Is(err, keyring.ErrErased) {
		return r.User, nil
	}
	if err != nil {
		return User{}, err
	}
	phone, err := key.Open(r.phone, phoneAAD(r.ID))
	if err != nil {
		return User{}, fmt.Errorf("open phone: %w", err)
	}
	r.Phone = string(phone)
	return r.User, nil
}

func sealPhone(key secret.Key, u User) []byte {
	if u.Phone == "" {
		return nil
	}
	return key.Seal([]byte(u.Phone), phoneAAD(u.ID))
}

// phoneAAD binds a sealed number to its row (PRV-1).
func phoneAAD(u UserID) []byte { return []byte("users|phone|" + u.String()) }
