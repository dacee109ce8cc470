package token_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/actor"
	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
	"gatehouse/internal/platform/id"
	"gatehouse/internal/platform/secret"
	"gatehouse/internal/token"
)

const publicURL = "https://id.example.com"

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// node is a node that issues and verifies.
type node struct {
	db       *db.DB
	clock    *clock
	keys     *keyring.Keyring
	issuer   *token.Issuer
	verifier *token.Verifier
}

func mustNode(tb testing.TB, d *db.DB) node {
	tb.Helper()
	n := node{db: d, clock: &clock{at: time.Now().UTC()}}
	return n.join(tb, secret.Key{1})
}

// join returns another node over the same database.
func (n node) join(tb testing.TB, master secret.Key) node {
	tb.Helper()
	var err error
	n.keys, err = keyring.New(tb.Context(), keyring.Deps{
		DB: n.db, Master: []secret.Key{master}, Now: n.clock.Now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatal(err)
	}
	cfg := token.Config{Issuer: publicURL}
	if n.issuer, err = token.NewIssuer(n.keys, cfg, n.clock.Now); err != nil {
		tb.Fatal(err)
	}
	if n.verifier, err = token.NewVerifier(n.keys, cfg, n.clock.Now); err != nil {
		tb.Fatal(err)
	}
	return n
}

// rotate makes a key of the algorithm the active one, at once.
func (n node) rotate(tb testing.TB, a keyring.Algorithm) {
	tb.Helper()
	plan, err := n.keys.PlanRotation(keyring.AccessToken, keyring.Spec{Algorithm: a}, true)
	if err != nil {
		tb.Fatal(err)
	}
	n.apply(tb, plan)
}

func (n node) apply(tb testing.TB, plan keyring.Change) {
	tb.Helper()
	ctx := context.Background()
	err := n.db.Tx(ctx, func(tx *db.Tx) error { return n.keys.ApplyTx(ctx, tx, plan) })
	if err != nil {
		tb.Fatal(err)
	}
	if err := n.keys.Reload(ctx); err != nil {
		tb.Fatal(err)
	}
}

func (n node) issue(tb testing.TB) (string, token.Claims) {
	tb.Helper()
	raw, claims, err := n.issuer.Issue(grant(n.clock.Now()))
	if err != nil {
		tb.Fatal(err)
	}
	return raw.Reveal(), claims
}

func grant(now time.Time) token.Grant {
	return token.Grant{
		UserID: id.New[actor.Subject](now), SessionID: id.New[actor.Login](now), ClientID: "web",
		Roles: []string{"support", "user"}, Scope: "profile", AMR: []string{"pwd"},
		AuthTime: now.UTC().Truncate(time.Second), Epoch: 7,
	}
}

func TestVerify_ReturnsWhatWasIssued(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := mustNode(t, d)
		for _, a := range []keyring.Algorithm{keyring.RS256, keyring.PS256, keyring.ES256, keyring.EdDSA} {
			n.rotate(t, a)
			raw, want := n.issue(t)
			for _, state := range []string{"cold", "warm"} {
				got, err := n.verifier.Verify(t.Context(), raw)
				if err != nil {
					t.Fatalf("%s, %s: %v", a, state, err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s, %s:\n%s", a, state, diff)
				}
			}
		}
	})
}

func TestIssue_HeaderAndClaimsAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := mustNode(t, d)
		raw, c := n.issue(t)
		parts := strings.Split(raw, ".")
		key, err := n.keys.Signing(keyring.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		wantHeader := map[string]any{"alg": "RS256", "typ": "at+jwt", "kid": key.ID}
		if diff := cmp.Diff(wantHeader, decode(t, parts[0])); diff != "" {
			t.Errorf("header:\n%s", diff)
		}
		iat := float64(c.IssuedAt.Unix())
		want := map[string]any{
			"iss": publicURL, "aud": publicURL, "sub": c.UserID.String(), "sid": c.SessionID.String(),
			"jti": c.ID.String(), "iat": iat, "nbf": iat, "exp": iat + 900, "client_id": "web",
			"roles": []any{"support", "user"}, "scope": "profile", "amr": []any{"pwd"},
			"auth_time": float64(c.AuthTime.Unix()), "epoch": 7.0,
		}
		if diff := cmp.Diff(want, decode(t, parts[1])); diff != "" {
			t.Errorf("claims:\n%s", diff)
		}
	})
}

func decode(tb testing.TB, part string) map[string]any {
	tb.Helper()
	b, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		tb.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestVerify_TimeIsJudgedWithLeeway(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := mustNode(t, d)
		cold, _ := n.issue(t)
		warm, c := n.issue(t)
		for _, tt := range []struct {
			name string
			at   time.Time
			want error
		}{
			{"by a clock 30 s behind", c.IssuedAt.Add(-30 * time.Second), nil},
			{"by a clock 31 s behind", c.IssuedAt.Add(-31 * time.Second), token.ErrInvalid},
			{"in its last second", c.ExpiresAt.Add(29 * time.Second), nil},
			{"after leeway", c.ExpiresAt.Add(30 * time.Second), token.ErrExpired},
			{"long after", c.ExpiresAt.Add(time.Minute), token.ErrExpired},
		} {
			n.clock.Advance(tt.at.Sub(n.clock.Now()))
			if _, err := n.verifier.Verify(t.Context(), warm); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
		}
		if _, err := n.verifier.Verify(t.Context(), cold); !errors.Is(err, token.ErrExpired) {
			t.Errorf("never seen before: %v, want ErrExpired", err)
		}
	})
}

func TestVerify_RefusesRememberedTokensOfAWithdrawnKey(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := mustNode(t, d)
		other := n.join(t, secret.Key{1})
		raw, _ := n.issue(t)
		for _, v := range []*token.Verifier{n.verifier, other.verifier} {
			if _, err := v.Verify(t.Context(), raw); err != nil {
				t.Fatal(err)
			}
		}
		key, err := n.keys.Signing(keyring.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		kid, err := id.Parse[keyring.Label](key.ID)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := n.keys.PlanWithdrawal(kid)
		if err != nil {
			t.Fatal(err)
		}
		n.apply(t, plan)
		if _, err := n.verifier.Verify(t.Context(), raw); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("here: %v, want ErrInvalid", err)
		}
		n.clock.Advance(time.Minute)
		if _, err := other.verifier.Verify(t.Context(), raw); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("on another node: %v, want ErrInvalid", err)
		}
	})
}

func TestVerify_NoRequestFailsWhileKeysRotate(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := mustNode(t, d)
		other := n.join(t, secret.Key{1})
		var kept []string
		for _, a := range []keyring.Algorithm{keyring.ES256, keyring.EdDSA, keyring.ES256} {
			raw, _ := n.issue(t)
			kept = append(kept, raw)
			n.rotate(t, a)
			n.clock.Advance(2 * time.Second) // the other node has heard nothing
			raw, _ = n.issue(t)
			kept = append(kept, raw)
			for _, raw := range kept {
				if _, err := other.verifier.Verify(t.Context(), raw); err != nil {
					t.Errorf("after rotation to %s: %v", a, err)
				}
			}
		}
	})
}

func TestJWKS_HoldsThePublicHalvesOfTheKeysThatVerify(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := mustNode(t, d)
		n.rotate(t, keyring.ES256)
		plan, err := n.keys.PlanRotation(keyring.AccessToken, keyring.Spec{Algorithm: keyring.EdDSA}, false)
		if err != nil {
			t.Fatal(err)
		}
		n.apply(t, plan)
		doc, err := token.JWKS(n.keys)
		if err != nil {
			t.Fatal(err)
		}
		var set jose.JSONWebKeySet
		if err := json.Unmarshal(doc, &set); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, k := range set.Keys {
			if !k.IsPublic() || k.Use != "sig" || k.KeyID == "" {
				t.Errorf("key %s is published as %+v", k.KeyID, k)
			}
			seen[k.Algorithm] = true
		}
		if diff := cmp.Diff(map[string]bool{"RS256": true, "ES256": true, "EdDSA": true}, seen); diff != "" {
			t.Errorf("retired, active and next key:\n%s", diff)
		}
		for _, member := range []string{`"d"`, `"p"`, `"q"`, `"dp"`, `"k"`} {
			if strings.Contains(string(doc), member) {
				t.Errorf("the document has a member %s", member)
			}
		}
		raw, _ := n.issue(t)
		signed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := signed.Verify(&set); err != nil {
			t.Errorf("a stranger cannot verify by the document: %v", err)
		}
	})
}

func TestConfig_LifeIsAtMostFifteenMinutes(t *testing.T) {
	t.Parallel()
	for _, cfg := range []token.Config{
		{},
		{Issuer: publicURL, TTL: 15*time.Minute + time.Second},
		{Issuer: publicURL, TTL: -time.Minute},
	} {
		if _, err := token.NewIssuer(nil, cfg, time.Now); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}

func mustRSA(tb testing.TB) *rsa.PrivateKey {
	tb.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}
