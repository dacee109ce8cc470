package bcrypt

import (
	"runtime"
	"syscall"
)

// niceness is how far hashing steps back behind everything else on the
// machine: at 5 it gets a quarter of a core that others want whole, and all of
// one that nobody wants.
const niceness = 5

// stepBack gives the calling goroutine a thread of its own, of lower priority,
// which ends with it. So the kernel, too, lets requests and the database go
// first, where the scheduler of this process can't see them.
func stepBack() {
	runtime.LockOSThread()
	// On Linux 0 is the calling thread. Where it is refused, hashing competes.
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, niceness)
}
