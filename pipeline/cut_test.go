package pipeline

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"simusage/extract"
	"simusage/extract/fakeapi"
	"simusage/load"
)

// cutting is a bench whose processes cut slices that have some dozens of rows.
func cutting(t *testing.T, cfg fakeapi.WorldConfig, opts fakeapi.Options, streams ...string) *bench {
	t.Helper()
	b := newBench(t, cfg, opts)
	b.since, b.listRows, b.pageSize, b.lease = at("2026-03-08"), 4, 5, time.Minute
	b.streams = parseStreams(t, streams...)
	return b
}

// apart lets no slice be walked together with its neighbours, which slices of so few rows would be, and are not cut then.
func (b *bench) apart() {
	b.t.Helper()
	b.exec(`UPDATE simusage.slice SET failures = 1`)
}

// again reads a day again, with some lists at once.
func (b *bench) again(ctx context.Context, job *Job, day string, atOnce int) (Summary, error) {
	job.Concurrency = atOnce
	start := at(day)
	return job.Backfill(ctx, load.RunStart{Command: "backfill"}, Range{Window: extract.Window{Start: start, End: start.AddDate(0, 0, 1)}, AgainBefore: b.clock.Now()})
}

// question is the first page of a list that was asked for.
type question struct {
	what   string // all but the time
	window extract.Window
}

// questions are those since the last look; what asks for values is left out.
func (b *bench) questions() []question {
	b.t.Helper()
	var all []question
	for _, r := range b.api.Requests() {
		q, err := url.ParseQuery(r.Query)
		if err != nil {
			b.t.Fatal(err)
		}
		if r.Path != "/v1/UsageRecords" || r.Token != "" || q.Get("Granularity") == "all" {
			continue
		}
		from, err := time.Parse(time.RFC3339, q.Get("StartTime"))
		until, err2 := time.Parse(time.RFC3339, q.Get("EndTime"))
		if err := errors.Join(err, err2); err != nil {
			b.t.Fatal(err)
		}
		q.Del("StartTime")
		q.Del("EndTime")
		all = append(all, question{q.Encode(), extract.Window{Start: from, End: until}})
	}
	b.api.Reset()
	return all
}

// tiled wants each value's questions since the last look to cover what they cover without overlap and each slice to its end,
// and says in how many pieces the most that a value was asked for was.
func (b *bench) tiled() (most int) {
	b.t.Helper()
	asked := make(map[string][]extract.Window)
	for _, q := range b.questions() {
		key := q.what + q.window.Start.Format(" 2006-01-02")
		if strings.Contains(q.what, "Granularity=day") {
			key = q.what + q.window.Start.Format(" 2006-01")
		}
		asked[key] = append(asked[key], q.window)
	}
	for key, windows := range asked {
		slices.SortFunc(windows, func(a, b extract.Window) int { return a.Start.Compare(b.Start) })
		most = max(most, len(windows))
		for i, w := range windows[1:] {
			if !w.Start.Equal(windows[i].End) {
				b.t.Errorf("%s is asked for until %s and then from %s", key, windows[i].End, w.Start)
			}
		}
		if first := windows[0].Start; first.Hour() != 0 || strings.Contains(key, "Granularity=day") && first.Day() != 1 {
			b.t.Errorf("%s is asked for from %s", key, first)
		}
		last := windows[len(windows)-1].End
		if finished := b.clock.Now().Truncate(time.Hour); last.Hour() != 0 && !last.Equal(finished) {
			b.t.Errorf("%s is asked for until %s", key, last)
		}
	}
	return most
}

// Large slices are asked for in pieces when they are read again, and say the same as the oracle: with late usage and billing,
// with every group and fan-out.
func TestCutSlicesEqualTheOracle(t *testing.T) {
	for _, c := range []struct {
		streams, families string
		pieces            int
	}{
		{"hour/total hour/country hour/sim@country", "total country sim sim_country", 6},
		{"hour/sim hour/network", "sim network", 12},
		{"hour/sim@fleet", "sim fleet", 5},
		{"hour/country@sim", "sim country sim_country", 2}, // a list for each SIM has few rows
	} {
		t.Run(c.streams, func(t *testing.T) {
			b := cutting(t, fakeapi.WorldConfig{Seed: 100, Sims: 12, Late: 0.3}, fakeapi.Options{RefuseUnaligned: true, RefuseFuture: true}, strings.Fields(c.streams)...)
			b.sync()
			if n := b.tiled(); n != 1 {
				t.Errorf("the first load asks for a value in %d pieces", n)
			}
			for range 3 {
				b.clock.Advance(3 * time.Hour)
				b.apart()
				b.sync()
				b.equal(strings.Fields(c.families)...)
				if n := b.tiled(); n < c.pieces {
					t.Errorf("asked for in %d pieces, want %d at least", n, c.pieces)
				}
			}
			if open := b.query(`SELECT FROM simusage.list`); len(open) > 0 {
				t.Errorf("%d lists are left", len(open))
			}
		})
	}
}

// Streams by day are cut into days, streams by the month not at all.
func TestCutSlicesByDayAndByMonth(t *testing.T) {
	for grain, streams := range map[string]string{"day": "day/total day/sim@country", "month": "all/total all/sim@country"} {
		t.Run(grain, func(t *testing.T) {
			b := cutting(t, fakeapi.WorldConfig{Seed: 101, Sims: 12, Start: at("2026-02-10")}, fakeapi.Options{RefuseUnaligned: true}, strings.Fields(streams)...)
			b.since = at("2026-02-01")
			b.sync()
			b.api.Reset()
			b.clock.Advance(25 * time.Hour)
			b.apart()
			b.sync()
			if n := b.tiled(); grain == "day" && n < 3 || grain == "month" && n > 1 {
				t.Errorf("asked for in %d pieces", n)
			}
			for _, family := range []string{"total", "country", "sim", "sim_country"} {
				difference(t, family, b.view(family, grain), lines(b.world.Sum(b.clock.Now(), b.since, at("2026-03-11"), grain, views[family]...)))
			}
		})
	}
}

// A fleet whose slices have fewer rows than two pieces asks not one request more than it did.
func TestSmallFleetsAreNotCut(t *testing.T) {
	b := cutting(t, fakeapi.WorldConfig{Seed: 102, Sims: 12, Late: -1}, fakeapi.Options{}, "hour/total", "hour/country", "hour/sim@country")
	b.since = at("2026-03-09")
	ask := func(listRows int64) int {
		t.Helper()
		b.listRows = listRows
		b.clock.Advance(time.Minute)
		b.api.Reset()
		if _, err := b.again(t.Context(), b.process(), "2026-03-09", 4); err != nil {
			t.Fatal(err)
		}
		return b.usageRequests()
	}
	first := ask(0)
	most := int64(0) // rows a value
	for _, st := range []string{"total", "country", "sim_country"} {
		n := int64(len(b.query(`SELECT FROM usage.` + st + `_hourly WHERE hour < '2026-03-10'`)))
		if st == "sim_country" {
			n /= int64(len(b.query(`SELECT DISTINCT iso_country FROM usage.country_daily`)))
		}
		most = max(most, n)
	}
	if again := ask(most/2 + 1); again != first {
		t.Errorf("read again it takes %d requests, the first time it took %d", again, first)
	}
	b.listRows = most / 2
	b.clock.Advance(time.Minute)
	if _, err := b.again(t.Context(), b.process(), "2026-03-09", 4); err != nil {
		t.Fatal(err)
	}
	if n := b.tiled(); n != 2 {
		t.Errorf("with more rows it is cut in %d", n)
	}
}

// The lists of one slice are asked for at the same time, as many as there may be requests in flight, and never more, however
// many slices are due.
func TestListsAreWalkedSideBySide(t *testing.T) {
	const places = 4 // also the client's
	b := cutting(t, fakeapi.WorldConfig{Seed: 103, Sims: 12}, fakeapi.Options{}, "hour/sim", "hour/sim@country")
	b.sync()
	b.clock.Advance(time.Hour)
	b.apart()
	b.api.Reset()
	var mu sync.Mutex
	arrived, all := 0, make(chan struct{})
	b.around = roundTrip(func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		if arrived++; arrived == places {
			close(all)
		}
		mu.Unlock()
		select { // the first ones wait for each other
		case <-all:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	b.streams = b.streams[:1]
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if s, err := b.again(ctx, b.process(), "2026-03-09", places); err != nil || s.Slices != 1 {
		t.Fatalf("%d slices, %v; %d requests came", s.Slices, err, arrived)
	}
	b.around = nil
	b.streams = parseStreams(t, "hour/sim", "hour/sim@country")
	job := b.process()
	job.Concurrency = 3 * places
	if _, err := job.Sync(t.Context(), load.RunStart{Command: "sync"}); err != nil {
		t.Fatal(err)
	}
	b.equal("sim", "sim_country", "country")
	if n := b.api.MaxInFlight(); n > places {
		t.Errorf("%d requests were in flight at once, want %d", n, places)
	}
	// As many places as the run has, where that is less than the client's.
	b.clock.Advance(time.Hour)
	b.apart()
	b.api.Reset()
	job = b.process()
	job.Concurrency = places / 2
	if _, err := job.Sync(t.Context(), load.RunStart{Command: "sync"}); err != nil {
		t.Fatal(err)
	}
	if n := b.api.MaxInFlight(); n > places/2 {
		t.Errorf("%d requests were in flight at once, want %d", n, places/2)
	}
}

// A piece whose token is refused begins again, and no other.
func TestPromise8ARefusedTokenRestartsOnePiece(t *testing.T) {
	b := cutting(t, fakeapi.WorldConfig{Seed: 104, Sims: 12}, fakeapi.Options{StaleTokenCode: 21481}, "hour/sim")
	b.sync()
	b.clock.Advance(time.Hour)
	b.apart()
	b.api.Reset()
	b.api.Inject(fakeapi.Fault{After: 3, Match: fakeapi.WithToken, Do: b.api.RefuseToken()})
	if _, err := b.again(t.Context(), b.process(), "2026-03-09", 4); err != nil {
		t.Fatal(err)
	}
	times := make(map[question]int)
	twice := 0
	for _, q := range b.questions() {
		if times[q]++; times[q] == 2 {
			twice++
		}
	}
	if len(times) < 12 || twice != 1 {
		t.Errorf("%d of %d lists began again, want 1", twice, len(times))
	}
	b.sync()
	b.equal("sim")
}

// An API that takes no piece of a day, or answers it with something else, is asked for the whole day.
func TestAPieceThatIsRefused(t *testing.T) {
	inside := func(r *http.Request) bool {
		q := r.URL.Query()
		return q.Get("Granularity") == "hour" && !strings.Contains(q.Get("StartTime"), "T00:")
	}
	for name, do := range map[string]fakeapi.Action{"refused": fakeapi.Status(http.StatusBadRequest), "answered otherwise": fakeapi.IgnoreParameter("Granularity")} {
		t.Run(name, func(t *testing.T) {
			b := cutting(t, fakeapi.WorldConfig{Seed: 105, Sims: 12}, fakeapi.Options{}, "hour/total", "hour/sim@country")
			b.sync()
			b.clock.Advance(time.Hour)
			b.apart()
			b.api.Reset()
			b.api.Inject(fakeapi.Fault{Match: inside, Every: 1, Do: do})
			if s := b.sync(); s.Failed > 0 || s.Slices == 0 {
				t.Errorf("%d slices failed, %d were walked", s.Failed, s.Slices)
			}
			b.equal("total", "sim", "sim_country")
			if !slices.ContainsFunc(b.questions(), func(q question) bool { return q.window.Start.Hour() != 0 }) {
				t.Error("no piece was asked for")
			}
		})
	}
}

// What plan says of slices that will be cut is what then happens.
func TestEstimateOfCutSlices(t *testing.T) {
	b := cutting(t, fakeapi.WorldConfig{Seed: 109, Sims: 24, Late: -1}, fakeapi.Options{}, "hour/total", "hour/sim@country")
	b.listRows = 20
	b.sync()
	b.apart()
	r := Range{Window: extract.Window{Start: b.since, End: at("2026-03-10")}, AgainBefore: b.clock.Now().Add(time.Hour)}
	estimates, err := b.process().Estimate(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	b.api.Reset()
	b.clock.Advance(61 * time.Minute)
	if _, err := b.process().Backfill(t.Context(), load.RunStart{Command: "backfill"}, r); err != nil {
		t.Fatal(err)
	}
	var lists, requests, wantLists, wantRequests int64
	for _, e := range estimates {
		wantLists, wantRequests = wantLists+e.Lists, wantRequests+e.Requests
	}
	for _, asked := range b.api.Requests() {
		if asked.Path == "/v1/UsageRecords" {
			requests++
			if asked.Token == "" {
				lists++
			}
		}
	}
	if lists != wantLists || lists < 10 {
		t.Errorf("%d lists, estimated %d", lists, wantLists)
	}
	near(t, "requests of slices that are cut", wantRequests, requests)
}

// A panic in one list ends its slice, not the process, and not the slices beside it.
func TestAPanicInAList(t *testing.T) {
	b := cutting(t, fakeapi.WorldConfig{Seed: 106, Sims: 12}, fakeapi.Options{}, "hour/total", "hour/sim@country")
	b.sync()
	b.clock.Advance(time.Hour)
	b.apart()
	b.around = roundTrip(func(r *http.Request) (*http.Response, error) {
		if q := r.URL.RawQuery; strings.Contains(q, "StartTime=2026-03-09T1") {
			panic("of this list")
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	s, err := b.process().Sync(t.Context(), load.RunStart{Command: "sync"})
	if err == nil || !strings.Contains(err.Error(), "panic: of this list") || s.Failed != 2 || s.Outcome != Partly {
		t.Errorf("outcome %s, %d slices failed: %v", s.Outcome, s.Failed, err)
	}
	b.around = nil
	b.sync()
	b.equal("total", "sim", "sim_country")
}

// Usage and countries that appear while a slice is walked, before and behind the place where its lists are, are there when it
// has been read once more.
func TestLateDataWhileListsAreWalked(t *testing.T) {
	b := cutting(t, fakeapi.WorldConfig{Seed: 107, Sims: 12, Countries: []string{"DE", "FR"}}, fakeapi.Options{}, "hour/total", "hour/sim@country")
	b.sync()
	b.clock.Advance(time.Hour)
	b.apart()
	var mu sync.Mutex
	asked := 0
	b.around = roundTrip(func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		asked++
		n := asked
		mu.Unlock()
		hour := at("2026-03-09").Add(time.Duration(n%24) * time.Hour)
		switch {
		case n%7 == 0:
			sim := b.world.Sims()[n%12].SID
			b.world.Add(fakeapi.Event{Start: hour, Sim: sim, Country: []string{"DE", "IT"}[n/7%2], Upload: int64(n), Download: 1})
		case n%11 == 0:
			b.world.Amend(time.Time{}, func(e *fakeapi.Event) bool {
				e.Upload++
				return e.Start.Equal(hour)
			})
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	b.sync()
	if asked < 50 {
		t.Errorf("%d requests only", asked)
	}
	b.around = nil
	b.clock.Advance(time.Hour)
	b.sync()
	b.equal("total", "country", "sim", "sim_country")
	for _, line := range b.query(`SELECT stream, window_start, difference FROM usage.reconciliation WHERE reconciled IS NOT TRUE`) {
		t.Errorf("not reconciled: %s", line)
	}
}
