package extract

import (
	"context"
	"sync"
	"time"
)

// calmAfter is how many requests in a row must succeed before one more is let in flight.
const calmAfter = 20

// gate bounds the requests in flight. The API answers 429 to too many concurrent requests, and how many are too many
// depends on what else uses the account, so the bound is found by trying: halved on 429, one more after a calm run.
// Requests that were already in flight when the bound was halved will be answered 429 too; were each of those to
// halve it again, one burst would bring it down to one. So a halving counts once for all requests that had begun
// before it.
type gate struct {
	mu       sync.Mutex
	most     int
	limit    int
	inFlight int
	halvings int
	calm     int
	waiting  []chan struct{}
}

// ticket is a place in flight; it remembers which halvings its request had seen when it began.
type ticket struct{ halvings int }

func newGate(most int) *gate { return &gate{most: most, limit: most} }

// enter waits for a place, first come first served.
func (g *gate) enter(ctx context.Context) (ticket, error) {
	if err := ctx.Err(); err != nil {
		return ticket{}, err
	}
	g.mu.Lock()
	if g.inFlight < g.limit && len(g.waiting) == 0 {
		defer g.mu.Unlock()
		g.inFlight++
		return ticket{g.halvings}, nil
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
	return ticket{g.halvings}, nil
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

// leave gives a place back.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	g.admit()
}

// admit lets the next in as long as there are places; the place is taken in the name of who waits.
func (g *gate) admit() {
	for len(g.waiting) > 0 && g.inFlight < g.limit {
		g.inFlight++
		close(g.waiting[0])
		g.waiting = g.waiting[1:]
	}
}

// throttled says that the request of this ticket was one too many.
func (g *gate) throttled(t ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calm = 0
	if t.halvings != g.halvings {
		return
	}
	g.halvings++
	g.limit = max(1, g.limit/2)
}

// served says that a request was answered.
func (g *gate) served() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.limit == g.most {
		return
	}
	if g.calm++; g.calm >= calmAfter {
		g.calm = 0
		g.limit++
		g.admit()
	}
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
