package token_test

import (
	"testing"

	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db/dbtest"
	"gatehouse/internal/token"
)

func eachAlgorithm(b *testing.B, fn func(b *testing.B, n node)) {
	b.Helper()
	n := mustNode(b, dbtest.Open(b, dbtest.URL(b, "sqlite")))
	for _, a := range []keyring.Algorithm{keyring.RS256, keyring.ES256} {
		n.rotate(b, a)
		b.Run(string(a), func(b *testing.B) { fn(b, n) })
	}
}

func BenchmarkIssue(b *testing.B) {
	eachAlgorithm(b, func(b *testing.B, n node) {
		g := grant(n.clock.Now())
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := n.issuer.Issue(g); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkVerify_Warm(b *testing.B) {
	eachAlgorithm(b, func(b *testing.B, n node) {
		raw, _ := n.issue(b)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := n.verifier.Verify(b.Context(), raw); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkVerify_Cold(b *testing.B) {
	eachAlgorithm(b, func(b *testing.B, n node) {
		raw, _ := n.issue(b)
		b.ReportAllocs()
		for b.Loop() {
			v, err := token.NewVerifier(n.keys, token.Config{Issuer: publicURL}, n.clock.Now)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := v.Verify(b.Context(), raw); err != nil {
				b.Fatal(err)
			}
		}
	})
}
