package extract

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// calmAfter is how many requests must succeed before one more is let in flight.
	calmAfter = 20
	// leastShare is how much of one place the gate still uses when it is turned away again and again.
	leastShare = 1.0 / 16
	// gap is how long a place stays empty between two requests, of the time that a request takes, where there are too many.
	gap = 1.0 / 8
)

// gate bounds the requests in flight. The API answers 429 to too many concurrent requests, and how many are too many
// depends on what else uses the account, other processes of ours among it. There is no coordinator: the bound is found by
// trying, halved on 429, and up by one for so many requests that succeed. Whoever has much loses much by a halving and wins no
// more than others by a success, so that processes which are turned away alike come to have alike.
//
// They would not be turned away alike if each took its place again at once: whoever is in would never meet a 429, and whoever
// is not would starve. So a bounded gate leaves each place empty for a moment, in which another process may take it.
//
// Requests that were already in flight when the bound was halved will be answered 429 too; were each of those to
// halve it again, one burst would bring it down to nothing. So a halving counts once for all requests that had begun
// before it.
//
// Two hundred processes may share a hundred places. So the bound may fall below one: then one place is used, and stays empty
// for so long that this part of it is used. Did each of them go on to want a whole place, half of all requests would be
// answered 429.
type gate struct {
	mu       sync.Mutex
	most     int
	limit    float64
	inFlight int
	halvings int
	took     time.Duration // by a request that succeeded, lately
	waiting  []chan struct{}
}

// ticket is a place in flight; it remembers when its request began, and which halvings it had seen.
type ticket struct {
	began    time.Time
	halvings int
}

// newGate begins with all places; took is how long a request takes, as far as that is known before the first.
func newGate(most int, took time.Duration) *gate {
	return &gate{most: most, limit: float64(most), took: took}
}

// open says whether there is a place.
func (g *gate) open() bool { return g.inFlight < g.places() }

// places is how many there are now; the caller has the lock.
func (g *gate) places() int { return max(1, int(g.limit)) }

// enter waits for a place, first come first served.
func (g *gate) enter(ctx context.Context) (ticket, error) {
	if err := ctx.Err(); err != nil {
		return ticket{}, err
	}
	g.mu.Lock()
	if g.open() && len(g.waiting) == 0 {
		defer g.mu.Unlock()
		g.inFlight++
		return ticket{time.Now(), g.halvings}, nil
	}
	turn := make(chan struct{})
	g.waiting = append(g.waiting, turn)
	g.mu.Unlock()

	select {
	case <-turn:
	case <-ctx.Done():
		if !g.quit(turn) {
			g.leave()
		}
		return ticket{}, ctx.Err()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return ticket{time.Now(), g.halvings}, nil
}

// quit leaves the queue; it says false when the place had just been given.
func (g *gate) quit(turn chan struct{}) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, w := range g.waiting {
		if w == turn {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// leave gives a place back, at once or after a rest.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if rest := g.rest(); rest > 0 {
		time.AfterFunc(rest, g.free)
		return
	}
	g.inFlight--
	g.admit()
}

// rest is how long a place stays empty before its next request.
func (g *gate) rest() time.Duration {
	if g.limit >= float64(g.most) {
		return 0
	}
	share := gap + max(0, 1/g.limit-1)
	return time.Duration(float64(g.took) * share * (0.5 + rand.Float64()))
}

// free gives a place back whose rest is over.
func (g *gate) free() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	g.admit()
}

// admit lets the next in as long as there are places; the place is taken in the name of who waits.
func (g *gate) admit() {
	for len(g.waiting) > 0 && g.open() {
		g.inFlight++
		close(g.waiting[0])
		g.waiting = g.waiting[1:]
	}
}

// throttled says that the request of this ticket was one too many.
func (g *gate) throttled(t ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.halvings != g.halvings {
		return
	}
	g.halvings++
	g.limit = max(leastShare, g.limit/2)
}

// served says that the request of this ticket was answered.
func (g *gate) served(t ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.took += (time.Since(t.began) - g.took) / 8
	g.limit = min(float64(g.most), g.limit+1.0/calmAfter)
	g.admit()
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
