// Package custody is what operators and the clock do with keys: rotate,
// withdraw, rewrap, upkeep. Keys are kept by package keyring; here each change
// is one transaction with its entry in the log. Only the system may act: the
// command line on the host, and jobs.
package custody
