// Command servers runs a command with a PostgreSQL and a Redis of its own:
//
//	go run ./test/servers -- go test ./...
//
// It starts both on free loopback ports in a temporary directory, puts their
// addresses in the environment (GATEHOUSE_TEST_POSTGRES_URL,
// GATEHOUSE_TEST_REDIS_URL) together with the paths of their programs
// (GATEHOUSE_TEST_POSTGRES_BIN, GATEHOUSE_TEST_REDIS_BIN), passes signals and
// the exit code on, and removes everything when the command ends. Without a
// command it prints the variables and stays until it is interrupted.
//
// The exit code is 2 where a server can't be had, else the command's.
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
	"sync"
	"syscall"

	"gatehouse/test/servers/local"
)

// exitUnusable tells that a server or the command could not be started.
const exitUnusable = 2

func main() {
	durable := flag.Bool("durable", false, "PostgreSQL syncs to disk, as in production (for benchmarks)")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: go run ./test/servers [--durable] [-- command argument...]")
		flag.PrintDefaults()
	}
	flag.Parse()
	code, err := run(flag.Args(), *durable)
	if err != nil {
		fmt.Fprintln(os.Stderr, "servers:", err)
		code = exitUnusable
	}
	os.Exit(code)
}

func run(command []string, durable bool) (int, error) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)

	dir, err := os.MkdirTemp("", "gatehouse-servers-")
	if err != nil {
		return 0, fmt.Errorf("make temporary directory: %w", err)
	}
	defer os.RemoveAll(dir)

	env, stop, err := start(dir, durable)
	if err != nil {
		return 0, err
	}
	defer stop()

	if len(command) == 0 {
		for _, line := range env {
			fmt.Println(line)
		}
		<-signals
		return 0, nil
	}
	return execute(command, env, signals)
}

// start starts both servers at once and returns the environment that leads to
// them.
func start(dir string, durable bool) (env []string, stop func(), err error) {
	pgBin, errPG := local.PostgresBin()
	redisBin, errRedis := local.RedisBin()
	if err := errors.Join(errPG, errRedis); err != nil {
		return nil, nil, err
	}
	var pg *local.Postgres
	var redis *local.Redis
	var wg sync.WaitGroup
	wg.Go(func() {
		pg, errPG = local.StartPostgres(filepath.Join(dir, "postgres"), local.PostgresOptions{Bin: pgBin, Durable: durable})
	})
	wg.Go(func() {
		redis, errRedis = local.StartRedis(filepath.Join(dir, "redis"), local.RedisOptions{Bin: redisBin})
	})
	wg.Wait()
	stop = func() {
		if errPG == nil {
			warn(pg.Stop()) // in order, or it leaves shared memory behind
		}
		if errRedis == nil {
			warn(redis.Stop())
		}
	}
	if err := errors.Join(errPG, errRedis); err != nil {
		stop()
		return nil, nil, err
	}
	return []string{
		"GATEHOUSE_TEST_POSTGRES_URL=" + pg.URL("postgres"),
		"GATEHOUSE_TEST_REDIS_URL=" + redis.URL(),
		"GATEHOUSE_TEST_POSTGRES_BIN=" + pgBin,
		"GATEHOUSE_TEST_REDIS_BIN=" + redisBin,
	}, stop, nil
}

func warn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "servers:", err)
	}
}

// execute runs the command to its end and returns its exit code; 128 and the
// number of the signal, as a shell does, for one that a signal ended.
func execute(command, env []string, signals <-chan os.Signal) (int, error) {
	// Signals end the command, not a context: it decides how it stops.
	cmd := exec.CommandContext(context.Background(), command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start command: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case sig := <-signals:
			_ = cmd.Process.Signal(sig) // it may just have ended
		case err := <-ended:
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return 0, fmt.Errorf("run command: %w", err)
			}
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
				const signalBase = 128
				return signalBase + int(status.Signal()), nil
			}
			return cmd.ProcessState.ExitCode(), nil
		}
	}
}
