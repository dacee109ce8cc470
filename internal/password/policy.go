package password

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/platform/errs"
	"gatehouse/internal/platform/secret"
)

const (
	// MinLength is the lowest minimum that a policy can set, in code points.
	MinLength = 8
	// DefaultMinLength is the minimum of the zero Policy.
	DefaultMinLength = 15
	// MaxLength is the longest password, in code points.
	MaxLength = 128

	maxBytes = 1024
	product  = "gatehouse"
	// A context word counts from shortestWord code points; a password needs
	// MinLength code points besides them.
	shortestWord = 4
)

var (
	// ErrMalformed is returned for input that is refused before any work: over
	// 1024 bytes, with NUL, or not UTF-8.
	ErrMalformed = errs.New(errs.Malformed, "malformed_request", "The password is not valid text or is far too long.")
	// ErrPolicy is returned, with a field for each fault, for a password that
	// the policy refuses.
	ErrPolicy = errs.New(errs.Invalid, "password_policy", "The password does not meet the policy.")
)

// Policy is what an operator may set about new passwords. The zero value works.
type Policy struct {
	MinLength    int    // in code points; 0: DefaultMinLength; below MinLength counts as MinLength
	Organisation string // a context word
}

// Context names whose password it is: their own e-mail and username, which
// must not make up the password. Either may be empty.
type Context struct {
	Email    string
	Username string
}

// Check reports whether a new password is acceptable. It returns nil,
// ErrMalformed, or ErrPolicy with these codes for the field "password":
// too_short, too_long, too_common, contains_context. It never repeats the
// password or says which word was found.
func (s *Service) Check(_ context.Context, password secret.String, words Context) error {
	if err := checkInput(password); err != nil {
		return err
	}
	policy := s.policy()
	text := password.Reveal()
	var faults []errs.Field
	fault := func(code, message string) {
		faults = append(faults, errs.Field{Field: "password", Code: code, Message: message})
	}
	shortest := max(MinLength, cmp.Or(policy.MinLength, DefaultMinLength))
	switch n := utf8.RuneCountInString(text); {
	case n < shortest:
		fault("too_short", fmt.Sprintf("Must have at least %d characters.", shortest))
	case n > MaxLength:
		fault("too_long", fmt.Sprintf("Must have at most %d characters.", MaxLength))
	case s.common.contains(text):
		fault("too_common", "Is too common or too easy to guess.")
	}
	localPart, _, _ := strings.Cut(words.Email, "@")
	if mostlyWords(text, product, policy.Organisation, localPart, words.Username) {
		fault("contains_context", "Consists mostly of the name of the product, the organisation or the account.")
	}
	if len(faults) == 0 {
		return nil
	}
	refused := *ErrPolicy
	refused.Fields = faults
	return &refused
}

func checkInput(password secret.String) error {
	text := password.Reveal()
	if len(text) > maxBytes || strings.ContainsRune(text, 0) || !utf8.ValidString(text) {
		return ErrMalformed
	}
	return nil
}

// mostlyWords reports whether a password holds one of the words and too little
// besides them.
func mostlyWords(password string, words ...string) bool {
	const cut = "\x00" // keeps what was apart from becoming a word
	slices.SortFunc(words, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	lower := strings.ToLower(password)
	rest := lower
	for _, w := range words {
		if utf8.RuneCountInString(w) >= shortestWord {
			rest = strings.ReplaceAll(rest, strings.ToLower(w), cut)
		}
	}
	return rest != lower && utf8.RuneCountInString(rest)-strings.Count(rest, cut) < MinLength
}
