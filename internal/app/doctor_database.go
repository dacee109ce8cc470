package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/job"
)

// Limits beyond which a backlog or a difference is told.
const (
	clockWarn   = 5 * time.Second
	clockFail   = 30 * time.Second // more makes tokens of one node wrong on another (DEP-8)
	sealWithin  = time.Minute
	workWithin  = 2 * time.Minute
	shownFaults = 3
)

const seeToDatabase = "see to the server and GATEHOUSE_DATABASE_URL"

// database opens the database and makes every check that needs it.
func (d *doctor) database(ctx context.Context) []Finding {
	const check = "database"
	url := d.cfg.Database.URL.Reveal()
	if path, embedded := strings.CutPrefix(url, "sqlite:"); embedded {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return []Finding{{check, OK, path + " does not exist yet; the first start makes it", ""}}
		}
	}
	opened, err := db.Open(ctx, db.Config{URL: url, PoolSize: 2, Now: d.Now, Logger: d.Logger})
	if err != nil {
		return []Finding{{check, Fail, err.Error(), seeToDatabase}}
	}
	defer opened.Close()
	began := d.Now()
	server, err := opened.Inspect(ctx)
	if err != nil {
		return []Finding{{check, Fail, err.Error(), seeToDatabase}}
	}
	found := []Finding{{check, OK, server.Version, ""}}
	if server.TooOld {
		found = []Finding{{check, Fail, server.Version + " is too old", "move to PostgreSQL 14 or later"}}
	}
	if !opened.Embedded() {
		asked := began.Add(d.Now().Sub(began) / 2)
		found = append(found, clock(server.Clock.Sub(asked)), d.role(server), d.owner(ctx))
	}
	complete := schema(ctx, opened)
	if found = append(found, complete); complete.Verdict != OK {
		return found // the rest reads tables
	}
	return append(found, d.masterKey(ctx, opened), d.log(ctx, opened), d.jobs(ctx, opened))
}

func clock(difference time.Duration) Finding {
	f := Finding{"clock", OK, fmt.Sprintf("%v from the database's", difference.Abs().Round(time.Millisecond)), ""}
	switch {
	case difference.Abs() > clockFail:
		f.Verdict = Fail
	case difference.Abs() > clockWarn:
		f.Verdict = Warn
	default:
		return f
	}
	f.Advice = "let both machines follow the same time servers"
	return f
}

// role looks whether the application could rewrite the log (AUD-3).
func (d *doctor) role(s db.Server) Finding {
	if len(s.MayChange) == 0 {
		return Finding{"database role", OK, s.Role + " can add to the log and not change it", ""}
	}
	return Finding{
		"database role", d.strictly(), s.Role + " may change what was written to " + strings.Join(s.MayChange, ", "),
		"give the application a role of its own: GATEHOUSE_MIGRATE_DATABASE_URL for the owner, then gatehouse migrate up",
	}
}

// owner looks whether the jobs can make partitions.
func (d *doctor) owner(ctx context.Context) Finding {
	const check = "database owner"
	if d.cfg.Database.MigrateURL == "" {
		return Finding{check, OK, "GATEHOUSE_MIGRATE_DATABASE_URL is not set: the application's role migrates", ""}
	}
	owner, err := db.Open(ctx, db.Config{URL: d.cfg.Database.MigrateURL.Reveal(), PoolSize: 1, Now: d.Now, Logger: d.Logger})
	if err == nil {
		defer owner.Close()
		err = owner.Ping(ctx)
	}
	if err != nil {
		return Finding{check, Warn, err.Error(), "see to GATEHOUSE_MIGRATE_DATABASE_URL: migrations and partitions of the log need it"}
	}
	return Finding{check, OK, "the database lets it in", ""}
}

func schema(ctx context.Context, d *db.DB) Finding {
	const check = "schema"
	err := d.RequireSchema(ctx)
	switch {
	case err == nil:
		return Finding{check, OK, "up to date", ""}
	case d.Embedded():
		return Finding{check, Warn, err.Error(), "start gatehouse serve, which migrates its own database"}
	}
	return Finding{check, Fail, err.Error(), "gatehouse migrate up"}
}

func (d *doctor) masterKey(ctx context.Context, opened *db.DB) Finding {
	const check = "master key"
	keys := d.cfg.MasterKeys
	if len(keys) == 0 {
		path := d.cfg.MasterKeyPath()
		_, err := os.Stat(path)
		if err == nil {
			keys, _, err = config.EnsureMasterKey(path) // reads it, since it exists
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Finding{check, Fail, err.Error(), "chmod 0600 " + path + ", or restore the file from its backup"}
		}
	}
	needed, err := keyring.Fit(ctx, opened, keys)
	switch {
	case err != nil:
		return Finding{check, Fail, err.Error(), "restore the key from its backup; without it nothing that is sealed can be read"}
	case needed == 0:
		return Finding{check, OK, "the database holds no keys yet", ""}
	case needed < len(keys):
		return Finding{check, Warn, "more keys are given than the database needs", "gatehouse key rewrap, then take the old ones away"}
	case needed > 1:
		return Finding{check, Warn, "a replacement of the master key is not complete", "gatehouse key rewrap"}
	}
	return Finding{check, OK, "fits the database", ""}
}

func (d *doctor) log(ctx context.Context, opened *db.DB) Finding {
	const check = "audit log"
	c, err := audit.Inspect(ctx, opened, d.Now())
	switch {
	case err != nil:
		return Finding{check, Fail, err.Error(), seeToDatabase}
	case c.Unsealed > 0 && d.Now().Sub(c.Oldest) > sealWithin:
		return Finding{
			check, Warn, fmt.Sprintf("%d entries wait for their seal, the oldest for %v", c.Unsealed, d.Now().Sub(c.Oldest).Round(time.Second)),
			"run a server with the jobs service",
		}
	case c.Stray:
		return Finding{
			check, Warn, "entries are in the default partition, since their month had none in time",
			"run a server with the jobs service and GATEHOUSE_MIGRATE_DATABASE_URL, which makes partitions in time",
		}
	case !c.Prepared:
		return Finding{check, Warn, "next month has no partition yet", "gatehouse migrate up"}
	}
	return Finding{check, OK, fmt.Sprintf("sealed but for %d entries", c.Unsealed), ""}
}

func (d *doctor) jobs(ctx context.Context, opened *db.DB) Finding {
	const check = "jobs"
	b, err := job.Inspect(ctx, opened, d.Now())
	if err != nil {
		return Finding{check, Fail, err.Error(), seeToDatabase}
	}
	if !b.Since.IsZero() && d.Now().Sub(b.Since) > workWithin {
		return Finding{
			check, Warn, fmt.Sprintf("the oldest has been due for %v", d.Now().Sub(b.Since).Round(time.Second)),
			"run a server with the jobs service",
		}
	}
	if b.Dead == 0 {
		return Finding{check, OK, "none is late", ""}
	}
	dead, err := job.ListDead(ctx, opened, shownFaults)
	if err != nil {
		return Finding{check, Fail, err.Error(), seeToDatabase}
	}
	var last []string
	for _, j := range dead {
		last = append(last, j.Kind+": "+j.LastError)
	}
	return Finding{
		check, Warn, fmt.Sprintf("%d were given up, last %s", b.Dead, strings.Join(last, "; ")),
		"see to the cause; they are kept for 30 days",
	}
}
