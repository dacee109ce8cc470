// Package session owns sign-ins that last: when they end, how their refresh
// token is renewed, and how they are revoked. It owns the tables sessions and
// spent_refresh_tokens.
//
// Invariants:
//   - A refresh token names its session and holds 256 random bits; only its
//     SHA-256 is stored. A session has one valid token at a time, and one
//     conditional statement decides who takes it (TOK-5, TOK-7).
//   - The successor of a spent token is kept for 10 s, for a racing tab, sealed
//     under a key that derives from the spent token: what is stored opens for
//     nobody who does not hold that token. A successor that was used, or that
//     is older, is gone; a later repeat revokes the session.
//   - Rotation never moves the absolute limit, 7 days from the sign-in and
//     24 hours for people who hold any permission (CK-3, TOK-6).
//   - The end of a session raises its epoch in the same transaction, so that
//     every node refuses its access tokens at once (TOK-9). A session that has
//     ended never comes back.
//   - A person has at most ten live sessions.
//
// Methods that take a transaction leave the log entry to whoever opened it.
package session
