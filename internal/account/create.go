package account

import (
	"context"

	"gatehouse/internal/actor"
	"gatehouse/internal/audit"
	"gatehouse/internal/idempotency"
	"gatehouse/internal/identity"
	"gatehouse/internal/password"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/secret"
	"gatehouse/internal/rbac"
)

// NewPerson is a person to be.
type NewPerson struct {
	identity.NewUser
	// Password is checked and hashed into PasswordHash. "" leaves that as it is.
	Password secret.String
	Roles    []string // names or ids, besides "user"
	// Request is what an Idempotency-Key of the actor stands for: the request
	// as it came, with the password rather than its hash, which differs each
	// time. It may hold secrets.
	Request any
}

// Create adds a person. It needs PermWrite, for roles also rbac.PermAssign and
// every permission of theirs. It returns a validation error, what the policy
// refuses of a password, identity.ErrEmailTaken or identity.ErrUsernameTaken.
// A repeat under the same Idempotency-Key gets the first answer.
func (s *Service) Create(ctx context.Context, by actor.Actor, n NewPerson) (Person, error) {
	if err := by.Require(PermWrite); err != nil {
		return Person{}, err
	}
	if len(n.Roles) > 0 {
		if err := by.Require(rbac.PermAssign); err != nil {
			return Person{}, err
		}
	}
	if err := n.Check(); err != nil {
		return Person{}, err
	}
	n, err := s.hashed(ctx, n)
	if err != nil {
		return Person{}, err
	}
	created, err := idempotency.Do(ctx, s.idempotency, by, string(UserCreated), n.Request, func(tx *db.Tx) (Person, error) {
		return s.createTx(ctx, tx, by, n)
	})
	if db.IsForeignKey(err) { // a role was deleted meanwhile
		return Person{}, errs.InvalidField("roles", "unknown_role", "must be names or ids of roles")
	}
	return created, err
}

// hashed turns the password into its hash, before any transaction.
func (s *Service) hashed(ctx context.Context, n NewPerson) (NewPerson, error) {
	if n.Password == "" {
		return n, nil
	}
	err := s.passwords.Check(ctx, n.Password, password.Context{Email: n.Email, Username: n.Username})
	if err != nil {
		return n, err
	}
	hash, err := s.passwords.Hash(ctx, n.Password)
	n.PasswordHash = secret.String(hash)
	return n, err
}

func (s *Service) createTx(ctx context.Context, tx *db.Tx, by actor.Actor, n NewPerson) (Person, error) {
	u, err := s.users.Insert(ctx, tx, n.NewUser)
	if err != nil {
		return Person{}, err
	}
	roles, err := s.roles.GrantTx(ctx, tx, by, u.ID, "roles", n.Roles)
	if err != nil {
		return Person{}, err
	}
	changed := changes(identity.User{}, u)
	changed["account_status"] = audit.Change{To: u.Status}
	if len(n.Roles) > 0 {
		changed["roles"] = audit.Change{To: roles}
	}
	return Person{User: u, Roles: roles}, s.log.Append(ctx, tx, by, audit.Event{
		Action: UserCreated, Target: audit.Person(u.ID), Changes: changed,
	})
}
