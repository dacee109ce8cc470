// Command bench measures Gatehouse and prints the table of its figures:
//
//	go run ./test/bench
//	go run ./test/bench --stack embedded --only profile,refresh --seconds 10
//	go run ./test/bench --million --out docs/performance.md
//
// It builds the program, runs it as its operators do, with default limits, the
// log on and the sealer running: one process on SQLite, then two processes on
// a PostgreSQL that syncs to disk and a Redis, both started for the run. It
// ends what it started and removes what it wrote.
//
// The exit code is 1 where something could not be measured. A missed floor is
// told in the table, not by the exit code: machines differ.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// settings are the flags.
type settings struct {
	stacks  []string
	only    []string // empty: all but million
	seconds int
	million bool
	keep    bool
	bin     string
	out     string
	pprof   string
}

func (s settings) length() time.Duration { return time.Duration(s.seconds) * time.Second }

func (s settings) wants(operation string) bool {
	if operation == "million" {
		return s.million || slices.Contains(s.only, operation)
	}
	return len(s.only) == 0 || slices.Contains(s.only, operation)
}

// longest bounds a whole run.
const longest = 40 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	s, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(ctx, s)
	}
	if err != nil {
		progress("%v", err)
		os.Exit(1) //nolint:gocritic // nothing is left to be undone
	}
}

func parse(args []string) (settings, error) {
	var s settings
	var names []string
	for _, o := range operations() {
		names = append(names, o.name)
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	stacks := flags.String("stack", embedded+","+production, "which stacks, separated by commas")
	only := flags.String("only", "", "measure only these, separated by commas: "+strings.Join(names, ", "))
	flags.IntVar(&s.seconds, "seconds", 10, "how long each load is measured, 1 to 120")
	flags.BoolVar(&s.million, "million", false, "also list and search among a million people (PostgreSQL)")
	flags.StringVar(&s.bin, "bin", "", "measure this program instead of building one")
	flags.BoolVar(&s.keep, "keep", false, "keep the folder of the run, with the logs")
	flags.StringVar(&s.out, "out", "", "write the page docs/performance.md to this file")
	flags.StringVar(&s.pprof, "pprof", "", "write a processor profile of the server for each load to this folder")
	if err := flags.Parse(args); err != nil {
		return s, fmt.Errorf("command line: %w", err)
	}
	if s.seconds < 1 || s.seconds > 120 || flags.NArg() > 0 {
		return s, errors.New("command line: try --help")
	}
	var err error
	if s.stacks, err = choose(*stacks, []string{embedded, production}); err != nil {
		return s, err
	}
	s.only, err = choose(*only, names)
	return s, err
}

// choose reads a list of names that must be among those known.
func choose(list string, known []string) ([]string, error) {
	var chosen []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		switch {
		case name == "":
		case !slices.Contains(known, name):
			return nil, fmt.Errorf("command line: %q is none of %s", name, strings.Join(known, ", "))
		default:
			chosen = append(chosen, name)
		}
	}
	return chosen, nil
}

func run(ctx context.Context, s settings) (err error) {
	dir, err := os.MkdirTemp("", "gatehouse-bench-")
	if err != nil {
		return fmt.Errorf("make temporary folder: %w", err)
	}
	if s.keep {
		progress("the run is kept in %s", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	if s.pprof != "" {
		if err := os.MkdirAll(s.pprof, 0o755); err != nil {
			return fmt.Errorf("make folder of profiles: %w", err)
		}
	}
	bin := s.bin
	if bin == "" {
		bin = filepath.Join(dir, "gatehouse")
		build := exec.CommandContext(ctx, "go", "build", "-o", bin, "./cmd/gatehouse")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build: %w\n%s", err, out)
		}
	}
	r := report{machine: readMachine(ctx), settings: s, began: time.Now(), figures: map[string]map[string]figure{}}
	if len(s.only) == 0 {
		if r.hashes, err = measureHashes(ctx); err != nil {
			return err
		}
	}
	var failed []error
	for _, name := range s.stacks {
		b, err := measureStack(ctx, s, name, bin, filepath.Join(dir, name))
		if b != nil {
			r.figures[name] = b.figures
			r.details = append(r.details, b.details...)
		}
		failed = append(failed, err)
	}
	fmt.Print(r.table())
	fmt.Print("\n", r.loads())
	if s.out != "" {
		failed = append(failed, os.WriteFile(s.out, []byte(r.page()), 0o644))
	}
	return errors.Join(failed...)
}

// measureStack measures what is wanted on one stack. What fails is told, and
// the rest goes on.
func measureStack(ctx context.Context, s settings, name, bin, dir string) (*bench, error) {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	progress("%s: starting, and filling the database", name)
	st, err := newStack(name, bin, dir)
	if err != nil {
		return nil, err
	}
	defer st.close()
	b := &bench{settings: s, stack: st, figures: map[string]figure{}}
	if err := b.open(ctx, "main"); err != nil {
		return nil, err
	}
	if _, err := st.start(ctx); err != nil {
		return nil, err
	}
	var failed []error
	for _, o := range operations() {
		if !s.wants(o.name) || ctx.Err() != nil {
			continue
		}
		if err := o.run(b, ctx); err != nil {
			failed = append(failed, fmt.Errorf("%s, %s: %w", name, o.name, err))
			progress("%v", failed[len(failed)-1])
		}
	}
	return b, errors.Join(append(failed, ctx.Err())...)
}

// open makes an installation with people in it, and does not start it.
func (b *bench) open(ctx context.Context, database string) (err error) {
	if err := b.stack.use(ctx, database); err != nil {
		return err
	}
	if err := b.stack.migrate(ctx); err != nil {
		return err
	}
	b.cast, err = seed(ctx, b.stack)
	return err
}

// progress tells what happens, beside the table.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}
