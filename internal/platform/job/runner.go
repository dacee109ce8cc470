package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/platform/db"
)

// Handler does the work of one kind. Its context ends before its lease does;
// a handler that ignores that may run beside another. Its error is stored and
// logged, so it must hold no secret and nothing about a person.
type Handler func(ctx context.Context, j Job) error

// Deps is what a Runner needs. All fields are required.
type Deps struct {
	DB     *db.DB
	Logger *slog.Logger
	Now    func() time.Time
}

// Config tunes a Runner. The zero value works.
type Config struct {
	Workers int           // jobs at the same time; 0 means 4
	Timeout time.Duration // of one try; 0 means a minute
	Poll    time.Duration // how often to look without being woken; 0 means a second
	Grace   time.Duration // how long running jobs may go on after the end of Run's context; 0 means 15 s
	Keep    time.Duration // how long dead jobs are kept; 0 means 30 days
}

const (
	// leaseMargin is what a lease outlasts the context of its handler, so
	// that clocks which differ do not put two runners on one job.
	leaseMargin    = time.Minute
	settleTimeout  = 10 * time.Second
	schedulePrefix = "every:"
	maxReason      = 500
)

// Runner takes jobs and runs their handlers.
type Runner struct {
	db        *db.DB
	log       *slog.Logger
	now       func() time.Time
	config    Config
	kinds     []string
	handlers  map[string]Handler
	intervals map[string]time.Duration // of the kinds that are schedules
	wake      chan struct{}
}

// New returns a Runner without handlers. It also clears away dead jobs.
func New(d Deps, c Config) *Runner {
	c.Workers = or(c.Workers, 4)
	c.Timeout = or(c.Timeout, time.Minute)
	c.Poll = or(c.Poll, time.Second)
	c.Grace = or(c.Grace, 15*time.Second)
	c.Keep = or(c.Keep, 30*24*time.Hour)
	r := &Runner{
		db: d.DB, log: d.Logger, now: d.Now, config: c,
		handlers: map[string]Handler{}, intervals: map[string]time.Duration{}, wake: make(chan struct{}, 1),
	}
	d.DB.Listen(channel, func(string) { r.poke() })
	r.Every("job.clear_dead", time.Hour, func(ctx context.Context) error {
		return r.db.Tx(ctx, func(tx *db.Tx) error {
			deleteDead(tx, r.now().Add(-r.config.Keep))
			return nil
		})
	})
	return r
}

func or[T int | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

// Handle gives the jobs of a kind to fn. Call it before Run; a kind has one
// handler. Jobs of kinds without a handler wait for a runner that has one.
func (r *Runner) Handle(kind string, fn Handler) {
	if _, twice := r.handlers[kind]; twice || kind == "" || len(kind) > maxKind {
		panic("job: bad or repeated kind " + kind)
	}
	r.kinds = append(r.kinds, kind)
	r.handlers[kind] = fn
}

// Every runs fn at once when the schedule is new, and then an interval after
// each end, on one node at a time. A failure is logged and waits for the next
// turn. Call it before Run.
func (r *Runner) Every(name string, interval time.Duration, fn func(ctx context.Context) error) {
	kind := schedulePrefix + name
	r.Handle(kind, func(ctx context.Context, _ Job) error { return fn(ctx) })
	r.intervals[kind] = interval
}

// poke wakes Run if it sleeps. Pokes that come together count once.
func (r *Runner) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx ends, then takes nothing more, lets running jobs finish
// (cancelling them after the grace) and returns nil.
func (r *Runner) Run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var running sync.WaitGroup
	slots := make(chan struct{}, r.config.Workers)
	ticker := time.NewTicker(r.config.Poll)
	defer ticker.Stop()
	planned := false
	for ctx.Err() == nil {
		planned = planned || r.plan(ctx)
		jobs := r.take(ctx, cap(slots)-len(slots))
		for _, j := range jobs {
			slots <- struct{}{}
			running.Go(func() {
				r.work(work, j)
				<-slots
				r.poke() // a slot is free
			})
		}
		if len(jobs) > 0 && len(slots) < cap(slots) {
			continue // there may be more
		}
		select {
		case <-ctx.Done():
		case <-r.wake:
		case <-ticker.C:
		}
	}
	end := time.AfterFunc(r.config.Grace, stop)
	defer end.Stop()
	running.Wait()
	return nil
}

// plan makes the rows of the schedules and reports whether it could.
func (r *Runner) plan(ctx context.Context) bool {
	err := r.db.Tx(ctx, func(tx *db.Tx) error {
		for kind, interval := range r.intervals {
			plan(tx, kind, r.now(), interval)
		}
		return nil
	})
	r.report(ctx, "plan schedules", err)
	return err == nil
}

// take claims what is due, up to the number of free slots.
func (r *Runner) take(ctx context.Context, free int) []Job {
	if free == 0 {
		return nil
	}
	now := r.now()
	due, err := anyDue(ctx, r.db, r.kinds, now)
	if err != nil || !due {
		r.report(ctx, "look for jobs", err)
		return nil
	}
	var jobs []Job
	err = r.db.Tx(ctx, func(tx *db.Tx) error {
		jobs, err = claim(ctx, tx, r.kinds, now, now.Add(r.config.Timeout+leaseMargin), free)
		return err
	})
	if err != nil {
		// If the commit was lost on the way the leases run out by themselves.
		r.report(ctx, "take jobs", err)
		return nil
	}
	return jobs
}

func (r *Runner) report(ctx context.Context, doing string, err error) {
	if err != nil && ctx.Err() == nil {
		r.log.WarnContext(ctx, "job queue", "doing", doing, "error", err)
	}
}

// work runs one job, logs its failure and settles it.
func (r *Runner) work(ctx context.Context, j Job) {
	var err error
	_, scheduled := r.intervals[j.Kind]
	if !scheduled && j.Attempt > j.maxAttempts {
		err = fmt.Errorf("%w: its process ended during the last try", ErrAbandon)
	} else {
		err = r.call(ctx, j)
	}
	dead := !scheduled && err != nil && (j.Attempt >= j.maxAttempts || errors.Is(err, ErrAbandon))
	if err != nil {
		level := slog.LevelWarn
		if dead {
			level = slog.LevelError
		}
		r.log.Log(ctx, level, "job failed", "job", j.ID, "kind", j.Kind, "attempt", j.Attempt, "dead", dead, "error", err)
	}
	// Settling outlives a cancelled handler: its work is done or it is not.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	now := r.now()
	lost := r.db.Tx(ctx, func(tx *db.Tx) error {
		switch {
		case scheduled:
			rearm(tx, j, now.Add(r.intervals[j.Kind]), reason(err))
		case dead:
			bury(tx, j, now, reason(err))
		case err != nil:
			postpone(tx, j, now.Add(backoff(j.Attempt)), reason(err))
		default:
			remove(tx, j)
		}
		return nil
	})
	r.report(ctx, "settle a job", lost)
}

// reason is what of err is stored: short, and text that any engine takes.
func reason(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	return strings.ReplaceAll(strings.ToValidUTF8(text[:min(len(text), maxReason)], ""), "\x00", "")
}

// call runs the handler; a panic is an error like any other.
func (r *Runner) call(ctx context.Context, j Job) (err error) {
	ctx, cancel := context.WithTimeout(ctx, r.config.Timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			r.log.ErrorContext(ctx, "job panicked", "job", j.ID, "kind", j.Kind, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = errors.New("job: handler panicked")
		}
	}()
	return r.handlers[j.Kind](ctx, j)
}

const (
	firstPause = 5 * time.Second
	maxPause   = time.Hour
)

// backoff is the pause after the given attempt: doubled each time, and spread
// by a quarter either way so that what failed together is not tried together.
func backoff(attempt int) time.Duration {
	pause := maxPause
	if attempt < 11 {
		pause = min(maxPause, firstPause<<(attempt-1))
	}
	return pause*3/4 + rand.N(pause/2)
}
