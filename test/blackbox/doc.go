// Package blackbox holds the tests of the built program as its users meet it:
// a process, its command line, its listeners, its files. They run on both
// stacks, on real servers that they also stop, freeze, fill with garbage and
// kill. Nothing here imports the program's packages.
package blackbox
