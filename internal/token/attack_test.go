package token_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
	"gatehouse/internal/token"
)

// forge signs any header and claims with a private key, RS256.
func forge(tb testing.TB, signer crypto.Signer, head, claims any) string {
	tb.Helper()
	input := encode(tb, head) + "." + encode(tb, claims)
	sum := sha256.Sum256([]byte(input))
	sig, err := signer.Sign(nil, sum[:], crypto.SHA256)
	if err != nil {
		tb.Fatal(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// encode takes JSON text as it is and marshals everything else.
func encode(tb testing.TB, v any) string {
	tb.Helper()
	text, ok := v.(string)
	if !ok {
		b, err := json.Marshal(v)
		if err != nil {
			tb.Fatal(err)
		}
		text = string(b)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

func with(m map[string]any, name string, value any) map[string]any {
	c := maps.Clone(m)
	c[name] = value
	return c
}

func without(m map[string]any, name string) map[string]any {
	c := maps.Clone(m)
	delete(c, name)
	return c
}

func TestVerify_RefusesHeadersThatGatehouseDoesNotWrite(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := mustNode(t, d)
		raw, _ := n.issue(t)
		key := mustSigning(t, n)
		head, claims := decode(t, strings.Split(raw, ".")[0]), decode(t, strings.Split(raw, ".")[1])
		kid := `"kid":"` + key.ID + `"`
		public, err := x509.MarshalPKIXPublicKey(key.Public)
		if err != nil {
			t.Fatal(err)
		}

		// Each is signed with the right key, so nothing but the header is wrong.
		for name, h := range map[string]any{
			"other RSA algorithm":    with(head, "alg", "RS512"),
			"algorithm of no key":    with(head, "alg", "ES256"),
			"PSS by a PKCS#1 key":    with(head, "alg", "PS256"),
			"lower case":             with(head, "alg", "rs256"),
			"no algorithm":           without(head, "alg"),
			"ID token":               with(head, "typ", "JWT"),
			"type in full":           with(head, "typ", "application/at+jwt"),
			"type in capitals":       with(head, "typ", "AT+JWT"),
			"no type":                without(head, "typ"),
			"logout token":           with(head, "typ", "logout+jwt"),
			"no kid":                 without(head, "kid"),
			"kid of no form":         with(head, "kid", "../../etc/passwd"),
			"kid in capitals":        with(head, "kid", strings.ToUpper(key.ID)),
			"kid of no key":          with(head, "kid", "0198c0de-0000-7000-8000-000000000000"),
			"kid of another type":    with(head, "kid", 7),
			"kid of another use":     with(head, "kid", auditHead(t, n)),
			"crit unknown":           with(head, "crit", []string{"x"}),
			"crit empty":             with(head, "crit", []string{}),
			"crit b64":               with(with(head, "crit", []string{"b64"}), "b64", true),
			"jku":                    with(head, "jku", "https://evil.example/jwks.json"),
			"x5u":                    with(head, "x5u", "https://evil.example/cert.pem"),
			"x5c":                    with(head, "x5c", []string{"MIIB"}),
			"jwk":                    with(head, "jwk", map[string]string{"kty": "RSA"}),
			"cty":                    with(head, "cty", "JWT"),
			"zip":                    with(head, "zip", "DEF"),
			"duplicate alg":          `{"alg":"RS256","alg":"none",` + kid + `,"typ":"at+jwt"}`,
			"duplicate alg first":    `{"alg":"none","alg":"RS256",` + kid + `,"typ":"at+jwt"}`,
			"names in capitals":      `{"ALG":"RS256",` + kid + `,"typ":"at+jwt"}`,
			"other order":            `{"typ":"at+jwt","alg":"RS256",` + kid + `}`,
			"white space":            `{ "alg":"RS256",` + kid + `,"typ":"at+jwt"}`,
			"data behind":            `{"alg":"RS256",` + kid + `,"typ":"at+jwt"}{}`,
			"null":                   `null`,
			"array":                  `[]`,
			"nothing":                ``,
			"broken UTF-8 in kid":    "{\"alg\":\"RS256\",\"kid\":\"\xff\",\"typ\":\"at+jwt\"}",
			"nested a thousand deep": strings.Repeat(`{"a":`, 1000),
		} {
			mustRefuse(t, n, name, forge(t, key.Signer, h, claims))
		}

		none := encode(t, with(head, "alg", "none")) + "." + encode(t, claims) + "."
		mustRefuse(t, n, "none", none)
		mustRefuse(t, n, "none in capitals", encode(t, with(head, "alg", "NONE"))+"."+encode(t, claims)+".")
		input := encode(t, with(head, "alg", "HS256")) + "." + encode(t, claims)
		mac := hmac.New(sha256.New, public)
		mac.Write([]byte(input))
		mustRefuse(t, n, "public key as HMAC key", input+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))

		if _, err := n.verifier.Verify(t.Context(), forge(t, key.Signer, string(mustText(t, raw)), claims)); err != nil {
			t.Errorf("the way these are forged is at fault: %v", err)
		}
	})
}

func TestVerify_RefusesWrongClaims(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := mustNode(t, d)
		raw, c := n.issue(t)
		key := mustSigning(t, n)
		head, claims := string(mustText(t, raw)), decode(t, strings.Split(raw, ".")[1])
		iat := c.IssuedAt.Unix()
		for name, p := range map[string]any{
			"another issuer":       with(claims, "iss", "https://evil.example"),
			"issuer with a slash":  with(claims, "iss", publicURL+"/"),
			"another audience":     with(claims, "aud", "https://other.example"),
			"audience as a list":   with(claims, "aud", []string{publicURL}),
			"no audience":          without(claims, "aud"),
			"no subject":           without(claims, "sub"),
			"subject in capitals":  with(claims, "sub", strings.ToUpper(c.UserID.String())),
			"subject of zeros":     with(claims, "sub", "00000000-0000-0000-0000-000000000000"),
			"no session":           without(claims, "sid"),
			"no id":                without(claims, "jti"),
			"no end":               without(claims, "exp"),
			"end as text":          with(claims, "exp", "2100-01-01"),
			"end as a fraction":    with(claims, "exp", float64(iat)+0.5),
			"end as a huge number": with(claims, "exp", json.Number("1e300")),
			"life over the cap":    with(claims, "exp", iat+901),
			"end before the start": with(claims, "exp", iat-1),
			"no start":             without(claims, "iat"),
			"start before issue":   with(claims, "nbf", iat-1),
			"no nbf":               without(claims, "nbf"),
			"roles as text":        with(claims, "roles", "admin"),
			"epoch as text":        with(claims, "epoch", "7"),
			"duplicate subject":    `{"sub":"a","sub":"b"}`,
			"null":                 `null`,
			"not JSON":             `hello`,
			"nothing":              ``,
		} {
			mustRefuse(t, n, name, forge(t, key.Signer, head, p))
		}
		future := with(with(with(claims, "iat", iat+60), "nbf", iat+60), "exp", iat+660)
		mustRefuse(t, n, "issued in the future", forge(t, key.Signer, head, future))
		newer := forge(t, key.Signer, head, with(claims, "newer", map[string]any{"a": 1}))
		if _, err := n.verifier.Verify(t.Context(), newer); err != nil {
			t.Errorf("a claim of a later version is refused: %v", err)
		}
	})
}

func TestVerify_RefusesWrongSignaturesAndForms(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := mustNode(t, d)
		raw, _ := n.issue(t)
		other, _ := n.issue(t)
		p, q := strings.Split(raw, "."), strings.Split(other, ".")
		claims := decode(t, p[1])
		for name, forged := range map[string]string{
			"another key":                 forge(t, mustRSA(t), string(mustText(t, raw)), claims),
			"signature of another token":  p[0] + "." + p[1] + "." + q[2],
			"claims of another token":     p[0] + "." + q[1] + "." + p[2],
			"no signature":                p[0] + "." + p[1] + ".",
			"short signature":             p[0] + "." + p[1] + "." + p[2][:100],
			"two parts":                   p[0] + "." + p[1],
			"four parts":                  raw + "." + p[2],
			"five parts":                  raw + "..",
			"detached":                    p[0] + ".." + p[2],
			"JSON form":                   `{"protected":"` + p[0] + `","payload":"` + p[1] + `","signature":"` + p[2] + `"}`,
			"padding":                     raw + "=",
			"standard alphabet":           p[0] + "." + p[1] + "." + strings.NewReplacer("-", "+", "_", "/").Replace(p[2]) + "+",
			"newline inside":              p[0] + "." + p[1][:10] + "\n" + p[1][10:] + "." + p[2],
			"newline behind":              raw + "\n",
			"NUL":                         raw + "\x00",
			"scheme in front":             "Bearer " + raw,
			"nothing":                     "",
			"dots":                        "..",
			"longer than 4 KiB":           p[0] + "." + p[1] + strings.Repeat("A", 4096) + "." + p[2],
			"longer than 4 KiB, no parts": strings.Repeat("A", 1<<20),
		} {
			mustRefuse(t, n, name, forged)
		}
	})
}

func TestVerify_SaysExpiredOnlyOfGenuineTokens(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := mustNode(t, d)
		raw, _ := n.issue(t)
		p := strings.Split(raw, ".")
		n.clock.Advance(time.Hour)
		mustRefuse(t, n, "expired with a wrong signature", forge(t, mustRSA(t), string(mustText(t, raw)), decode(t, p[1])))
	})
}

func mustRefuse(tb testing.TB, n node, name, raw string) {
	tb.Helper()
	for _, state := range []string{"first", "second"} {
		if _, err := n.verifier.Verify(tb.Context(), raw); !errors.Is(err, token.ErrInvalid) {
			tb.Errorf("%s, %s time: %v, want ErrInvalid", name, state, err)
		}
	}
}

func mustSigning(tb testing.TB, n node) keyring.SigningKey {
	tb.Helper()
	key, err := n.keys.Signing(keyring.AccessToken)
	if err != nil {
		tb.Fatal(err)
	}
	if _, ok := key.Signer.(*rsa.PrivateKey); !ok {
		tb.Fatalf("the first key is a %T", key.Signer)
	}
	return key
}

func auditHead(tb testing.TB, n node) string {
	tb.Helper()
	key, err := n.keys.Signing(keyring.AuditHead)
	if err != nil {
		tb.Fatal(err)
	}
	return key.ID
}

// mustText returns the header of a token as JSON text.
func mustText(tb testing.TB, raw string) []byte {
	tb.Helper()
	head, _, _ := strings.Cut(raw, ".")
	b, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
