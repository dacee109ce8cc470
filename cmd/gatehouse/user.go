package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"gatehouse/internal/account"
	"gatehouse/internal/actor"
	"gatehouse/internal/api/userview"
	"gatehouse/internal/app"
	"gatehouse/internal/config"
	"gatehouse/internal/identity"
	"gatehouse/internal/platform/id"
	"gatehouse/internal/platform/secret"
)

type userCmd struct {
	Create  userCreateCmd  `cmd:"" help:"Add a person. Without a password the account is pending."`
	List    userListCmd    `cmd:"" help:"List or search people, newest first."`
	Disable userDisableCmd `cmd:"" help:"Suspend a person and end their sessions, on every server at once."`
	Enable  userEnableCmd  `cmd:"" help:"End a suspension."`
}

type userCreateCmd struct {
	Email              string   `required:"" placeholder:"ADDRESS" help:"E-mail address."`
	Username           string   `placeholder:"NAME" help:"Username."`
	FirstName          string   `placeholder:"NAME" help:"First name."`
	LastName           string   `placeholder:"NAME" help:"Last name."`
	Role               []string `sep:"none" placeholder:"ROLE" help:"Role to give, by name or id, besides user. May be repeated."`
	Verified           bool     `help:"The address is known to be theirs: they can sign in without proving it."`
	PasswordStdin      bool     `xor:"password" help:"Read the password from standard input. A line break at its end is not part of it."`
	PasswordFile       string   `xor:"password" placeholder:"FILE" help:"Read the password from a file, - for standard input. A line break at its end is not part of it."`
	MustChangePassword bool     `help:"They have to choose another password when they first sign in."`
	outputFlag
	configFlags
}

// Run adds the person.
func (c userCreateCmd) Run(ctx context.Context, e *env) error {
	password, err := c.password(e)
	if err != nil {
		return err
	}
	a, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer a.Close()
	p, err := a.Accounts.Create(ctx, operator("user create"), account.NewPerson{
		NewUser: identity.NewUser{
			Email: c.Email, Username: c.Username, FirstName: c.FirstName, LastName: c.LastName,
			EmailVerified: c.Verified, PasswordChangeRequired: c.MustChangePassword,
		},
		Password: password, Roles: c.Role,
	})
	if err != nil {
		return err
	}
	return c.show(e.Stdout, userview.From(p), func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "created %s, %s, with id %s\n", p.Email, p.Status, p.ID)
		return err
	})
}

// maxPassword bounds what is read; the rules for passwords are stricter.
const maxPassword = 4 << 10

// password reads the password, or returns "" where none is to be read.
func (c userCreateCmd) password(e *env) (secret.String, error) {
	var text []byte
	var err error
	switch {
	case c.PasswordStdin, c.PasswordFile == "-":
		text, err = io.ReadAll(io.LimitReader(e.Stdin, maxPassword))
	case c.PasswordFile != "":
		text, _, err = config.ReadFile(c.PasswordFile)
	default:
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	password := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if password == "" {
		return "", errors.New("read password: there is none")
	}
	return secret.String(password), nil
}

type userListCmd struct {
	Q      string `placeholder:"TEXT" help:"Fragment of e-mail, username or name."`
	Status string `enum:",active,pending,suspended,deactivated,deleted" default:"" placeholder:"STATUS" help:"active, pending, suspended, deactivated or deleted. Default: any but deleted."`
	Role   string `placeholder:"ROLE" help:"Name of a role that they hold."`
	Limit  int    `default:"50" help:"How many to list at most; 0 for all."`
	outputFlag
	configFlags
}

// pageSize is how many people one query reads.
const pageSize = 200

// people is what user list says to a program.
type people struct {
	Items []userview.User `json:"items"`
	More  bool            `json:"more"` // there are people beyond the limit
}

// Validate is for the command line.
func (c userListCmd) Validate() error {
	if c.Limit < 0 {
		return errors.New("--limit must not be negative")
	}
	return nil
}

// Run lists people.
func (c userListCmd) Run(ctx context.Context, e *env) error {
	a, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer a.Close()
	found, err := c.find(ctx, a)
	if err != nil {
		return err
	}
	return c.show(e.Stdout, found, func(w io.Writer) error {
		rows := make([][]string, len(found.Items))
		for i, p := range found.Items {
			rows[i] = []string{
				p.ID.String(), p.Email, string(p.AccountStatus), strconv.FormatBool(p.EmailVerified),
				strings.Join(p.Roles, ","), date(p.CreatedAt),
			}
		}
		if found.More {
			defer fmt.Fprintln(e.Stderr, "there are more: raise --limit")
		}
		return table(w, []string{"ID", "E-MAIL", "STATUS", "VERIFIED", "ROLES", "CREATED"}, rows)
	})
}

// find reads page after page up to the limit.
func (c userListCmd) find(ctx context.Context, a *app.App) (people, error) {
	list := people{Items: []userview.User{}}
	q := account.Query{Query: identity.Query{Search: c.Q, Status: identity.Status(c.Status)}, Role: c.Role}
	for {
		q.Limit = pageSize
		if c.Limit > 0 {
			q.Limit = min(pageSize, c.Limit-len(list.Items))
		}
		page, err := a.Accounts.List(ctx, operator("user list"), q)
		if err != nil {
			return list, err
		}
		for _, p := range page.People {
			list.Items = append(list.Items, userview.From(p))
		}
		list.More = page.Next != nil
		if q.After = page.Next; !list.More || len(list.Items) == c.Limit {
			return list, nil
		}
	}
}

type userDisableCmd struct {
	User string `arg:"" help:"Id, e-mail address or username."`
	outputFlag
	configFlags
}

// Run suspends the person.
func (c userDisableCmd) Run(ctx context.Context, e *env) error {
	return setStatus(ctx, e, c.outputFlag, operator("user disable"), c.User, identity.Suspended)
}

type userEnableCmd struct {
	User string `arg:"" help:"Id, e-mail address or username."`
	outputFlag
	configFlags
}

// Run lets the person in again.
func (c userEnableCmd) Run(ctx context.Context, e *env) error {
	return setStatus(ctx, e, c.outputFlag, operator("user enable"), c.User, identity.Active)
}

func setStatus(ctx context.Context, e *env, o outputFlag, by actor.Actor, ref string, to identity.Status) error {
	a, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer a.Close()
	u, err := findPerson(ctx, a, ref)
	if err != nil {
		return err
	}
	p, err := a.Accounts.Update(ctx, by, u, 0, account.UserChange{Status: &to})
	if err != nil {
		return err
	}
	return o.show(e.Stdout, userview.From(p), func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s is %s\n", p.Email, p.Status)
		return err
	})
}

// findPerson returns whom an operator names. A username never looks like an id
// or an address.
func findPerson(ctx context.Context, a *app.App, ref string) (identity.UserID, error) {
	if u, err := id.Parse[actor.Subject](ref); err == nil {
		return u, nil
	}
	found, err := a.Users.FindLogin(ctx, a.DB, ref)
	return found.ID, err
}
