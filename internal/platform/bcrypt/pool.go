package bcrypt

import (
	"context"
	"crypto/rand"
	"runtime"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/platform/errs"
)

// ErrOverloaded is returned when a password would wait too long for its turn.
// The copy that is returned says when to come back.
var ErrOverloaded = errs.New(errs.Unavailable, "overloaded", "Too many sign-ins are waiting. Try again shortly.")

// Config tunes a Pool. The zero value works.
type Config struct {
	Workers int           // at most this many cores hash at once; 0: GOMAXPROCS
	MaxWait time.Duration // a longer predicted wait is refused; 0: two seconds
}

// Pool hashes passwords on a bounded number of workers, each of which takes up
// to Lanes waiting passwords at once. While a worker is idle a password starts
// at once and alone; passwords share a worker only when all are busy, since a
// second core helps more than a second lane.
//
// NewPool starts nothing: a worker starts when a password finds fewer than the
// allowed number and ends when none waits, so a Pool needs no Close. All
// methods are safe for concurrent use.
type Pool struct {
	workers int
	maxWait time.Duration

	mu       sync.Mutex
	waiting  []*job // first come, first served among equal costs
	active   int    // workers that exist
	running  []*batch
	perRound time.Duration // of a lone password, moving average
	hashed   uint64
	rounds   uint64
	batches  [Lanes]uint64
	refused  uint64
}

// job is one password on its way through the pool.
type job struct {
	cost  int
	input Input
	done  chan Hash // has room for the result, so that no worker waits for a caller who left
}

// batch is what one worker computes at once.
type batch struct {
	jobs    []*job
	cost    int
	started time.Time
	lasts   time.Duration // predicted
}

// Stats is a snapshot of a Pool for metrics.
type Stats struct {
	Workers       int           // the bound
	Busy          int           // workers that compute now
	InFlight      int           // passwords that are being computed
	Waiting       int           // passwords in the queue
	PredictedWait time.Duration // for a password that came now
	Hashed        uint64        // passwords computed so far
	Rounds        uint64        // the work of those: the sum of 2^cost
	Batches       [Lanes]uint64 // batches computed so far, with one, two and three passwords
	Refused       uint64        // passwords refused with ErrOverloaded so far
}

// firstGuess is the time of a round on a common machine: what waits are
// predicted by until the first hash has been timed.
const firstGuess = 60 * time.Microsecond

// NewPool returns an idle pool.
func NewPool(cfg Config) *Pool {
	p := &Pool{workers: cfg.Workers, maxWait: cfg.MaxWait, perRound: firstGuess}
	if p.workers <= 0 {
		p.workers = runtime.GOMAXPROCS(0)
	}
	if p.maxWait <= 0 {
		p.maxWait = 2 * time.Second
	}
	return p
}

// Hash hashes a password under a random salt. It returns ErrCost, ErrPassword,
// ErrOverloaded or the error of ctx, whose end drops a password that waits.
func (p *Pool) Hash(ctx context.Context, cost int, password []byte) (Hash, error) {
	in := Input{Password: password}
	_, _ = rand.Read(in.Salt[:]) // never fails
	return p.sum(ctx, cost, in)
}

// Matches reports whether h is the hash of password; it compares in constant
// time and fails as Hash does.
func (p *Pool) Matches(ctx context.Context, h Hash, password []byte) (bool, error) {
	got, err := p.sum(ctx, h.cost, Input{Password: password, Salt: h.salt})
	return err == nil && got.Equal(h), err
}

// Stats returns the present state of the pool.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Stats{
		Workers: p.workers, Busy: len(p.running), Waiting: len(p.waiting), PredictedWait: p.predict(time.Now()),
		Hashed: p.hashed, Rounds: p.rounds, Batches: p.batches, Refused: p.refused,
	}
	for _, b := range p.running {
		s.InFlight += len(b.jobs)
	}
	return s
}

func (p *Pool) sum(ctx context.Context, cost int, in Input) (Hash, error) {
	if cost < MinCost || cost > MaxCost {
		return Hash{}, ErrCost
	}
	if len(in.Password) > MaxPassword {
		return Hash{}, ErrPassword
	}
	if err := ctx.Err(); err != nil {
		return Hash{}, err
	}
	j := &job{cost: cost, input: in, done: make(chan Hash, 1)}
	if err := p.submit(j); err != nil {
		return Hash{}, err
	}
	select {
	case h := <-j.done:
		return h, nil
	case <-ctx.Done():
		p.drop(j)
		return Hash{}, ctx.Err()
	}
}

func (p *Pool) submit(j *job) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if wait := p.predict(time.Now()); wait > p.maxWait {
		p.refused++
		return ErrOverloaded.After(max(wait-p.maxWait, time.Second))
	}
	p.waiting = append(p.waiting, j)
	if p.active < p.workers {
		p.active++
		go p.work()
	}
	return nil
}

func (p *Pool) drop(j *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiting, j); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
}

// work computes batches until no password waits.
func (p *Pool) work() {
	stepBack()
	for b := p.take(); b != nil; b = p.take() {
		inputs := make([]Input, len(b.jobs))
		for i, j := range b.jobs {
			inputs[i] = j.input
		}
		hashes, err := Sum(b.cost, inputs...)
		if err != nil {
			panic("bcrypt: unchecked input: " + err.Error())
		}
		p.finish(b)
		for i, j := range b.jobs {
			j.done <- hashes[i]
		}
	}
}

// take returns this worker's fair share of what waits, so that a few passwords
// spread over idle workers, or nil when the worker is to end.
func (p *Pool) take() *batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 {
		p.active--
		return nil
	}
	idle := p.workers - len(p.running)
	share := min(Lanes, (len(p.waiting)+idle-1)/idle)
	b := &batch{cost: p.waiting[0].cost, started: time.Now()}
	p.waiting = slices.DeleteFunc(p.waiting, func(j *job) bool {
		fits := len(b.jobs) < share && j.cost == b.cost
		if fits {
			b.jobs = append(b.jobs, j)
		}
		return fits
	})
	b.lasts = p.duration(b.cost, len(b.jobs))
	p.running = append(p.running, b)
	return b
}

func (p *Pool) finish(b *batch) {
	took := time.Since(b.started)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = slices.DeleteFunc(p.running, func(r *batch) bool { return r == b })
	p.hashed += uint64(len(b.jobs))
	p.rounds += uint64(len(b.jobs)) << b.cost
	p.batches[len(b.jobs)-1]++
	// A quarter of the newest measure follows load without following noise.
	measured := took * 100 / time.Duration(laneFactor(len(b.jobs))) >> b.cost
	p.perRound += (measured - p.perRound) / 4
}

// predict returns how long a password that came now would wait: all work that
// is ahead of it, shared by all workers.
func (p *Pool) predict(now time.Time) time.Duration {
	if p.active < p.workers {
		return 0
	}
	var ahead time.Duration
	for _, b := range p.running {
		// One that is late is still not done.
		ahead += max(b.lasts/16, b.lasts-now.Sub(b.started))
	}
	for _, j := range p.waiting {
		ahead += p.duration(j.cost, Lanes) / Lanes
	}
	return ahead / time.Duration(p.workers)
}

// duration returns how long a batch is likely to take.
func (p *Pool) duration(cost, lanes int) time.Duration {
	return p.perRound << cost * time.Duration(laneFactor(lanes)) / 100
}

// laneFactor returns what a round of so many lanes takes, in hundredths of a
// round of one.
func laneFactor(lanes int) int { return [...]int{100, 112, 130}[lanes-1] }
