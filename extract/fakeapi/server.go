package fakeapi

import (
	"compress/gzip"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Server answers for one account of one vendor. It is an http.Handler and safe for concurrent use.
type Server struct {
	world  *World
	opts   Options
	log    journal
	faults faults
	bearer bearers
	lists  listCache
	gzips  sync.Pool
}

// New is a server that shows a world.
func New(world *World, opts Options) *Server {
	opts = opts.withDefaults()
	s := &Server{world: world, opts: opts}
	s.log.limit = opts.LogLimit
	s.log.secrets = []string{opts.AuthToken, opts.APISecret, opts.ClientSecret}
	s.lists.limit = opts.CacheRows
	s.gzips.New = func() any {
		z, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
		if err != nil {
			panic(err) // the level is a constant of the package
		}
		return z
	}
	return s
}

// World is what the server shows.
func (s *Server) World() *World { return s.world }

// now is the server's time, without the monotonic reading, so that two times compare as what they say.
func (s *Server) now() time.Time { return s.opts.Clock().UTC().Round(0) }

// ServeHTTP answers one request: logged first and last, so that neither a refusal nor an injected crash is missing.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	entry, inFlight := s.log.begin(r, s.now())
	a := &answer{ResponseWriter: w, bare: s.opts.BareErrors, gzips: &s.gzips, zip: acceptsGzip(r)}
	defer func() { s.log.end(entry, a.status) }()
	a.Header().Set("Twilio-Concurrent-Requests", strconv.Itoa(inFlight))
	if s.opts.ConcurrentLimit > 0 && inFlight > s.opts.ConcurrentLimit {
		if s.opts.RetryAfter != "" {
			a.Header().Set("Retry-After", s.opts.RetryAfter)
		}
		refusal{http.StatusTooManyRequests, 20429, "Too many concurrent requests"}.write(a)
	} else if wait(r, s.opts.Latency) {
		s.faults.wrap(r, http.HandlerFunc(s.route)).ServeHTTP(a, r)
	}
	a.close()
}

// route finds the list that the request is for.
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == TokenPath && s.opts.Profile == Kore {
		s.giveBearer(w, r)
		return
	}
	if refused := s.authenticate(r); refused != nil {
		s.writeUnauthorized(w, *refused)
		return
	}
	lists := map[string]http.HandlerFunc{
		"/v1/UsageRecords": s.usageRecords,
		"/v1/Sims":         s.listSims,
		"/v1/Fleets":       s.listFleets,
		"/v1/Networks":     s.listNetworks,
	}
	list, known := lists[r.URL.Path]
	switch {
	case !known:
		refusal{http.StatusNotFound, 20404, "The requested resource " + r.URL.Path + " was not found"}.write(w)
	case r.Method != http.MethodGet:
		refusal{http.StatusMethodNotAllowed, 20004, "Method not allowed"}.write(w)
	default:
		list(w, r)
	}
}

// wait lets d pass and says whether the client still waits too.
func wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}
