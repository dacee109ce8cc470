package token_test

import (
	"errors"
	"strings"
	"testing"

	"gatehouse/internal/platform/db/dbtest"
	"gatehouse/internal/token"
)

// FuzzVerify_AcceptsNothingButWhatWasIssued changes genuine tokens. Nothing
// panics, nothing but ErrInvalid is answered, and what is accepted says what
// was issued.
func FuzzVerify_AcceptsNothingButWhatWasIssued(f *testing.F) {
	n := mustNode(f, dbtest.Open(f, dbtest.URL(f, "sqlite")))
	raw, want := n.issue(f)
	p := strings.Split(raw, ".")
	f.Add(p[0], p[1], p[2])
	f.Add("", "", "")
	f.Add(encode(f, `{"alg":"none","typ":"at+jwt"}`), p[1], "")
	f.Add(encode(f, `{"alg":"RS256","kid":"x","typ":"at+jwt","jwk":{}}`), p[1], p[2])
	f.Fuzz(func(t *testing.T, head, claims, sig string) {
		got, err := n.verifier.Verify(t.Context(), head+"."+claims+"."+sig)
		switch {
		case err == nil && got.ID != want.ID:
			t.Errorf("accepted %s", got.ID)
		case err != nil && !errors.Is(err, token.ErrInvalid) && !errors.Is(err, token.ErrExpired):
			t.Errorf("answered %v", err)
		}
		// A genuine header lets the fuzzer reach the signature.
		if _, err := n.verifier.Verify(t.Context(), p[0]+"."+claims+"."+sig); err == nil && claims != p[1] {
			t.Errorf("accepted other claims %q", claims)
		}
	})
}
