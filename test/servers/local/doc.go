// Package local runs PostgreSQL and Redis from the programs installed on this
// machine, on loopback ports, for tests that need a server of their own to
// start, stop or kill. It is not part of the product.
//
// A server's process dies with the process that started it (on Linux), and a
// terminal's Ctrl-C doesn't reach it: whoever starts a server stops it.
package local

import "errors"

// ErrNotInstalled is returned when a server's program is not on this machine.
// The message names the Debian package that has it.
var ErrNotInstalled = errors.New("not installed")
