package keyring_test

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"gatehouse/internal/keyring"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
	"gatehouse/internal/platform/secret"
)

func TestFit_ComparesWithoutChangingAnything(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		for range 2 {
			if n, err := keyring.Fit(t.Context(), d, nil); n != 0 || err != nil {
				t.Fatalf("nobody used it: %d, %v", n, err)
			}
		}
		_, err := keyring.New(t.Context(), keyring.Deps{
			DB: d, Master: []secret.Key{{1}}, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := keyring.Fit(t.Context(), d, []secret.Key{{2}, {1}}); n != 1 || err != nil {
			t.Errorf("its own key: %d, %v", n, err)
		}
		if _, err := keyring.Fit(t.Context(), d, []secret.Key{{2}}); !errors.Is(err, keyring.ErrMasterKey) {
			t.Errorf("another key: %v", err)
		}
	})
}
