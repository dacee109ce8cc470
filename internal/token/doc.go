// Package token issues and verifies access tokens: JWTs of type at+jwt
// (RFC 9068) that live at most fifteen minutes.
//
// The header of a token is not interpreted. It names a key, and must then be,
// byte for byte, the header that Gatehouse itself writes for that key; so the
// key alone decides the algorithm, and every header that Gatehouse does not
// write (none, HS256, jku, jwk, x5c, crit, another typ) is refused alike
// (TOK-2, TOK-3). A token says who asks; whether the session and the person
// still may is for the caller to check (TOK-9).
package token
