//go:build !linux

package blackbox_test

import "syscall"

// tied keeps a terminal's Ctrl-C away from the program.
func tied() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
