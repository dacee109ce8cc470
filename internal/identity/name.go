package identity

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

const (
	maxUsername = 50
	maxName     = 100
)

// CanonicalUsername returns the form of a username by which it is unique, or
// false for what is no username. A username is 1 to 50 letters and digits of
// ASCII, dots, hyphens and underscores, and begins with a letter or digit.
// One alphabet leaves no room for look-alikes; names proper take every script.
// It never looks like an e-mail or an id (REC-1).
func CanonicalUsername(s string) (string, bool) {
	if s == "" || len(s) > maxUsername || isUUID(s) {
		return "", false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case i > 0 && (c == '.' || c == '-' || c == '_'):
		default:
			return "", false
		}
	}
	return lowerASCII(s), true
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
			continue
		}
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

// isName reports whether s may be a first or last name: text of at most 100
// code points in NFC, with no control character and not blank (IN-6).
func isName(s string) bool {
	return IsText(s) && utf8.RuneCountInString(s) <= maxName && strings.TrimSpace(s) != ""
}

// IsText reports whether s is one line of text in NFC: valid UTF-8 without
// control characters, line breaks, characters that turn the direction of what
// follows, or code points that are no characters.
func IsText(s string) bool {
	if !utf8.ValidString(s) || !norm.NFC.IsNormalString(s) {
		return false
	}
	for _, r := range s {
		if unicode.In(r, unicode.Cc, unicode.Co, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point) ||
			r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 {
			return false
		}
	}
	return true
}

// isPhone reports whether s is a number in the manner of E.164: "+" and 6 to
// 18 digits.
func isPhone(s string) bool {
	if len(s) < 7 || len(s) > 19 || s[0] != '+' {
		return false
	}
	return strings.Trim(s[1:], "0123456789") == ""
}

// Fold returns text as it is searched: compatibility forms taken apart, case
// folded, marks dropped, so that "jose" finds "José". Folding twice changes
// nothing more. It may return "" for text of nothing but marks.
func Fold(s string) string {
	if isASCII(s) {
		return lowerASCII(s)
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	// Folding can bring marks and compatibility forms back, and dropping marks
	// can bring letters together, so it goes on until nothing moves. Three
	// rounds are more than any character needs.
	for range 3 {
		next := foldOnce(s)
		if next == s {
			break
		}
		s = next
	}
	return s
}

func foldOnce(s string) string {
	s = cases.Fold().String(norm.NFKD.String(s))
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFKD.String(s))
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
