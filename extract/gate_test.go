package extract

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func mustEnter(tb testing.TB, g *gate) ticket {
	tb.Helper()
	place, err := g.enter(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return place
}

func TestGateHalvesOncePerRoundTrip(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(8, time.Second)
		var burst []ticket
		for range 8 {
			burst = append(burst, mustEnter(t, g))
		}
		for _, place := range burst {
			g.throttled(place)
			g.leave()
		}
		if g.limit != 4 {
			t.Errorf("limit %v after one burst of 429, want 4", g.limit)
		}
		for range 20 {
			place := mustEnter(t, g)
			g.throttled(place)
			g.leave()
		}
		if g.limit != leastShare {
			t.Errorf("limit %v after 429 again and again, want %v", g.limit, leastShare)
		}
		time.Sleep(time.Minute) // until the last rest is over
	})
}

// Below one place, a gate lets one request in, and the next one after as long a rest as makes it that part of a place.
func TestGateRests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, time.Second)
		g.limit, g.took = 0.25, time.Second
		began := time.Now()
		const requests = 1000
		for range requests {
			mustEnter(t, g)
			time.Sleep(time.Second)
			g.leave()
		}
		if each := time.Since(began) / requests; each < 3900*time.Millisecond || each > 4350*time.Millisecond {
			t.Errorf("a request each %s, want one each 4 s and an eighth", each)
		}
		time.Sleep(time.Minute)
	})
}

func TestGateGrowsBack(t *testing.T) {
	t.Parallel()
	g := newGate(4, time.Second)
	place := mustEnter(t, g)
	g.throttled(place)
	for range calmAfter / 2 {
		g.served(place)
	}
	if int(g.limit) != 2 {
		t.Errorf("limit %v before the run is long enough, want 2 and a half", g.limit)
	}
	for range 10 * calmAfter {
		g.served(place)
	}
	if g.limit != 4 {
		t.Errorf("limit %v after a calm run, want 4", g.limit)
	}
}

func TestGateBounds(t *testing.T) {
	t.Parallel()
	g := newGate(3, time.Second)
	var inside, most atomic.Int64
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if _, err := g.enter(t.Context()); err != nil {
				t.Error(err)
				return
			}
			n := inside.Add(1)
			for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
			}
			inside.Add(-1)
			g.leave()
		})
	}
	group.Wait()
	if most.Load() > 3 || g.inFlight != 0 || len(g.waiting) != 0 {
		t.Errorf("%d were in flight at once; %d are left, %d wait", most.Load(), g.inFlight, len(g.waiting))
	}
}

func TestGateIsFair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, time.Second)
		mustEnter(t, g)
		var order []int
		for i := range 5 {
			go func() {
				mustEnter(t, g)
				order = append(order, i)
				g.leave()
			}()
			synctest.Wait()
		}
		g.leave()
		synctest.Wait()
		for i, got := range order {
			if got != i {
				t.Fatalf("entered in the order %v", order)
			}
		}
	})
}

func TestGateWaitEndsWithContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, time.Second)
		mustEnter(t, g)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := g.enter(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want that of the context", err)
		}
		if _, err := g.enter(ctx); err == nil {
			t.Error("entered after the end of the context")
		}
		g.leave()
		mustEnter(t, g)
		if g.inFlight != 1 || len(g.waiting) != 0 {
			t.Errorf("%d in flight, %d wait", g.inFlight, len(g.waiting))
		}
	})
}

func TestSizeHalvesOnceForAllLists(t *testing.T) {
	t.Parallel()
	s := newSize(1000)
	for range 4 {
		s.halve(1000)
	}
	if s.now() != 500 {
		t.Errorf("size %d after four lists failed together, want 500", s.now())
	}
	for range steadyAfter {
		s.served()
	}
	if s.now() != 1000 {
		t.Errorf("size %d after a steady run, want 1000", s.now())
	}
	for n := 1000; n > 0; n /= 2 {
		s.halve(n)
	}
	if s.now() != 1 {
		t.Errorf("size %d after failing at every size, want 1", s.now())
	}
	s.restore()
	if s.now() != 1000 {
		t.Errorf("size %d after it was not the size, want 1000", s.now())
	}
}
