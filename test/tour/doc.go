// Package tour holds the test that keeps the tour of the README true.
package tour
