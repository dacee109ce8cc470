// Package account is what administrators do with people, and what people do
// with their own profile. It owns no table: it brings together identity, rbac,
// session and the log, one transaction for each use case.
//
// Invariants:
//   - Nobody changes an account that holds a permission they lack (RBAC-4).
//   - Nobody but an administrator who may write to users sets an address, its
//     verification or a status; a profile has four fields (RBAC-3).
//   - Whoever is suspended or deleted has no session left when the transaction
//     commits.
//   - The last administrator who can sign in stays one (RBAC-6).
package account
