// Package production holds the test that runs Gatehouse as its operators do in
// earnest: the production profile, TLS to clients, PostgreSQL and Redis, an
// owner's and an application's role in the database, secrets from files.
package production
