package db_test

import (
	"strings"
	"testing"
	"time"

	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
)

func TestInspect_KnowsTheServerAndTheRole(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, err := d.Inspect(t.Context())
		if err != nil || s.TooOld {
			t.Fatalf("%+v, %v", s, err)
		}
		if d.Embedded() {
			if !strings.HasPrefix(s.Version, "SQLite 3.") || !s.Clock.IsZero() || s.Role != "" || s.MayChange != nil {
				t.Errorf("%+v", s)
			}
			return
		}
		if !strings.HasPrefix(s.Version, "PostgreSQL 1") || time.Since(s.Clock).Abs() > time.Minute || s.Role == "" {
			t.Errorf("%+v", s)
		}
		if got := strings.Join(s.MayChange, " "); !strings.Contains(got, "audit_heads audit_logs audit_logs_default audit_seals") {
			t.Errorf("the owner may change %s", got)
		}
	})
}

func TestInspect_NeedsNoSchema(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.EmptyPostgres(t))
	if s, err := d.Inspect(t.Context()); err != nil || len(s.MayChange) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}
