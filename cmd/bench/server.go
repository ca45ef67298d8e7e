package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// api is the simulated API, as far as the default streams need it.
type api struct {
	fleet fleet
	base  string
	sums  [changes][]usage // by country, everywhere last, and hour

	inFlight atomic.Int64
	buffers  sync.Pool

	mu     sync.Mutex
	state  state
	counts counts
	began  time.Duration // the processor time when the state was set
	days   map[dayKey]*day
}

// state is how the API behaves; bench sets it between measures.
type state struct {
	Says    saying
	Latency time.Duration
	// Limit is how many requests may be in flight; the others are answered 429. 0 is no limit.
	Limit int64
}

// counts is what the API has done since its state was set.
type counts struct {
	Requests map[string]int64 // by kind
	CPU      time.Duration    // of its process
}

// all is how many requests there were.
func (c counts) all() (n int64) {
	for _, count := range c.Requests {
		n += count
	}
	return n
}

type dayKey struct {
	country int
	change  change
}

func newAPI(f fleet, base string) *api {
	a := &api{fleet: f, base: base, counts: counts{Requests: make(map[string]int64)}, days: make(map[dayKey]*day)}
	for c := range changes {
		a.sums[c] = make([]usage, (f.Countries+1)*24)
		for hour := range 24 {
			all := &a.sums[c][f.Countries*24+hour]
			for n := range f.Countries {
				a.sums[c][n*24+hour] = f.sum(n, hour, c)
				all.add(a.sums[c][n*24+hour])
			}
		}
	}
	return a
}

// sum is what a country used in the hour that begins then.
func (a *api) sum(country int, hour time.Time, says saying) usage {
	if country == everywhere {
		country = a.fleet.Countries
	}
	return a.sums[says.at(hour)][country*24+hour.Hour()]
}

func (a *api) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/UsageRecords", a.usage)
	mux.HandleFunc("GET /v1/Sims", a.names("sims", a.fleet.SIMs, a.sim))
	mux.HandleFunc("GET /v1/Fleets", a.names("fleets", min(fleets, a.fleet.SIMs), a.ofFleet))
	mux.HandleFunc("GET /v1/Networks", a.names("networks", 0, nil))
	mux.HandleFunc("PUT /bench/state", a.setState)
	mux.HandleFunc("GET /bench/counts", a.showCounts)
	return mux
}

// setState also makes the days that are going to be asked for, so that nobody waits for them later, and lets the others go:
// those of a million SIMs take 8 GB.
func (a *api) setState(w http.ResponseWriter, r *http.Request) {
	var s state
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	maps.DeleteFunc(a.days, func(key dayKey, _ *day) bool { return key.change != s.Says.Older && key.change != s.Says.Newest })
	a.mu.Unlock()
	for n := range a.fleet.Countries {
		a.day(n, s.Says.Older)
		a.day(n, s.Says.Newest)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state = s
	a.counts.Requests = make(map[string]int64)
	a.began = processorTime()
}

// processorTime is what this process has used.
func processorTime() time.Duration {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used) // of oneself it cannot fail
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func (a *api) showCounts(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.counts.CPU = processorTime() - a.began
	json.NewEncoder(w).Encode(a.counts)
}

// day is the records of a country, made when they are first asked for.
func (a *api) day(country int, c change) *day {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := dayKey{country, c}
	if a.days[key] == nil {
		a.days[key] = newDay(a.fleet, country, c)
	}
	return a.days[key]
}

// admit counts a request and lets it take its time; false when it was turned away.
func (a *api) admit(w http.ResponseWriter, r *http.Request, kind string) bool {
	a.mu.Lock()
	s := a.state
	full := s.Limit > 0 && a.inFlight.Load() > s.Limit
	if full {
		kind = "throttled"
	}
	a.counts.Requests[kind]++
	a.mu.Unlock()
	if full {
		refuse(w, http.StatusTooManyRequests, 20429, "Too Many Requests")
		return false
	}
	if s.Latency == 0 {
		return true
	}
	timer := time.NewTimer(s.Latency)
	defer timer.Stop()
	select {
	case <-r.Context().Done():
		return false
	case <-timer.C:
		return true
	}
}

func refuse(w http.ResponseWriter, status, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"code":%d,"message":%q,"more_info":"","status":%d}`, code, message, status)
}

// usage answers a page of usage records.
func (a *api) usage(w http.ResponseWriter, r *http.Request) {
	a.inFlight.Add(1)
	defer a.inFlight.Add(-1)
	q, err := a.question(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, 83600, err.Error())
		return
	}
	if !a.admit(w, r, q.kind) {
		return
	}
	buffer, _ := a.buffers.Get().(*[]byte)
	if buffer == nil {
		buffer = new([]byte)
	}
	defer a.buffers.Put(buffer)
	a.mu.Lock()
	says := a.state.Says
	a.mu.Unlock()
	*buffer = a.page((*buffer)[:0], q, says)
	send(w, *buffer)
}

func send(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body) // a client that went away is no matter
}

// appendMeta ends a page.
func (a *api) appendMeta(b []byte, u *url.URL, key string, page, size int, more bool) []byte {
	at := func(page int) string {
		values := u.Query()
		values.Del("Page")
		values.Del("PageToken")
		if page > 0 {
			values.Set("Page", strconv.Itoa(page))
			values.Set("PageToken", "PT"+strconv.Itoa(page))
		}
		return strconv.Quote(a.base + u.Path + "?" + values.Encode())
	}
	next, previous := "null", "null"
	if more {
		next = at(page + 1)
	}
	if page > 0 {
		previous = at(page - 1)
	}
	return fmt.Appendf(b, `],"meta":{"first_page_url":%s,"key":%q,"next_page_url":%s,"page":%d,"page_size":%d,"previous_page_url":%s,"url":%s}}`,
		at(0), key, next, page, size, previous, at(page))
}
