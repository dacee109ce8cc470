package password_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	library "golang.org/x/crypto/bcrypt"

	"gatehouse/internal/keyring"
	"gatehouse/internal/password"
	"gatehouse/internal/platform/bcrypt"
	"gatehouse/internal/platform/secret"
)

var _ password.Peppers = (*keyring.Keyring)(nil)

// peppers are keys in memory, the last of which is current.
type peppers []keyring.Named

func (p peppers) Current(keyring.Purpose) (keyring.Named, error) {
	if len(p) == 0 {
		return keyring.Named{}, keyring.ErrNoKey
	}
	return p[len(p)-1], nil
}

func (p peppers) ByID(_ keyring.Purpose, id string) (secret.Key, error) {
	for _, named := range p {
		if named.ID == id {
			return named.Key, nil
		}
	}
	return secret.Key{}, keyring.ErrNoKey
}

const testCost = bcrypt.MinCost + 2

func newService(p peppers, cost int) (*password.Service, *bcrypt.Pool) {
	pool := bcrypt.NewPool(bcrypt.Config{})
	return password.New(password.Deps{Pool: pool, Peppers: p}, password.Config{Cost: cost}), pool
}

func TestVerify_MatchesExactBytesOnly(t *testing.T) {
	t.Parallel()
	s, _ := newService(peppers{{ID: "p1", Key: secret.NewKey()}}, testCost)
	long := secret.String(strings.Repeat("日本語の長い", 20) + "x") // far beyond bcrypt's 72 bytes
	stored := mustHash(t, s, long)
	if !strings.HasPrefix(stored, "gh1$p1$2b$06$") || len(stored) > 255 {
		t.Errorf("stored = %q", stored)
	}
	for name, v := range map[string]struct {
		password secret.String
		want     bool
	}{
		"same":            {long, true},
		"last byte other": {long[:len(long)-1] + "y", false},
		"cut":             {long[:len(long)-1], false},
		"trailing space":  {long + " ", false},
		"empty":           {"", false},
	} {
		match, outdated, err := s.Verify(t.Context(), stored, v.password)
		if match != v.want || outdated || err != nil {
			t.Errorf("%s: match %t, outdated %t, %v", name, match, outdated, err)
		}
	}
	if stored == mustHash(t, s, long) {
		t.Error("two hashes of one password are equal")
	}
}

func TestHash_IsWorthlessWithoutPepper(t *testing.T) {
	t.Parallel()
	s, _ := newService(peppers{{ID: "p1", Key: secret.NewKey()}}, testCost)
	stored := mustHash(t, s, "a password")
	_, hash, _ := strings.Cut(stored, "gh1$p1")
	if err := library.CompareHashAndPassword([]byte(hash), []byte("a password")); err == nil {
		t.Error("the bare password matches the stored hash")
	}
	other, _ := newService(peppers{{ID: "p1", Key: secret.NewKey()}}, testCost)
	if match, _, err := other.Verify(t.Context(), stored, "a password"); match || err != nil {
		t.Errorf("under another pepper: %t, %v", match, err)
	}
}

func TestVerify_SameWorkWhateverIsStored(t *testing.T) {
	t.Parallel()
	keys := peppers{{ID: "p1", Key: secret.NewKey()}}
	s, pool := newService(keys, testCost)
	cheap, _ := newService(keys, testCost-2)
	stored, old := mustHash(t, s, "right"), mustHash(t, cheap, "right")
	for name, v := range map[string]struct {
		stored   string
		password secret.String
		hashes   uint64
	}{
		"right":         {stored, "right", 1},
		"wrong":         {stored, "wrong", 1},
		"no account":    {"", "right", 1},
		"no password":   {password.NoPassword, password.NoPassword, 1},
		"not a hash":    {"gh1$p1$nonsense", "right", 1},
		"other scheme":  {strings.TrimPrefix(stored, "gh1$p1"), "right", 1},
		"absurd cost":   {strings.Replace(stored, "$06$", "$31$", 1), "right", 1},
		"cheaper":       {old, "right", 3}, // of 1/4, 1/4 and 1/2 of the work
		"cheaper wrong": {old, "wrong", 3},
	} {
		before := pool.Stats()
		match, _, err := s.Verify(t.Context(), v.stored, v.password)
		if want := v.password == "right" && (v.stored == stored || v.stored == old); match != want || err != nil {
			t.Errorf("%s: match %t, %v", name, match, err)
		}
		after := pool.Stats()
		if rounds := after.Rounds - before.Rounds; rounds != 1<<testCost {
			t.Errorf("%s: %d rounds, want %d", name, rounds, 1<<testCost)
		}
		if hashes := after.Hashed - before.Hashed; hashes != v.hashes {
			t.Errorf("%s: %d hashes, want %d", name, hashes, v.hashes)
		}
	}
}

func TestVerify_Outdated(t *testing.T) {
	t.Parallel()
	keys := peppers{{ID: "p1", Key: secret.NewKey()}, {ID: "p2", Key: secret.NewKey()}}
	now, _ := newService(keys, testCost)
	oldPepper, _ := newService(keys[:1], testCost)
	cheaper, _ := newService(keys, testCost-1)
	dearer, _ := newService(keys, testCost+1)
	for name, v := range map[string]struct {
		madeBy   *password.Service
		outdated bool
	}{
		"up to date":  {now, false},
		"old pepper":  {oldPepper, true},
		"lower cost":  {cheaper, true},
		"higher cost": {dearer, false},
	} {
		stored := mustHash(t, v.madeBy, "right")
		if match, outdated, err := now.Verify(t.Context(), stored, "right"); !match || outdated != v.outdated || err != nil {
			t.Errorf("%s: match %t, outdated %t, %v", name, match, outdated, err)
		}
		if _, outdated, _ := now.Verify(t.Context(), stored, "wrong"); outdated {
			t.Errorf("%s: outdated although the password is wrong", name)
		}
	}
}

func TestService_MalformedInputIsNeverHashed(t *testing.T) {
	t.Parallel()
	s, pool := newService(peppers{{ID: "p1", Key: secret.NewKey()}}, testCost)
	for name, p := range map[string]secret.String{
		"1025 bytes": secret.String(strings.Repeat("x", 1025)),
		"NUL":        "a password with a \x00 in it",
		"not UTF-8":  "a password with a \xff in it",
	} {
		_, hashErr := s.Hash(t.Context(), p)
		_, _, verifyErr := s.Verify(t.Context(), "", p)
		for _, err := range []error{hashErr, verifyErr, s.Check(t.Context(), p, password.Context{})} {
			if !errors.Is(err, password.ErrMalformed) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if n := pool.Stats().Hashed; n != 0 {
		t.Errorf("hashed %d of them", n)
	}
}

func TestService_FailsClosed(t *testing.T) {
	t.Parallel()
	s, _ := newService(peppers{{ID: "p1", Key: secret.NewKey()}}, testCost)
	stored := mustHash(t, s, "right")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, text := range []string{stored, ""} {
		if match, _, err := s.Verify(ended, text, "right"); match || !errors.Is(err, context.Canceled) {
			t.Errorf("ended context: %t, %v", match, err)
		}
	}
	none, _ := newService(nil, testCost)
	if _, err := none.Hash(t.Context(), "right"); !errors.Is(err, keyring.ErrNoKey) {
		t.Errorf("Hash without a pepper: %v", err)
	}
	other, _ := newService(peppers{{ID: "p2", Key: secret.NewKey()}}, testCost)
	if match, _, err := other.Verify(t.Context(), stored, "right"); match || !errors.Is(err, keyring.ErrNoKey) {
		t.Errorf("Verify with its pepper lost: %t, %v", match, err)
	}
}

// FuzzVerify shows that no stored text breaks Verify, and that none but a real
// hash matches.
func FuzzVerify(f *testing.F) {
	s, _ := newService(peppers{{ID: "p1", Key: secret.Key{1}}}, bcrypt.MinCost)
	const stored = "gh1$p1$2b$04$DKF/0GtvEVvv3dD9Pg58G.otsaYruZXbRXDhRBG1uEQeibnB/CYPq"
	f.Add(stored, "right")
	f.Add("!", "!")
	f.Add("gh1$$2b$04$", "")
	f.Fuzz(func(t *testing.T, text, candidate string) {
		if strings.Contains(text, "$2") && !strings.Contains(text, "$04$") {
			return // dear
		}
		match, _, err := s.Verify(t.Context(), text, secret.String(candidate))
		if err != nil && !errors.Is(err, password.ErrMalformed) && !errors.Is(err, keyring.ErrNoKey) {
			t.Error(err)
		}
		if match && (candidate != "right" || text[len(text)-31:] != stored[len(stored)-31:]) {
			t.Errorf("%q matches %q", candidate, text)
		}
	})
}

func TestCalibrate_TimesEachCostAndLane(t *testing.T) {
	t.Parallel()
	lanes := 0
	for timing, err := range password.Calibrate(t.Context()) {
		lanes++
		if err != nil || timing.Cost != password.MinCost || timing.Lanes != lanes || timing.PerSecond() <= 0 {
			t.Errorf("timing = %+v, %v", timing, err)
		}
		if lanes == bcrypt.Lanes {
			break
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range password.Calibrate(ended) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("after the end of ctx: %v", err)
		}
	}
}

func mustHash(tb testing.TB, s *password.Service, p secret.String) string {
	tb.Helper()
	stored, err := s.Hash(tb.Context(), p)
	if err != nil {
		tb.Fatal(err)
	}
	return stored
}
