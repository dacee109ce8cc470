package local

import "syscall"

// processAttributes puts a server in a process group of its own, runs it as
// cred where that is not nil, and ends it when its parent dies.
func processAttributes(cred *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: cred, Pdeathsig: syscall.SIGTERM}
}
