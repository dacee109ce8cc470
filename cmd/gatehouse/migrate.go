package main

import (
	"context"
	"fmt"
	"io"
	"net/url"

	"gatehouse/internal/app"
	"gatehouse/internal/config"
	"gatehouse/internal/platform/db"
)

type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Take every step that is missing. Safe to repeat, and to run while an older version serves."`
	Status migrateStatusCmd `cmd:"" help:"List the steps and which of them are applied. Exits with 1 where one is missing."`
}

type migrateUpCmd struct {
	outputFlag
	configFlags
}

// migrated is what migrate up says to a program.
type migrated struct {
	Applied []string `json:"applied"`
}

// Run migrates as the owner of the schema, and lets the application's role in.
func (c migrateUpCmd) Run(ctx context.Context, e *env) error {
	loaded, err := e.Load()
	if err != nil {
		return err
	}
	owner, role := ownerOf(&loaded.Config)
	d, err := db.Open(ctx, db.Config{URL: owner, PoolSize: 2})
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := app.Migrate(ctx, d, role)
	if err != nil {
		return err
	}
	return c.show(e.Stdout, migrated{append([]string{}, names...)}, func(w io.Writer) error {
		for _, name := range names {
			if _, err := fmt.Fprintln(w, "applied", name); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintln(w, "the schema is up to date")
		return err
	})
}

// ownerOf returns the URL of the role that owns the schema, and the name of
// the application's role where that is another one.
func ownerOf(c *config.Config) (owner, role string) {
	owner = c.Database.MigrateURL.Reveal()
	if owner == "" || c.Database.SQLite() {
		return c.Database.URL.Reveal(), ""
	}
	if u, err := url.Parse(c.Database.URL.Reveal()); err == nil && u.User != nil {
		role = u.User.Username()
	}
	if u, err := url.Parse(owner); err == nil && u.User != nil && u.User.Username() == role {
		role = ""
	}
	return owner, role
}

type migrateStatusCmd struct {
	outputFlag
	configFlags
}

// Run lists the steps of the schema.
func (c migrateStatusCmd) Run(ctx context.Context, e *env) error {
	loaded, err := e.Load()
	if err != nil {
		return err
	}
	d, err := db.Open(ctx, db.Config{URL: loaded.Database.URL.Reveal(), PoolSize: 1})
	if err != nil {
		return err
	}
	defer d.Close()
	steps, err := d.Migrations(ctx)
	if err != nil {
		return err
	}
	missing := false
	if err := c.show(e.Stdout, steps, func(w io.Writer) error {
		for _, s := range steps {
			state := "missing"
			if s.Applied {
				state = "applied"
			}
			if _, err := fmt.Fprintf(w, "%-8s %s\n", state, s.Name); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for _, s := range steps {
		missing = missing || !s.Applied
	}
	if missing {
		return exitStatus(exitFailed)
	}
	return nil
}
