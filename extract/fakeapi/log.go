package fakeapi

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Request is one request as the server remembers it.
type Request struct {
	Time   time.Time // by the server's clock, when it came in
	Method string
	Path   string

	// Query is the query with its parameters sorted by name, without Page and PageToken: the same for all pages of
	// a list. Token is the PageToken, Page the number, 0 when there is none. A secret of the server is blacked out.
	Query string
	Token string
	Page  int

	// Status is what was answered; 0 when nothing was, because the answer was cut off or is still under way.
	Status int

	// InFlight is how many requests were under way when it came in, itself included.
	InFlight int
}

// journal remembers the requests. Its counts go on where its memory ends.
type journal struct {
	limit   int
	secrets []string

	mu       sync.Mutex
	entries  []*Request
	statuses map[int]int
	inFlight int
	highest  int
	leaks    int
}

// Requests are the requests since the last Reset, in the order in which they came in, the newest LogLimit of them.
func (s *Server) Requests() []Request {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	requests := make([]Request, len(s.log.entries))
	for i, entry := range s.log.entries {
		requests[i] = *entry
	}
	return requests
}

// Reset forgets the requests and all counts. Faults, bearer tokens and the world stay.
func (s *Server) Reset() {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.log.entries, s.log.statuses, s.log.highest, s.log.leaks = nil, nil, s.log.inFlight, 0
}

// MaxInFlight is how many requests were under way at once, at most.
func (s *Server) MaxInFlight() int {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.highest
}

// Statuses is how many requests were answered with each status; 0 is for those that were cut off without one.
func (s *Server) Statuses() map[int]int {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	statuses := map[int]int{}
	for status, n := range s.log.statuses {
		statuses[status] = n
	}
	return statuses
}

// Leaks is how many requests carried a secret of the server in their URL, where proxies and logs would see it.
func (s *Server) Leaks() int {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.leaks
}

// begin remembers a request that came in, and says how many are under way now.
func (j *journal) begin(r *http.Request, now time.Time) (*Request, int) {
	query := r.URL.Query()
	page, _ := strconv.Atoi(query.Get("Page"))
	entry := &Request{Time: now, Method: r.Method, Page: page}
	token := query.Get("PageToken")
	query.Del("Page")
	query.Del("PageToken")
	plain, _ := url.QueryUnescape(r.URL.RequestURI())
	leaks := slices.ContainsFunc(j.secrets, func(secret string) bool { return secret != "" && strings.Contains(plain, secret) })

	j.mu.Lock()
	defer j.mu.Unlock()
	entry.Path, entry.Query, entry.Token = j.blackOut(r.URL.Path), j.blackOut(query.Encode()), j.blackOut(token)
	if leaks {
		j.leaks++
	}
	j.inFlight++
	j.highest = max(j.highest, j.inFlight)
	entry.InFlight = j.inFlight
	j.entries = append(j.entries, entry)
	if len(j.entries) > j.limit {
		j.entries = j.entries[1:]
	}
	return entry, j.inFlight
}

// end completes what begin remembered.
func (j *journal) end(entry *Request, status int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	entry.Status = status
	j.inFlight--
	if j.statuses == nil {
		j.statuses = map[int]int{}
	}
	j.statuses[status]++
}

func (j *journal) blackOut(text string) string {
	for _, secret := range j.secrets {
		if secret != "" {
			text = strings.ReplaceAll(strings.ReplaceAll(text, secret, "[secret]"), url.QueryEscape(secret), "[secret]")
		}
	}
	return text
}
