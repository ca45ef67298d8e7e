package fakeapi

import (
	"math/rand/v2"
	"net/http"
	"sync"
)

// Action is what a fault does instead of, or around, the answer that next would give.
type Action func(w http.ResponseWriter, r *http.Request, next http.Handler)

// Fault is a misbehaviour and its turn. It counts the requests that it matches, from one.
type Fault struct {
	// After lets that many requests pass before the first turn.
	After int

	// Every makes each that many-th request behind After a turn. Default: each.
	Every int

	// Times is how often the fault happens; negative: without end. Default: once, or without end when Every is set.
	Times int

	// Match picks the requests. Default: all but those for a bearer token.
	Match func(*http.Request) bool

	// Do is what happens.
	Do Action
}

// faults are the script of a server.
type faults struct {
	mu    sync.Mutex
	lines []*armed
}

// armed is a fault with its counts.
type armed struct {
	Fault
	seen, done int
}

// Inject adds faults. When several have their turn at the same request, those added first lie outermost.
func (s *Server) Inject(list ...Fault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for _, f := range list {
		if f.Times == 0 && f.Every == 0 {
			f.Times = 1
		}
		if f.Times == 0 {
			f.Times = -1
		}
		f.Every = max(f.Every, 1)
		if f.Match == nil {
			f.Match = func(r *http.Request) bool { return r.URL.Path != TokenPath }
		}
		s.faults.lines = append(s.faults.lines, &armed{Fault: f})
	}
}

// ClearFaults makes the server behave again.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.lines = nil
}

// Flaky makes a share of all answers fail: 429, 500, a 502 in HTML, a connection cut in mid-body or truncated JSON.
// Which ones depends on the seed and on the number of the request only.
func (s *Server) Flaky(share float64, seed uint64) {
	actions := []Action{Throttle(""), Status(http.StatusInternalServerError), HTML(http.StatusBadGateway), Cut(), Truncate()}
	var mu sync.Mutex
	number := uint64(0)
	s.Inject(Fault{Every: 1, Do: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		mu.Lock()
		number++
		dice := rand.New(rand.NewPCG(seed, number))
		mu.Unlock()
		if dice.Float64() >= share {
			next.ServeHTTP(w, r)
			return
		}
		actions[dice.IntN(len(actions))](w, r, next)
	}})
}

// wrap puts the faults whose turn it is around a handler.
func (f *faults) wrap(r *http.Request, next http.Handler) http.Handler {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(f.lines) - 1; i >= 0; i-- {
		line := f.lines[i]
		if !line.turn(r) {
			continue
		}
		inner, do := next, line.Do
		next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { do(w, r, inner) })
	}
	return next
}

// turn counts a request and says whether the fault happens at it.
func (a *armed) turn(r *http.Request) bool {
	if !a.Match(r) {
		return false
	}
	a.seen++
	if a.seen <= a.After || (a.seen-a.After)%a.Every != 0 || a.done == a.Times {
		return false
	}
	a.done++
	return true
}

// OnPath matches the requests for one path, for Fault.Match.
func OnPath(path string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.URL.Path == path }
}

// WithToken matches the requests for a page behind the first, for Fault.Match.
func WithToken(r *http.Request) bool { return r.URL.Query().Get("PageToken") != "" }
