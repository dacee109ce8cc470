package main

import (
	"context"
	"log/slog"

	"gatehouse/internal/actor"
	"gatehouse/internal/app"
	"gatehouse/internal/platform/telemetry"
)

// open builds the program for a command that embeds configFlags. Close it.
func (e *env) open(ctx context.Context) (*app.App, error) {
	loaded, err := e.Load()
	if err != nil {
		return nil, err
	}
	warn(e.Stderr, loaded)
	return app.NewTool(ctx, loaded.Config, app.Options{Version: buildVersion().Version, Logger: e.quietLogger()})
}

// quietLogger tells a person what went wrong on the way.
func (e *env) quietLogger() *slog.Logger {
	return telemetry.NewLogger(e.Stderr, telemetry.LogConfig{Level: slog.LevelWarn, Text: true, Service: "gatehouse"})
}

// operator is who acts in the log when somebody on the host runs a command.
func operator(command string) actor.Actor { return actor.ForSystem("gatehouse " + command) }
