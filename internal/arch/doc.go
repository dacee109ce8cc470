// Package arch holds no code. Its tests read the source of every other package
// and fail where the tree stops being what the rest of it counts on: which
// package may import which, where drivers, HTTP and configuration may appear,
// what a folder may be called, and that each package says what it is for.
//
// The tables at the top of arch_test.go are the rules. A new package gets its
// place in rows; a new exception gets a line with its reason, or is not made.
package arch
