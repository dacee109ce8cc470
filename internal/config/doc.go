// Package config reads what an operator decides before the program starts:
// flags, then environment, then a YAML file, then defaults.
//
// One table (options.go) drives names, defaults, help, parsing and the page
// docs/configuration.md. Its invariants: a name that has no effect is refused,
// never ignored; all faults are reported at once; no fault, warning or listing
// repeats a value that may be secret; Load has no effect and reads nothing but
// what its Input gives it. What operators change while the program runs is
// package settings, not this one.
package config
