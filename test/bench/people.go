package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"gatehouse/internal/account"
	"gatehouse/internal/actor"
	"gatehouse/internal/app"
	"gatehouse/internal/config"
	"gatehouse/internal/identity"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/id"
	"gatehouse/internal/session"
)

// How many people there are, and how many of them take part. The limits of a
// person (600 calls a minute) and of a session (30 refreshes a minute) are on,
// so a load is spread over many.
const (
	everyone = 10_000
	members  = 2_400 // signed in, without permissions
	staff    = 480   // signed in, may list, create and change people
	guests   = 96    // have a password and sign in with it
)

// guestPassword is the password of every guest.
const guestPassword = "seven benches in the long garden"

// person is somebody who takes part.
type person struct {
	from    string // address of their client
	email   string
	access  string
	refresh string
}

// cast is everybody who takes part in the measurements.
type cast struct {
	members, staff, guests []person
	auditor                person
	minted                 time.Time // when the access tokens were issued
}

// seed fills an empty installation with people, using the program's own parts
// as they run inside the server, and signs some of them in.
func seed(ctx context.Context, s *stack) (*cast, error) {
	loaded, err := config.Load(config.Input{Environ: s.environ(), ReadFile: config.ReadFile})
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	a, err := app.New(ctx, loaded.Config, app.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("fill the database: %w", err)
	}
	defer a.Close()
	sw := sower{a: a, by: actor.ForSystem("bench")}
	c := &cast{}
	if c.guests, err = sw.guests(ctx, guests); err != nil {
		return nil, err
	}
	if c.members, err = sw.signedIn(ctx, "", members); err != nil {
		return nil, err
	}
	if c.staff, err = sw.signedIn(ctx, "support", staff); err != nil {
		return nil, err
	}
	auditors, err := sw.signedIn(ctx, "auditor", 1)
	if err != nil {
		return nil, err
	}
	c.auditor = auditors[0]
	if err := sw.rest(ctx, everyone-sw.n); err != nil {
		return nil, err
	}
	return c, s.settle(ctx)
}

// settle does at once what PostgreSQL does within a minute of so many
// insertions: without statistics its plans are those for an empty table.
func (s *stack) settle(ctx context.Context) error {
	if s.name == embedded {
		return nil
	}
	conn, err := pgx.Connect(ctx, s.database)
	if err != nil {
		return fmt.Errorf("gather statistics: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, `VACUUM ANALYZE`); err != nil {
		return fmt.Errorf("gather statistics: %w", err)
	}
	return nil
}

// sower adds people.
type sower struct {
	a  *app.App
	by actor.Actor
	n  int // added so far
}

// batch is how many people one transaction adds.
const batch = 200

// newPerson is person number n. One in three has a phone number, which is
// stored sealed.
func newPerson(n int) identity.NewUser {
	first, last := firstNames[n%len(firstNames)], lastNames[n/len(firstNames)%len(lastNames)]
	u := identity.NewUser{
		FirstName: first, LastName: last, Username: fmt.Sprintf("%s%d", strings.ToLower(last), n), EmailVerified: true,
		Email: fmt.Sprintf("%s.%s%d@%s", strings.ToLower(first), strings.ToLower(last), n, domains[n%len(domains)]),
	}
	if n%3 == 0 {
		u.Phone = fmt.Sprintf("+4420%08d", n)
	}
	return u
}

func (s *sower) next() (identity.NewUser, person) {
	u := newPerson(s.n)
	p := person{from: netip.AddrFrom4([4]byte{10, byte(s.n >> 16), byte(s.n >> 8), byte(s.n)}).String(), email: u.Email}
	s.n++
	return u, p
}

// guests adds people with one password. It is hashed once: what is stored of
// it is bound to the installation, not to a person.
func (s *sower) guests(ctx context.Context, n int) ([]person, error) {
	first, p := s.next()
	if _, err := s.a.Accounts.Create(ctx, s.by, account.NewPerson{NewUser: first, Password: guestPassword}); err != nil {
		return nil, fmt.Errorf("add a guest: %w", err)
	}
	login, err := s.a.Users.FindLogin(ctx, s.a.DB, first.Email)
	if err != nil {
		return nil, fmt.Errorf("find a guest: %w", err)
	}
	list := []person{p}
	err = s.add(ctx, n-1, func(tx *db.Tx, u identity.NewUser, p *person) error {
		u.PasswordHash = login.PasswordHash
		_, err := s.a.Users.Insert(ctx, tx, u)
		return err
	}, &list)
	return list, err
}

// signedIn adds people with a session each and, unless it is "", a role.
func (s *sower) signedIn(ctx context.Context, role string, n int) ([]person, error) {
	var list []person
	err := s.add(ctx, n, func(tx *db.Tx, u identity.NewUser, p *person) error {
		u.PasswordHash = "-" // no password matches it, and the account is active
		added, err := s.a.Users.Insert(ctx, tx, u)
		if err != nil {
			return err
		}
		if role != "" {
			if _, err := s.a.Roles.GrantTx(ctx, tx, s.by, added.ID, "roles", []string{role}); err != nil {
				return err
			}
		}
		_, refresh, err := s.a.Sessions.StartTx(ctx, tx, session.NewSession{
			UserID: added.ID, ClientID: "gatehouse", Delivery: session.ByBody, IP: netip.MustParseAddr(p.from),
			UserAgent: "gatehouse-bench", AMR: []string{"pwd"}, Privileged: role != "",
		})
		p.refresh = refresh.Reveal()
		return err
	}, &list)
	return list, err
}

// rest adds people who take no part.
func (s *sower) rest(ctx context.Context, n int) error {
	return s.add(ctx, n, func(tx *db.Tx, u identity.NewUser, _ *person) error {
		_, err := s.a.Users.Insert(ctx, tx, u)
		return err
	}, nil)
}

// add runs one for each of n new people, and appends them to list.
func (s *sower) add(ctx context.Context, n int, one func(*db.Tx, identity.NewUser, *person) error, list *[]person) error {
	for left := n; left > 0; left -= batch {
		start := s.n
		var added []person
		err := s.a.DB.Tx(ctx, func(tx *db.Tx) error {
			s.n, added = start, nil // the transaction may run again
			for range min(left, batch) {
				u, p := s.next()
				if err := one(tx, u, &p); err != nil {
					return err
				}
				added = append(added, p)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("add people: %w", err)
		}
		if list != nil {
			*list = append(*list, added...)
		}
	}
	return nil
}

// crowd adds people up to n by COPY, with the columns as package identity
// fills them. They have no phone number and no key: nobody changes them. The
// index of the search is made again afterwards, which is faster.
func crowd(ctx context.Context, s *stack, n int) error {
	conn, err := pgx.Connect(ctx, s.database)
	if err != nil {
		return fmt.Errorf("add a crowd: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	var index string
	if err := conn.QueryRow(ctx, `SELECT pg_get_indexdef('users_search_idx'::regclass)`).Scan(&index); err != nil {
		return fmt.Errorf("add a crowd: %w", err)
	}
	if _, err := conn.Exec(ctx, `DROP INDEX users_search_idx`); err != nil {
		return fmt.Errorf("add a crowd: %w", err)
	}
	at := everyone
	began := time.Now().UTC().AddDate(-3, 0, 0)
	rows := pgx.CopyFromFunc(func() ([]any, error) {
		if at >= n {
			return nil, nil
		}
		u := newPerson(at)
		at++
		created := began.Add(time.Duration(at) * time.Minute)
		email, _ := identity.CanonicalEmail(u.Email)
		username, _ := identity.CanonicalUsername(u.Username)
		search := identity.Fold(u.Email + "\n" + u.Username + "\n" + u.FirstName + "\n" + u.LastName)
		return []any{
			[16]byte(id.New[actor.Subject](created)), u.Email, email, u.Username, username, "!",
			u.FirstName, u.LastName, true, "pending", search, created, created,
		}, nil
	})
	if _, err := conn.CopyFrom(ctx, pgx.Identifier{"users"}, []string{
		"id", "email", "canonical_email", "username", "canonical_username", "password_hash",
		"first_name", "last_name", "email_verified", "account_status", "search_text", "created_at", "updated_at",
	}, rows); err != nil {
		return fmt.Errorf("add a crowd: %w", err)
	}
	if _, err := conn.Exec(ctx, index); err != nil {
		return fmt.Errorf("add a crowd: %w", err)
	}
	return s.settle(ctx)
}
