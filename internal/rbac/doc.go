// Package rbac owns roles and who holds them. It owns the tables roles and
// user_roles.
//
// Invariants:
//   - A permission comes from the catalogue, a closed list; what a role holds
//     beyond it counts for nothing (RBAC-5).
//   - Nobody grants a permission they lack, takes one away that they lack, or
//     changes their own roles (RBAC-4).
//   - As long as there was one, there is an administrator who can sign in and
//     whose role does not end by itself (RBAC-6). Whoever may change that
//     holds the lock on the role "admin" until the end of the transaction.
//   - Everyone has the role "user", which has no rows in user_roles.
//   - A change of a role raises its epoch, a change of who holds it raises the
//     person's, in the same transaction.
package rbac
