package session_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"gatehouse/internal/platform/secret"
	"gatehouse/internal/session"
)

func TestClaimed_RefusesWhatIsNoRefreshToken(t *testing.T) {
	t.Parallel()
	good := "rt_" + base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("x", 48)))
	if _, err := session.Claimed(secret.String(good)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":           "",
		"other prefix":    "at_" + good[3:],
		"no prefix":       good[3:],
		"too short":       good[:len(good)-1],
		"too long":        good + "A",
		"padding":         good[:len(good)-1] + "=",
		"standard base64": good[:len(good)-1] + "+",
		"line break":      good[:10] + "\n" + good[11:],
		"four breaks":     good[:10] + "\r\n\r\n" + good[14:],
		"space":           good[:len(good)-1] + " ",
		"NUL":             good[:len(good)-1] + "\x00",
		"no session":      "rt_" + strings.Repeat("A", 22) + good[25:],
	} {
		if _, err := session.Claimed(secret.String(text)); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

func FuzzClaimed(f *testing.F) {
	f.Add("")
	f.Add("rt_")
	f.Add("rt_" + strings.Repeat("A", 64))
	f.Add("rt_" + base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("x", 48))))
	f.Add("rt_" + strings.Repeat("\n", 64))
	f.Fuzz(func(t *testing.T, text string) {
		id, err := session.Claimed(secret.String(text))
		if err != nil {
			if !errors.Is(err, session.ErrInvalid) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		raw, err := base64.RawURLEncoding.Strict().DecodeString(text[3:])
		if err != nil || len(raw) != 48 || string(raw[:16]) != string(id[:]) {
			t.Fatalf("%q was taken for a token of %v", text, id)
		}
		// One text a token: what is accepted is exactly what would be issued.
		if again := "rt_" + base64.RawURLEncoding.EncodeToString(raw); again != text {
			t.Fatalf("%q has a second form %q", text, again)
		}
	})
}
