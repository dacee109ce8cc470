// Package password decides which passwords are accepted and how they are
// stored and verified (PW-1 to PW-7).
//
// Invariants:
//   - The bytes sent are the password: nothing is trimmed, folded or cut (PW-2).
//   - What is hashed is bounded first: input over 1024 bytes, with NUL or in
//     broken UTF-8 is refused before any work (PW-1).
//   - bcrypt never sees the password but 64 characters of a keyed digest of it,
//     so that nothing is cut and a stolen database alone allows no guessing (PW-4).
//   - Verify does the same work whether or not there is a password to match, so
//     that its time tells nothing about an account (PW-6).
//   - All hashing goes through the bounded pool (PW-7).
//
// The package owns no table: the stored text is a column of the user.
package password

//go:generate go run ./gen
