package password

import (
	_ "embed"
	"slices"
	"strings"
	"unicode/utf8"
)

// commonText is made by ./gen: one folded password a line, sorted.
//
//go:embed common.txt
var commonText string

// common is the built-in list of refused passwords, sorted. The list always
// applies (PW-3).
type common []string

func loadCommon() common { return strings.Fields(commonText) }

// contains reports whether a password is in the list, or would be but for
// case, separators, digits for letters or up to four digits at its end, or
// repeats something short or listed.
func (c common) contains(password string) bool {
	folded := fold(password)
	for _, form := range []string{folded, unleet(folded, 'i'), unleet(folded, 'l')} {
		if c.has(form) || c.has(cutDigits(form)) || c.repeats(form) {
			return true
		}
	}
	return false
}

func (c common) has(form string) bool {
	_, ok := slices.BinarySearch(c, form)
	return ok
}

// repeats reports whether form is one unit over and over, the last perhaps
// cut, and the unit is up to four code points long or listed.
func (c common) repeats(form string) bool {
	const short = 4
	for unit := range prefixes(form) {
		if 2*len(unit) > len(form) {
			return false
		}
		if form[len(unit):] == form[:len(form)-len(unit)] {
			return utf8.RuneCountInString(unit) <= short || c.has(unit)
		}
	}
	return false
}

// prefixes yields the prefixes of s that end between code points, shortest
// first.
func prefixes(s string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := range s {
			if i > 0 && !yield(s[:i]) {
				return
			}
		}
	}
}

// fold drops what people add to a common password to make it look new: capital
// letters and punctuation between or after the rest.
func fold(password string) string {
	kept := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -_.,", r) {
			return -1
		}
		return r
	}, strings.ToLower(password))
	if kept = strings.TrimRight(kept, "!?*#"); kept == "" {
		return password // punctuation alone
	}
	return kept
}

// unleet undoes digits and signs for letters, but for digits at the end, which
// are a tail and stay. A one stands for i or l.
func unleet(folded string, one rune) string {
	body := strings.TrimRight(folded, "0123456789")
	return strings.Map(func(r rune) rune {
		switch r {
		case '0':
			return 'o'
		case '1', '!', '|':
			return one
		case '3':
			return 'e'
		case '4', '@':
			return 'a'
		case '5', '$':
			return 's'
		case '7':
			return 't'
		}
		return r
	}, body) + folded[len(body):]
}

// cutDigits removes up to four digits from the end.
func cutDigits(s string) string {
	for range 4 {
		if s == "" || s[len(s)-1] < '0' || s[len(s)-1] > '9' {
			break
		}
		s = s[:len(s)-1]
	}
	return s
}
