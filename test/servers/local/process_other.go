//go:build !linux

package local

import "syscall"

// processAttributes puts a server in a process group of its own and runs it
// as cred where that is not nil.
func processAttributes(cred *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: cred}
}
