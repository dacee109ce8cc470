package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// NewServer returns a server with the time limits of IN-4: who sends or reads
// slowly is cut.
func NewServer(h http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:                      h,
		ReadHeaderTimeout:            5 * time.Second,
		ReadTimeout:                  15 * time.Second,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  60 * time.Second,
		MaxHeaderBytes:               maxHeaders,
		DisableGeneralOptionsHandler: true, // "OPTIONS *" gets our headers too
		ErrorLog:                     slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}

// Serve accepts connections until ctx ends, then keeps the listener open for
// linger, so that a load balancer can learn that it is draining, and lets
// running requests finish within grace (DEP-3). Whoever ends ctx turns
// readiness off first.
func Serve(ctx context.Context, srv *http.Server, l net.Listener, linger, grace time.Duration) error {
	failed := make(chan error, 1)
	go func() {
		if srv.TLSConfig != nil {
			failed <- srv.ServeTLS(l, "", "")
			return
		}
		failed <- srv.Serve(l)
	}()
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	timer := time.NewTimer(linger)
	defer timer.Stop()
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-timer.C:
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := srv.Shutdown(drain)
	if err != nil {
		err = errors.Join(fmt.Errorf("drain %s: %w", l.Addr(), err), srv.Close())
	}
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
