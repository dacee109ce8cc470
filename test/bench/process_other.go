//go:build !linux

package main

import "syscall"

// processAttributes keeps a terminal's Ctrl-C from a server, so that it is
// stopped in order.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
