package link_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/actor"
	"gatehouse/internal/link"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
	"gatehouse/internal/platform/secret"
)

func mustIssue(t *testing.T, d *db.DB, p link.Purpose, email string) (token secret.String) {
	t.Helper()
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		token, _ = link.IssueTx(tx, p, link.Link{Email: email})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func use(t *testing.T, d *db.DB, p link.Purpose, token secret.String) (l link.Link, err error) {
	t.Helper()
	err = d.Tx(t.Context(), func(tx *db.Tx) error {
		l, err = link.UseTx(t.Context(), tx, p, token)
		return err
	})
	return l, err
}

func TestUse_WorksOnceForItsPurpose(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		token := mustIssue(t, d, link.VerifyEmail, "ada@example.com")
		if _, err := use(t, d, link.Setup, token); !errors.Is(err, link.ErrInvalid) {
			t.Errorf("other purpose: %v", err)
		}
		if l, err := use(t, d, link.VerifyEmail, token); err != nil || l.Email != "ada@example.com" {
			t.Errorf("first use: %+v, %v", l, err)
		}
		if _, err := use(t, d, link.VerifyEmail, token); !errors.Is(err, link.ErrInvalid) {
			t.Errorf("second use: %v", err)
		}
	})
}

func TestUse_RefusesWhatIsNoToken(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		for _, token := range []secret.String{"", "ghv_", "ghv_short", secret.NewToken("ghv_"), secret.NewToken("ghv_") + "=", "ghv_\x00"} {
			if _, err := use(t, d, link.VerifyEmail, token); !errors.Is(err, link.ErrInvalid) {
				t.Errorf("%d bytes: %v", len(token), err)
			}
		}
	})
}

func TestVoid_EndsEveryLinkOfThePurpose(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		older, newer, other := mustIssue(t, d, link.Setup, ""), mustIssue(t, d, link.Setup, ""), mustIssue(t, d, link.VerifyEmail, "")
		err := d.Tx(t.Context(), func(tx *db.Tx) error { link.VoidTx(tx, link.Setup, actor.UserID{}); return nil })
		if err != nil {
			t.Fatal(err)
		}
		for name, token := range map[string]secret.String{"older": older, "newer": newer} {
			if _, err := use(t, d, link.Setup, token); !errors.Is(err, link.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := use(t, d, link.VerifyEmail, other); err != nil {
			t.Errorf("other purpose: %v", err)
		}
	})
}

func TestRequire_UsesNothingUp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		token := mustIssue(t, d, link.Setup, "")
		for range 2 {
			if err := link.Require(t.Context(), d, link.Setup, token, time.Now()); err != nil {
				t.Error(err)
			}
		}
		if err := link.Require(t.Context(), d, link.Setup, secret.NewToken("ghs_"), time.Now()); !errors.Is(err, link.ErrInvalid) {
			t.Errorf("unknown: %v", err)
		}
	})
}

func TestUse_OutOfDateIsRefused(t *testing.T) {
	t.Parallel()
	for _, engine := range dbtest.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := dbtest.URL(t, engine)
			token := mustIssue(t, dbtest.Open(t, url), link.VerifyEmail, "")
			later, err := db.Open(t.Context(), db.Config{URL: url, Now: func() time.Time { return time.Now().Add(25 * time.Hour) }})
			if err != nil {
				t.Fatal(err)
			}
			defer later.Close()
			if _, err := use(t, later, link.VerifyEmail, token); !errors.Is(err, link.ErrInvalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestUse_32AtOnceOverTwoNodesSucceedOnce(t *testing.T) {
	t.Parallel()
	for _, engine := range dbtest.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := dbtest.URL(t, engine)
			nodes := []*db.DB{dbtest.Open(t, url), dbtest.Open(t, url)}
			token := mustIssue(t, nodes[0], link.VerifyEmail, "")
			var used atomic.Int32
			var wg sync.WaitGroup
			for i := range 32 {
				wg.Go(func() {
					switch _, err := use(t, nodes[i%2], link.VerifyEmail, token); {
					case err == nil:
						used.Add(1)
					case !errors.Is(err, link.ErrInvalid):
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if used.Load() != 1 {
				t.Errorf("used %d times", used.Load())
			}
		})
	}
}

func TestVoid_LeavesOtherPeopleAlone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		token := mustIssue(t, d, link.Setup, "")
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			link.VoidTx(tx, link.Setup, actor.UserID{1})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := use(t, d, link.Setup, token); err != nil {
			t.Error(err)
		}
	})
}
