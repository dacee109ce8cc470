package main

import "syscall"

// processAttributes ends a server when this process dies, and keeps a
// terminal's Ctrl-C from it, so that it is stopped in order.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
