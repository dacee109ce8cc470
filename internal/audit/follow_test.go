package audit_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/audit"
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/db/dbtest"
)

func TestFollowNew_HandsOnEverySealedEntryInOrder(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d)
		by := f.mustPerson(t)
		f.mustAppend(t, by, 2)
		f.mustSeal(t) // before anybody follows

		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var positions []int64
		failed, started := false, false
		err := f.log.FollowNew(ctx, audit.Follower{
			Behind: func(behind bool) {
				if !behind && !started {
					started = true
					f.mustAppend(t, by, 3)
					f.mustSeal(t)
				}
			},
			Handle: func(_ context.Context, entries []audit.Followed) error {
				if !failed {
					failed = true
					return errors.New("boom") // gets them again
				}
				for _, e := range entries {
					positions = append(positions, e.Position)
					if e.Target != audit.Person(by.UserID) || e.Action != "user.updated" {
						t.Errorf("followed %+v", e)
					}
				}
				if len(positions) == 3 {
					cancel()
				}
				return nil
			},
		})
		if diff := cmp.Diff([]int64{3, 4, 5}, positions); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}

func TestFollowNew_TellsThatNobodySeals(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d)
		f.mustAppend(t, f.mustPerson(t), 1)
		f.advance(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		calls := 0
		_ = f.log.FollowNew(ctx, audit.Follower{
			Handle: func(context.Context, []audit.Followed) error { return nil },
			Behind: func(behind bool) {
				if calls++; !behind {
					t.Error("an entry that waits for a minute is not missed")
				}
				if calls == 3 {
					cancel()
				}
			},
		})
	})
}
