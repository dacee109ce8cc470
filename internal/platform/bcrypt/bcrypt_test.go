package bcrypt_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	library "golang.org/x/crypto/bcrypt"

	"gatehouse/internal/platform/bcrypt"
)

func TestSum_KnownVectors(t *testing.T) {
	t.Parallel()
	// From the test suites of jBCrypt and crypt_blowfish.
	for _, v := range []struct{ password, hash string }{
		{"a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"},
		{"U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
		{"U*U*U", "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"},
	} {
		if !matches(t, v.hash, []byte(v.password)) {
			t.Errorf("%q does not match %s", v.password, v.hash)
		}
	}
}

func TestSum_LanesAgreeWithLibraryInEveryCombination(t *testing.T) {
	t.Parallel()
	passwords := [][]byte{[]byte("one"), {}, bytes.Repeat([]byte{0xff}, bcrypt.MaxPassword), []byte("日本語"), []byte("one")}
	for n := 1; n <= bcrypt.Lanes; n++ {
		for first := 0; first+n <= len(passwords); first++ {
			inputs := make([]bcrypt.Input, n)
			for i := range inputs {
				inputs[i] = bcrypt.Input{Password: passwords[first+i], Salt: [16]byte{byte(n), byte(first), byte(i)}}
			}
			hashes, err := bcrypt.Sum(bcrypt.MinCost, inputs...)
			if err != nil {
				t.Fatal(err)
			}
			for i, h := range hashes {
				if err := library.CompareHashAndPassword([]byte(h.String()), inputs[i].Password); err != nil {
					t.Errorf("%d lanes from %d, lane %d: %v", n, first, i, err)
				}
			}
		}
	}
}

func TestSum_Refuses(t *testing.T) {
	t.Parallel()
	if _, err := bcrypt.Sum(bcrypt.MinCost, bcrypt.Input{Password: make([]byte, bcrypt.MaxPassword+1)}); !errors.Is(err, bcrypt.ErrPassword) {
		t.Errorf("long password: %v", err)
	}
	for _, cost := range []int{-1, 3, 32} {
		if _, err := bcrypt.Sum(cost, bcrypt.Input{}); !errors.Is(err, bcrypt.ErrCost) {
			t.Errorf("cost %d: %v", cost, err)
		}
	}
}

func TestParse_RefusesWhatIsNotAHash(t *testing.T) {
	t.Parallel()
	good := "$2b$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"
	if h, err := bcrypt.Parse(good); err != nil || h.String() != good || h.Cost() != 6 {
		t.Fatalf("Parse(good) = %v, %v", h, err)
	}
	for name, s := range map[string]string{
		"empty":       "",
		"short":       good[:59],
		"long":        good + "a",
		"version":     strings.Replace(good, "2b", "2x", 1),
		"scheme":      strings.Replace(good, "2b", "3b", 1),
		"cost 3":      strings.Replace(good, "06", "03", 1),
		"cost 32":     strings.Replace(good, "06", "32", 1),
		"cost word":   strings.Replace(good, "06", "+6", 1),
		"salt":        good[:10] + "=" + good[11:],
		"line break":  good[:10] + "\n" + good[11:],
		"sum":         good[:59] + "!",
		"unused bits": good[:59] + "f",
	} {
		if _, err := bcrypt.Parse(s); !errors.Is(err, bcrypt.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzSum compares three lanes at once with the library, both ways: the
// library accepts our hashes, and we get its hashes from its salts.
func FuzzSum(f *testing.F) {
	f.Add([]byte("correct horse"), []byte(""), []byte{0, 0xff}, []byte("0123456789abcdef"), uint8(0))
	f.Add(bytes.Repeat([]byte("x"), 72), []byte("a\x00b"), []byte("ü"), []byte{}, uint8(2))
	f.Fuzz(func(t *testing.T, a, b, c, salt []byte, lanes uint8) {
		passwords := [][]byte{a, b, c}[:1+lanes%3]
		inputs := make([]bcrypt.Input, len(passwords))
		for i, p := range passwords {
			inputs[i].Password = p[:min(len(p), bcrypt.MaxPassword)]
			copy(inputs[i].Salt[:], salt)
			inputs[i].Salt[15] ^= byte(i)
		}
		ours, err := bcrypt.Sum(bcrypt.MinCost, inputs...)
		if err != nil {
			t.Fatal(err)
		}
		for i, in := range inputs {
			if err := library.CompareHashAndPassword([]byte(ours[i].String()), in.Password); err != nil {
				t.Errorf("the library refuses lane %d: %v", i, err)
			}
		}
		theirs, err := library.GenerateFromPassword(inputs[0].Password, bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		if !matches(t, string(theirs), inputs[0].Password) {
			t.Errorf("%q does not match the library's %s", inputs[0].Password, theirs)
		}
	})
}

// FuzzParse shows that what Parse accepts matches exactly the passwords that
// the library says it matches.
func FuzzParse(f *testing.F) {
	f.Add("$2a$04$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", []byte("U*U"))
	f.Add("$2y$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a", []byte("U*U*U"))
	f.Fuzz(func(t *testing.T, stored string, password []byte) {
		password = password[:min(len(password), bcrypt.MaxPassword)]
		h, err := bcrypt.Parse(stored)
		if err != nil || h.Cost() > 5 {
			return
		}
		if again, err := bcrypt.Parse(h.String()); err != nil || again != h {
			t.Errorf("%q reads back as %v, %v", stored, again, err)
		}
		ours := matches(t, stored, password)
		theirs := library.CompareHashAndPassword([]byte(stored), password) == nil
		if ours != theirs {
			t.Errorf("%q: we say %t, the library %t", stored, ours, theirs)
		}
	})
}

func matches(tb testing.TB, stored string, password []byte) bool {
	tb.Helper()
	h, err := bcrypt.Parse(stored)
	if err != nil {
		tb.Fatalf("parse %q: %v", stored, err)
	}
	ok, err := bcrypt.NewPool(bcrypt.Config{}).Matches(tb.Context(), h, password)
	if err != nil {
		tb.Fatal(err)
	}
	return ok
}
