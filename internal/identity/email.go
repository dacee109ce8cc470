package identity

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// The limits of RFC 5321 on an address and on what stands before the "@".
const (
	maxEmail = 254
	maxLocal = 64
)

// CanonicalEmail returns the form of an address by which it is unique
// (REC-1): ASCII letters in lower case, the domain checked and in its ASCII
// form. Nothing else is mapped, so look-alikes stay different addresses. It
// reports false for what is no address.
func CanonicalEmail(s string) (string, bool) {
	if len(s) > maxEmail || !utf8.ValidString(s) {
		return "", false
	}
	local, domain, found := strings.Cut(lowerASCII(s), "@")
	if !found || !isLocal(local) {
		return "", false
	}
	domain, ok := canonicalDomain(domain)
	canonical := local + "@" + domain
	return canonical, ok && len(canonical) <= maxEmail
}

// isLocal reports whether s is a dot-atom (RFC 5322, widened to Unicode by
// RFC 6532). Quoted forms are refused: nobody has one, and many programs
// mistake them.
func isLocal(s string) bool {
	if s == "" || len(s) > maxLocal || !norm.NFC.IsNormalString(s) {
		return false
	}
	if s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for _, r := range s {
		if !isAtom(r) {
			return false
		}
	}
	return true
}

func isAtom(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return true
	case r < utf8.RuneSelf:
		return strings.ContainsRune(".!#$%&'*+-/=?^_`{|}~", r)
	}
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r)
}

// canonicalDomain returns the ASCII form of a host name of two labels or
// more. It follows the rules for registering a name, which refuse what the
// rules for looking one up would quietly map.
func canonicalDomain(s string) (string, bool) {
	if !strings.Contains(s, ".") || strings.HasSuffix(s, ".") {
		return "", false
	}
	ascii, err := idna.Registration.ToASCII(s)
	if err != nil || len(ascii) > 253 {
		return "", false
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if label == "" || len(label) > 63 {
			return "", false
		}
	}
	top := ascii[strings.LastIndexByte(ascii, '.')+1:]
	return ascii, strings.Trim(top, "0123456789") != ""
}

// LimitKey returns the form of a submitted e-mail or username under which
// tries are counted (LIM-5): case, spaces and closing dots make no new key.
// It takes any text, also such as names nobody.
func LimitKey(identifier string) string {
	return Fold(strings.TrimFunc(identifier, func(r rune) bool {
		return r == '.' || unicode.IsSpace(r)
	}))
}

// lowerASCII lowers A to Z and leaves the rest, unlike strings.ToLower, which
// maps the Kelvin sign to k.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)
}
