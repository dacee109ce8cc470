package identity_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/identity"
	"gatehouse/internal/platform/errs"
)

func TestCanonicalEmail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"Ada@Example.COM", "ada@example.com"},
		{"a.b+c@sub.example.org", "a.b+c@sub.example.org"},
		{"ada@bücher.example", "ada@xn--bcher-kva.example"},
		{"ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"},
		{"adaı@example.com", "adaı@example.com"}, // a dotless i stays what it is
		{"o'hara@example.com", "o'hara@example.com"},
	} {
		got, ok := identity.CanonicalEmail(c.in)
		if !ok || got != c.want {
			t.Errorf("CanonicalEmail(%q) = %q, %v, want %q", c.in, got, ok, c.want)
		}
	}
	for _, in := range []string{
		"", "ada", "@example.com", "ada@", "ada@localhost", "a@b@example.com", " ada@example.com", "ada@example.com ",
		"ada@example.com.", "ada@.example.com", "ada@exa mple.com", "ada@-example.com", "ada@example.123", "ada@[127.0.0.1]",
		".ada@example.com", "ada.@example.com", "a..da@example.com", "a\x00@example.com", "a\n@example.com", "\xff@example.com",
		"ada@ｅxample.com", "ada@exam\u00ADple.com", `"ada"@example.com`, "Ada <ada@example.com>", "e\u0301@example.com", "\u212Aelvin@example.com",
		strings.Repeat("a", 65) + "@example.com", "ada@" + strings.Repeat("a", 64) + ".com",
		"ada@" + strings.Repeat("abcdefgh.", 28) + "com",
	} {
		if got, ok := identity.CanonicalEmail(in); ok {
			t.Errorf("CanonicalEmail(%q) = %q, want a refusal", in, got)
		}
	}
}

func TestCanonicalUsername(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"Ada": "ada", "a": "a", "ada.L-2_x": "ada.l-2_x", strings.Repeat("a", 50): strings.Repeat("a", 50)} {
		if got, ok := identity.CanonicalUsername(in); !ok || got != want {
			t.Errorf("CanonicalUsername(%q) = %q, %v, want %q", in, got, ok, want)
		}
	}
	for _, in := range []string{
		"", "ada@example.com", ".ada", "a da", "ada\n", "аda", "0190163d-8694-739B-aea5-966c26f8ad91", strings.Repeat("a", 51),
	} {
		if _, ok := identity.CanonicalUsername(in); ok {
			t.Errorf("CanonicalUsername(%q) is accepted", in)
		}
	}
}

func TestFold(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"José ÅNGSTRÖM": "jose angstrom", "Straße": "strasse", "ＡＤＡ": "ada", "ﬃ": "ffi", "İstanbul": "istanbul", "\u0301": "", "Ada": "ada",
	} {
		if got := identity.Fold(in); got != want {
			t.Errorf("Fold(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestLimitKey_CaseSpacesAndDotsMakeNoNewKey(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"ada@example.com", "ADA@Example.com", " ada@example.com\t", "ada@example.com.", "ada@example.com. ."} {
		if got := identity.LimitKey(in); got != "ada@example.com" {
			t.Errorf("LimitKey(%q) = %q", in, got)
		}
	}
}

func TestCheck_NamesEveryFault(t *testing.T) {
	t.Parallel()
	err := identity.NewUser{
		Email: "nobody", Username: "a@b", FirstName: "a\u0000", LastName: strings.Repeat("x", 101), Phone: "0123",
	}.Check()
	var invalid *errs.Error
	if !errors.As(err, &invalid) || invalid.Kind != errs.Invalid {
		t.Fatalf("Check = %v, want a validation error", err)
	}
	var fields []string
	for _, f := range invalid.Fields {
		fields = append(fields, f.Field)
	}
	if diff := cmp.Diff([]string{"email", "username", "first_name", "last_name", "phone"}, fields); diff != "" {
		t.Error(diff)
	}
}

func TestCheck_Names(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"": true, "José": true, "山田": true, "O'Hara-Smith": true, strings.Repeat("é", 100): true,
		"Jose\u0301": false, " ": false, "a\tb": false, "a\u2028b": false, "a\u202Eb": false, "\xff": false, "a\uFFFEb": false,
	} {
		err := identity.NewUser{Email: "a@example.com", FirstName: name}.Check()
		if (err == nil) != ok {
			t.Errorf("first name %q: %v", name, err)
		}
	}
}

func TestCheck_Phone(t *testing.T) {
	t.Parallel()
	for phone, ok := range map[string]bool{
		"": true, "+123456": true, "+123456789012345678": true,
		"+12345": false, "+1234567890123456789": false, "123456": false, "+12 3456": false, "+１２３４５６": false,
	} {
		err := identity.NewUser{Email: "a@example.com", Phone: phone}.Check()
		if (err == nil) != ok {
			t.Errorf("phone %q: %v", phone, err)
		}
	}
}

func FuzzCanonicalEmail(f *testing.F) {
	for _, s := range []string{"Ada@Example.com", "a@bücher.example", "a@b", "ı@example.com", "a@xn--a.example", "ａ@example.com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := identity.CanonicalEmail(s)
		if !ok {
			return
		}
		if !utf8.ValidString(got) || len(got) > 254 || strings.Count(got, "@") != 1 || strings.ContainsAny(got, "\x00\r\n ABCXYZ") {
			t.Errorf("CanonicalEmail(%q) = %q", s, got)
		}
		again, ok := identity.CanonicalEmail(got)
		if !ok || again != got {
			t.Errorf("not stable: %q, then %q, %v", got, again, ok)
		}
		if _, ok := identity.CanonicalUsername(s); ok {
			t.Errorf("%q is an e-mail and a username", s)
		}
	})
}

func FuzzFold(f *testing.F) {
	for _, s := range []string{"José", "ß", "ǰ", "\u0345", "ΐ", "\xff", "ᾳ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := identity.Fold(s)
		if !utf8.ValidString(s) {
			return
		}
		if again := identity.Fold(got); again != got {
			t.Errorf("Fold(%q) = %q, folded again %q", s, got, again)
		}
	})
}

func FuzzCheck(f *testing.F) {
	f.Add("Ada", "ada", "+123456")
	f.Fuzz(func(t *testing.T, name, username, phone string) {
		err := identity.NewUser{Email: "a@example.com", FirstName: name, Username: username, Phone: phone}.Check()
		if err != nil {
			if errs.KindOf(err) != errs.Invalid {
				t.Errorf("%v", err)
			}
			return
		}
		if strings.ContainsAny(name+username+phone, "\x00\r\n") || strings.Contains(username, "@") || utf8.RuneCountInString(name) > 100 {
			t.Errorf("accepted %q, %q, %q", name, username, phone)
		}
	})
}
