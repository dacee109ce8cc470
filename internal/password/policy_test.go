package password_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"gatehouse/internal/password"
	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/secret"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	nadia := password.Context{Email: "nadia.petrova@example.org", Username: "Starling"}
	loose := password.Policy{MinLength: 8, Organisation: "Umbrella"}
	for name, v := range map[string]struct {
		policy   password.Policy
		password secret.String
		words    password.Context
		codes    []string
	}{
		"a good one":                    {password: "violet marmot engine"},
		"no composition rules":          {password: "vmarmotenginelid"},
		"15 code points":                {password: "vmarmotenginell"},
		"14 code points":                {password: "vmarmotenginel", codes: []string{"too_short"}},
		"15 code points of 4 bytes":     {password: "𝄞𝄢🂡🂢🂣🃏🎲🎯🎳🎻🏀🏈🐙🐝🐢"},
		"64 code points of any script":  {password: secret.String(strings.Repeat("漢字とかな交じり文", 8)[:192])},
		"128 code points":               {password: secret.String(varied(128))},
		"129 code points":               {password: secret.String(varied(129)), codes: []string{"too_long"}},
		"minimum loosened":              {policy: loose, password: "vmarmote"},
		"minimum never below 8":         {policy: password.Policy{MinLength: 1}, password: "vmarmot", codes: []string{"too_short"}},
		"listed":                        {password: "thequickbrownfox", codes: []string{"too_common"}},
		"listed and short":              {policy: loose, password: "Password", codes: []string{"too_common"}},
		"listed, in other case":         {password: "TheQuickBrownFox", codes: []string{"too_common"}},
		"listed, with separators":       {password: "the quick-brown_fox!", codes: []string{"too_common"}},
		"listed, with a year":           {password: "thequickbrownfox2026", codes: []string{"too_common"}},
		"listed, with digits inside":    {password: "P@ssw0rdPassw0rd", codes: []string{"too_common"}},
		"word and digits":               {password: "password123456789", codes: []string{"too_common"}},
		"digits in order":               {password: "123456789012345", codes: []string{"too_common"}},
		"walk over the keyboard":        {password: "qwertyuiopasdfgh", codes: []string{"too_common"}},
		"walk down the keyboard":        {password: "1qaz2wsx3edc4rfv", codes: []string{"too_common"}},
		"one character":                 {password: "zzzzzzzzzzzzzzzz", codes: []string{"too_common"}},
		"one sign":                      {password: "!!!!!!!!!!!!!!!!", codes: []string{"too_common"}},
		"separators alone":              {password: "                ", codes: []string{"too_common"}},
		"short unit repeated":           {password: "äb1xäb1xäb1xäb1x", codes: []string{"too_common"}},
		"listed unit repeated":          {password: "sunshinesunshines", codes: []string{"too_common"}},
		"uncommon word repeated":        {password: "vmarmotevmarmote"},
		"product and little else":       {password: "GateHouse-12345!", words: nadia, codes: []string{"contains_context"}},
		"product and enough else":       {password: "gatehouse violet marmot"},
		"organisation":                  {policy: loose, password: "myUMBRELLA12", codes: []string{"contains_context"}},
		"own address":                   {password: "nadia.PETROVA12", words: nadia, codes: []string{"contains_context"}},
		"own username":                  {password: "starlingSTARLING7", words: nadia, codes: []string{"contains_context"}},
		"several words":                 {password: "starlinggatehouse7a", words: nadia, codes: []string{"contains_context"}},
		"words of 3 characters are any": {policy: loose, password: "bobbobba7", words: password.Context{Username: "bob"}},
		"two faults":                    {password: "gatehouse", codes: []string{"too_short", "contains_context"}},
	} {
		s := password.New(password.Deps{}, password.Config{Policy: func() password.Policy { return v.policy }})
		if got := codes(t, s.Check(t.Context(), v.password, v.words)); !slices.Equal(got, v.codes) {
			t.Errorf("%s: %v, want %v", name, got, v.codes)
		}
	}
}

func TestCommon_HasEnoughOfTheDefaultLengthAndRefusesAll(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("common.txt")
	if err != nil {
		t.Fatal(err)
	}
	list := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != len(list) {
		t.Error("the list is not sorted or has doubles")
	}
	s := password.New(password.Deps{}, password.Config{Policy: func() password.Policy { return password.Policy{MinLength: 8} }})
	long := 0
	for _, p := range list {
		if utf8.RuneCountInString(p) >= password.DefaultMinLength {
			long++
		}
		if got := codes(t, s.Check(t.Context(), secret.String(p), password.Context{})); !slices.Contains(got, "too_common") {
			t.Errorf("%q is accepted: %v", p, got)
		}
	}
	if long < 3000 || len(data) > 300<<10 {
		t.Errorf("%d entries of the default length, %d bytes", long, len(data))
	}
}

// FuzzCheck shows that no password breaks the policy, that a refusal names a
// reason, and that it never repeats the password.
func FuzzCheck(f *testing.F) {
	s := password.New(password.Deps{}, password.Config{})
	f.Add("violet marmot engine", "nadia@example.org", "nadia")
	f.Add("ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄ", "@", "\xff")
	f.Add("İıſK................", "İıſK@x", "")
	f.Fuzz(func(t *testing.T, p, email, username string) {
		err := s.Check(t.Context(), secret.String(p), password.Context{Email: email, Username: username})
		if err == nil || errors.Is(err, password.ErrMalformed) {
			return
		}
		if len(codes(t, err)) == 0 {
			t.Errorf("%q: %v", p, err)
		}
		if len(p) >= 10 && strings.Contains(err.Error(), p) && !strings.Contains(password.ErrPolicy.Error(), p) {
			t.Errorf("the error repeats %q", p)
		}
	})
}

// codes returns the codes of the faults of the password that err tells.
func codes(tb testing.TB, err error) (codes []string) {
	tb.Helper()
	var e *errs.Error
	if err == nil {
		return nil
	}
	if !errors.As(err, &e) || e.Kind != errs.Invalid || e.Code != "password_policy" {
		tb.Fatalf("err = %v", err)
	}
	for _, f := range e.Fields {
		if f.Field != "password" || f.Message == "" {
			tb.Errorf("field = %+v", f)
		}
		codes = append(codes, f.Code)
	}
	return codes
}

// varied returns n code points without a pattern.
func varied(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteRune(rune(0x4e00 + i*i%7919))
	}
	return b.String()
}
