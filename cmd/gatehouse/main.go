// Command gatehouse is the whole program: every service and every tool for
// those who run it.
//
// A command is one file with a struct, whose fields are its flags, and a Run
// method that may ask for the context, which ends with SIGINT or SIGTERM, and
// for the env. It exits with 0 when all is well, 1 when something failed, and 2
// when the command line or the configuration is wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"syscall"

	"github.com/alecthomas/kong"

	"gatehouse/internal/config"
	"gatehouse/internal/platform/errs"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// cli lists the commands, in the order of the help.
type cli struct {
	Serve   serveCmd   `cmd:"" help:"Run Gatehouse."`
	Migrate migrateCmd `cmd:"" help:"Bring the database schema up to date, or show where it stands."`
	User    userCmd    `cmd:"" help:"Add, list, suspend people."`
	Key     keyCmd     `cmd:"" help:"List and replace keys."`
	Audit   auditCmd   `cmd:"" help:"Verify or export the log of every change."`
	Config  configCmd  `cmd:"" help:"Check or show the configuration."`
	Doctor  doctorCmd  `cmd:"" help:"Examine configuration, database, keys, Redis, mail and certificate, and say what to do. Changes nothing."`
	Hash    hashCmd    `cmd:"" help:"Measure password hashing."`
	Health  healthCmd  `cmd:"" help:"Ask a running server whether it is ready."`
	Version versionCmd `cmd:"" help:"Show the version of this program."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], &env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(),
	}))
}

// run runs one command and returns its exit code.
func run(ctx context.Context, args []string, e *env) int {
	flags := newConfigFlags()
	e.flags = flags
	commands := &cli{}
	flags.attach(reflect.ValueOf(commands).Elem())

	exited := false // kong showed the help and wants to leave
	parser, err := kong.New(commands,
		kong.Name("gatehouse"),
		kong.Description("Signs people in. Without configuration it runs on SQLite, memory and local files."),
		kong.Writers(e.Stdout, e.Stderr),
		kong.Exit(func(int) { exited = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.BindFor[context.Context](ctx),
		kong.Bind(e),
	)
	if err != nil {
		panic("gatehouse: command line: " + err.Error()) // only for a mistake in the structs
	}
	command, err := parser.Parse(args)
	if exited {
		return exitOK
	}
	if err != nil {
		_, _ = fmt.Fprintf(e.Stderr, "gatehouse: %s (try --help)\n", err)
		return exitUsage
	}
	return e.report(command.Run())
}

// env is what a command has from its surroundings.
type env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Environ        []string
	flags          *configFlagSet
}

// Load reads the configuration of a command that embeds configFlags. Its error
// ends the program with code 2. Warnings are for the command to show.
func (e *env) Load() (*config.Loaded, error) {
	return config.Load(config.Input{Flags: e.flags.values(), Environ: e.Environ, ReadFile: config.ReadFile})
}

// exitStatus ends the program with a code after the command itself said why.
type exitStatus int

// Error is never shown.
func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// report shows the error of a command and returns the exit code for it.
func (e *env) report(err error) int {
	var status exitStatus
	var faults *config.Error
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &status):
		return int(status)
	}
	_, _ = fmt.Fprintf(e.Stderr, "gatehouse: %s\n", err)
	if invalid := (*errs.Error)(nil); errors.As(err, &invalid) {
		for _, f := range invalid.Fields {
			_, _ = fmt.Fprintf(e.Stderr, "  %s: %s\n", f.Field, f.Message)
		}
	}
	if errors.As(err, &faults) {
		return exitUsage
	}
	return exitFailed
}
