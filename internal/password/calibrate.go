package password

import (
	"context"
	"fmt"
	"iter"
	"time"

	"gatehouse/internal/platform/bcrypt"
)

// MinCost is the lowest cost that an operator may set.
const MinCost = 10

// Timing is how long one core took for so many passwords at once.
type Timing struct {
	Cost  int
	Lanes int
	Took  time.Duration
}

// PerSecond returns how many passwords a second one core hashes at that rate.
func (t Timing) PerSecond() float64 { return float64(t.Lanes) / t.Took.Seconds() }

// Calibrate times hashing on this machine at each cost from MinCost to MaxCost
// with one, two and three passwords at once, and yields each figure as it
// comes, some seven seconds in all. It ends with the error of ctx when ctx ends.
func Calibrate(ctx context.Context) iter.Seq2[Timing, error] {
	return func(yield func(Timing, error) bool) {
		for cost := MinCost; cost <= MaxCost; cost++ {
			for lanes := 1; lanes <= bcrypt.Lanes; lanes++ {
				if err := ctx.Err(); err != nil {
					yield(Timing{}, fmt.Errorf("calibrate: %w", err))
					return
				}
				took, err := bcrypt.Time(cost, lanes)
				if err != nil {
					yield(Timing{}, fmt.Errorf("calibrate: %w", err))
					return
				}
				if !yield(Timing{Cost: cost, Lanes: lanes, Took: took}, nil) {
					return
				}
			}
		}
	}
}
