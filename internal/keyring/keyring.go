package keyring

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"gatehouse/internal/actor"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/secret"
)

const (
	// channel carries "" when the keys changed, or the id of a person whose
	// key was destroyed.
	channel = "keyring"
	// poll is how often a node looks by itself, should it miss a note.
	poll = 5 * time.Second
	// maxAge is how old a snapshot may be that still verifies: a withdrawal
	// holds everywhere within it, or nothing is accepted (TOK-10).
	maxAge = 50 * time.Second
	// again is the least time between two reloads that requests cause.
	again = time.Second
	// reloadTimeout ends a reload that a request waits for.
	reloadTimeout = 2 * time.Second
)

// Deps is what a Keyring needs.
type Deps struct {
	DB     *db.DB
	Master []secret.Key // the first wraps, all unwrap
	Now    func() time.Time
	Logger *slog.Logger
	// AccessToken is the kind of the first key that signs access tokens. The
	// zero Spec means RS256 with 2048 bits.
	AccessToken Spec
}

// Keyring gives out keys. It is safe for concurrent use.
type Keyring struct {
	db      *db.DB
	masters masters
	now     func() time.Time
	log     *slog.Logger
	state   atomic.Pointer[snapshot]
	people  *otter.Cache[actor.UserID, person]
	poke    chan struct{} // the keys changed
	gate    chan struct{} // held while reloading; guards asked and failed
	asked   time.Time     // when a request last caused a reload
	failed  error
}

// New checks the master keys against the database, makes the keys that are
// missing and loads them all. It returns ErrMasterKey if the database needs a
// master key that is not given.
func New(ctx context.Context, deps Deps) (*Keyring, error) {
	m, err := newMasters(deps.Master)
	if err != nil {
		return nil, err
	}
	people, err := newPeople()
	if err != nil {
		return nil, err
	}
	k := &Keyring{
		db: deps.DB, masters: m, now: deps.Now, log: deps.Logger, people: people,
		poke: make(chan struct{}, 1), gate: make(chan struct{}, 1),
	}
	if err := m.register(ctx, deps.DB); err != nil {
		return nil, err
	}
	if err := k.Reload(ctx); err != nil {
		return nil, err
	}
	if missing := k.state.Load().missing(); len(missing) > 0 {
		if err := k.create(ctx, missing, deps.AccessToken); err != nil {
			return nil, err
		}
	}
	deps.DB.Listen(channel, k.hear)
	return k, nil
}

// create makes the first key of each purpose. Where another node is quicker,
// its keys stay.
func (k *Keyring) create(ctx context.Context, purposes []Purpose, accessToken Spec) error {
	made := make([]stored, 0, len(purposes))
	for _, p := range purposes {
		pol, err := p.policy()
		if err != nil {
			return err
		}
		spec := pol.spec
		if p == AccessToken && accessToken != (Spec{}) {
			spec = accessToken
		}
		row, err := k.make(p, spec, Active)
		if err != nil {
			return err
		}
		row.ActiveFrom = row.CreatedAt
		made = append(made, row)
	}
	err := k.db.Tx(ctx, func(tx *db.Tx) error {
		for _, row := range made {
			if _, err := insertKey(ctx, tx, row); err != nil {
				return err
			}
		}
		tx.Notify(channel, "")
		return nil
	})
	if err != nil {
		return err
	}
	if err := k.Reload(ctx); err != nil {
		return err
	}
	if missing := k.state.Load().missing(); len(missing) > 0 {
		return fmt.Errorf("keyring: no active key for %v", missing)
	}
	return nil
}

// Run keeps the keys fresh until ctx ends.
func (k *Keyring) Run(ctx context.Context) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-k.poke:
		}
		if err := k.Reload(ctx); err != nil && ctx.Err() == nil {
			k.log.WarnContext(ctx, "keys not reloaded", "error", err)
		}
	}
}

// hear takes a note of channel.
func (k *Keyring) hear(payload string) {
	if payload != "" {
		k.hearErased(payload)
		return
	}
	select {
	case k.poke <- struct{}{}:
	default:
	}
}

// Reload reads the keys now. An error says which keys could not be opened, or
// that none could be read; what could be opened serves.
func (k *Keyring) Reload(ctx context.Context) error {
	if err := k.enter(ctx); err != nil {
		return err
	}
	defer func() { <-k.gate }()
	return k.reload(ctx)
}

// catchUp is Reload for a request: at most one a second, and those that come
// meanwhile wait for it. Reloads that the node makes by itself don't count: a
// key that another node signs with may be younger than the last of them.
func (k *Keyring) catchUp(ctx context.Context) error {
	if err := k.enter(ctx); err != nil {
		return err
	}
	defer func() { <-k.gate }()
	now := k.now()
	if since := now.Sub(k.asked); since >= 0 && since < again {
		return k.failed
	}
	k.asked = now
	// A client that hangs up must not spoil the answer for the others.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reloadTimeout)
	defer cancel()
	return k.reload(ctx)
}

func (k *Keyring) enter(ctx context.Context) error {
	select {
	case k.gate <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (k *Keyring) reload(ctx context.Context) error {
	at := k.now()
	rows, err := listKeys(ctx, k.db)
	if err != nil {
		k.failed = err
		return err
	}
	s, err := newSnapshot(rows, k.masters, k.state.Load(), at)
	k.state.Store(s)
	k.failed = err
	return err
}

// Current returns the active symmetric key of a purpose.
func (k *Keyring) Current(p Purpose) (Named, error) {
	n, ok := k.state.Load().current[p]
	if !ok {
		return Named{}, fmt.Errorf("active symmetric key for %s: %w", p, ErrNoKey)
	}
	return n, nil
}

// ByID returns a symmetric key that Current has named, or ErrNoKey once it is
// destroyed.
func (k *Keyring) ByID(p Purpose, id string) (secret.Key, error) {
	key, ok := k.state.Load().symmetric[named{p, id}]
	if !ok {
		return secret.Key{}, fmt.Errorf("symmetric key for %s: %w", p, ErrNoKey)
	}
	return key, nil
}

// Signing returns the active signing key of a purpose.
func (k *Keyring) Signing(p Purpose) (SigningKey, error) {
	sk, ok := k.state.Load().active[p]
	if !ok || sk.Signer == nil {
		return SigningKey{}, fmt.Errorf("active signing key for %s: %w", p, ErrNoKey)
	}
	return sk, nil
}

// Verification returns the signing key with that id if it verifies, as far as
// this node knows: one that is next, active or retired.
func (k *Keyring) Verification(p Purpose, id string) (SigningKey, bool) {
	sk, ok := k.state.Load().signing[named{p, id}]
	return sk, ok
}

// Find is Verification for what strangers send. It reloads once before it
// refuses an id with ErrNoKey, and whenever it cannot know of a withdrawal any
// more; then it returns the error that kept it from reading.
func (k *Keyring) Find(ctx context.Context, p Purpose, id string) (SigningKey, error) {
	s := k.state.Load()
	sk, ok := s.signing[named{p, id}]
	if ok && k.fresh(s) {
		return sk, nil
	}
	err := k.catchUp(ctx)
	if s = k.state.Load(); !k.fresh(s) {
		return SigningKey{}, fmt.Errorf("know which keys are withdrawn: %w", err)
	}
	if sk, ok = s.signing[named{p, id}]; !ok {
		return SigningKey{}, ErrNoKey
	}
	return sk, nil
}

// fresh reports whether s is young enough to know every withdrawal.
func (k *Keyring) fresh(s *snapshot) bool {
	age := k.now().Sub(s.at)
	return age <= maxAge && age >= -maxAge
}

// Published returns the signing keys of a purpose that verify, oldest first.
func (k *Keyring) Published(p Purpose) []SigningKey {
	s := k.state.Load()
	var list []SigningKey
	for _, key := range s.keys {
		if sk, ok := s.signing[named{p, key.ID.String()}]; ok {
			sk.Signer = nil
			list = append(list, sk)
		}
	}
	return list
}

// List returns what may be shown of every key, by purpose and age.
func (k *Keyring) List() []Key { return slices.Clone(k.state.Load().keys) }

// MasterID names the master key that wraps, and tells nothing else about it.
func (k *Keyring) MasterID() string { return k.masters.current }
