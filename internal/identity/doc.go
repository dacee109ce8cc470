// Package identity owns people: who they are, how they are named, whether
// they may sign in. It owns the table users.
//
// Invariants:
//   - An e-mail address and a username belong to at most one person who is not
//     deleted, whatever their case; the unique indexes on the canonical forms
//     decide, not a look before the write.
//   - The phone number is stored only sealed with the person's own key, bound
//     to its row.
//   - epoch grows with every change of what a person may do (status, password,
//     roles), and the growth is announced in the same transaction; version
//     grows with every change that a client can see.
//   - Deleting sets deleted_at and leaves account_status alone, so a restored
//     person is what they were before.
//
// Functions that change something join the caller's transaction and leave the
// log entry to it.
package identity
