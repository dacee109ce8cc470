package password

import (
	"context"
	"fmt"

	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/bcrypt"
	"gatehouse/internal/platform/secret"
)

const (
	// DefaultCost is the bcrypt cost of new hashes.
	DefaultCost = 12
	// MaxCost is the highest cost that is ever run (PW-5).
	MaxCost = 14
)

// Peppers gives the keys of the pre-hash; *keyring.Keyring does. Retired ones
// must stay available by id as long as a stored password names them.
type Peppers interface {
	Current(p keyring.Purpose) (keyring.Named, error)
	ByID(p keyring.Purpose, id string) (secret.Key, error)
}

// Deps are what a Service needs.
type Deps struct {
	Pool    *bcrypt.Pool
	Peppers Peppers
}

// Config tunes a Service. The zero value works.
type Config struct {
	Cost   int           // of new hashes; 0: DefaultCost
	Policy func() Policy // read at each check, as it may change while running; nil: the zero Policy
}

// Service checks, hashes and verifies passwords. It is safe for concurrent use.
type Service struct {
	pool    *bcrypt.Pool
	peppers Peppers
	cost    int
	policy  func() Policy
	common  common
}

// New returns a Service.
func New(deps Deps, cfg Config) *Service {
	s := &Service{pool: deps.Pool, peppers: deps.Peppers, cost: cfg.Cost, policy: cfg.Policy, common: loadCommon()}
	if s.cost == 0 {
		s.cost = DefaultCost
	}
	if s.policy == nil {
		s.policy = func() Policy { return Policy{} }
	}
	return s
}

// Hash returns the text to store for a password. It doesn't ask the policy:
// call Check before. It returns ErrMalformed, bcrypt.ErrOverloaded, or the
// error of ctx. It takes a quarter of a second: never call it in a transaction.
func (s *Service) Hash(ctx context.Context, password secret.String) (string, error) {
	if err := checkInput(password); err != nil {
		return "", err
	}
	pepper, err := s.peppers.Current(keyring.Pepper)
	if err != nil {
		return "", fmt.Errorf("pepper of a new password: %w", err)
	}
	hash, err := s.pool.Hash(ctx, s.cost, digest(pepper.Key, password))
	if err != nil {
		return "", err
	}
	return stored{pepper: pepper.ID, hash: hash}.String(), nil
}

// Verify reports whether password matches what is stored, and whether the
// stored text is outdated: made with a lower cost or an older pepper than new
// ones are, to be replaced by Hash of the same password now. Outdated is only
// ever true with a match.
//
// Pass "" where there is no account, or one that may not sign in: Verify then
// does the same work and reports no match, as it does for NoPassword and for
// text it cannot read (PW-6). It fails as Hash does, alike for all of them.
func (s *Service) Verify(ctx context.Context, text string, password secret.String) (match, outdated bool, err error) {
	if err := checkInput(password); err != nil {
		return false, false, err
	}
	current, err := s.peppers.Current(keyring.Pepper)
	if err != nil {
		return false, false, fmt.Errorf("current pepper: %w", err)
	}
	known, ok := parse(text)
	if !ok {
		_, err := s.pool.Hash(ctx, s.cost, digest(current.Key, password))
		return false, false, err
	}
	pepper, err := s.peppers.ByID(keyring.Pepper, known.pepper)
	if err != nil {
		return false, false, fmt.Errorf("pepper of a stored password: %w", err)
	}
	sum := digest(pepper, password)
	match, err = s.pool.Matches(ctx, known.hash, sum)
	if err != nil {
		return false, false, err
	}
	if err := s.makeUp(ctx, known.hash.Cost(), sum); err != nil {
		return false, false, err
	}
	return match, match && (known.hash.Cost() < s.cost || known.pepper != current.ID), nil
}

// makeUp does the work by which a hash of a lower cost was cheaper than one of
// the present cost. Each step of the cost doubles the work, so one more hash at
// each cost in between makes up for it exactly: 2^c + 2^c + 2^(c+1) + … = 2^target.
// A hash above the present cost cannot be hidden so; it was made before the
// operator lowered the cost.
func (s *Service) makeUp(ctx context.Context, cost int, sum []byte) error {
	for ; cost < s.cost; cost++ {
		if _, err := s.pool.Hash(ctx, cost, sum); err != nil {
			return err
		}
	}
	return nil
}
