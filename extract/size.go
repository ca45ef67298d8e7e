package extract

import "sync"

// steadyAfter is how many pages in a row must come through before a page size that was halved is doubled again.
const steadyAfter = 100

// size is the page size that all lists of a Client begin with. A sibling of the API is known to answer 500 to pages of
// 1000, so it halves itself on repeated 5xx; it grows back, because after an outage pages of one record would
// turn minutes into hours.
type size struct {
	mu     sync.Mutex
	most   int
	n      int
	steady int
}

func newSize(most int) *size { return &size{most: most, n: most} }

func (s *size) now() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// halve says that pages of n records were too big. Lists that fail together halve it once, not once each.
func (s *size) halve(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steady = 0
	s.n = max(1, min(s.n, n/2))
}

// restore takes the halvings back.
func (s *size) restore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n, s.steady = s.most, 0
}

// served says that a page came through.
func (s *size) served() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n == s.most {
		return
	}
	if s.steady++; s.steady >= steadyAfter {
		s.steady = 0
		s.n = min(s.most, 2*s.n)
	}
}
