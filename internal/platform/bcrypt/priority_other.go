//go:build !linux

package bcrypt

// stepBack does nothing where threads have no priority of their own.
func stepBack() {}
