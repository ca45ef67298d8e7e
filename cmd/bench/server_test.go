package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"simusage/extract"
)

var at = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// All kinds of lists say the same, on pages of any size, across days on which the API says different things. The records
// are read by the program's own strict reading.
func TestLists(t *testing.T) {
	t.Parallel()
	f := fleet{SIMs: 7, Countries: 3}
	server := httptest.NewUnstartedServer(nil)
	server.Start()
	t.Cleanup(server.Close)
	a := newAPI(f, server.URL)
	server.Config.Handler = a.handler()
	w := extract.Window{Start: until(at, 2).Start.Add(3 * time.Hour), End: until(at, 0).End.Add(-2 * time.Hour)}
	says := saying{Older: some, Newest: every, From: until(at, 1).Start}
	a.state.Says = says
	client := newClient(t, server.URL)
	want := func(sim, where int) (u usage) {
		for hour := w.Start; hour.Before(w.End); hour = hour.Add(time.Hour) {
			switch {
			case sim >= 0:
				u.add(f.use(sim, hour.Hour(), says.at(hour)))
			default:
				u.add(f.sum(where, hour.Hour(), says.at(hour)))
			}
		}
		return u
	}
	hours := int(w.End.Sub(w.Start) / time.Hour)
	for _, size := range []int{1000, 50, 4} {
		for text, rows := range map[string]int{"hour/total": hours, "hour/country": 3 * hours} {
			stream := mustStream(t, text)
			if got, n := list(t, client, stream.Query(w, ""), size); n != rows || got != want(-1, everywhere) {
				t.Errorf("%s by %d: %d records of %+v, want %d of %+v", text, size, n, got, rows, want(-1, everywhere))
			}
		}
		stream := mustStream(t, "hour/sim@country")
		if got, n := list(t, client, stream.Discovery(w), size); n != 3 || got != want(-1, everywhere) {
			t.Errorf("countries by %d: %d records of %+v", size, n, got)
		}
		for where := range 3 {
			first, until := f.block(where)
			if got, n := list(t, client, stream.Query(w, country(where)), size); n != hours*(until-first) || got != want(-1, where) {
				t.Errorf("%s by %d: %d records of %+v, want %+v", country(where), size, n, got, want(-1, where))
			}
		}
		if got, n := list(t, client, mustStream(t, "hour/sim").Query(w, ""), size); n != hours*7 || got != want(-1, everywhere) {
			t.Errorf("all SIMs by %d: %d records of %+v", size, n, got)
		}
	}
}

func TestLimitTurnsAway(t *testing.T) {
	t.Parallel()
	a := newAPI(fleet{SIMs: 4, Countries: 1}, "http://localhost")
	a.state = state{Limit: 1}
	a.inFlight.Add(1)
	r := httptest.NewRequest(http.MethodGet, "/v1/UsageRecords?Granularity=hour&StartTime=2026-03-01T00:00:00Z&EndTime=2026-03-02T00:00:00Z", nil)
	r.SetBasicAuth(accountSID(0), "secret")
	w := httptest.NewRecorder()
	a.handler().ServeHTTP(w, r)
	if w.Code != http.StatusTooManyRequests || a.counts.Requests["throttled"] != 1 {
		t.Errorf("status %d, counted %v", w.Code, a.counts.Requests)
	}
	a.inFlight.Add(-1)
	w = httptest.NewRecorder()
	a.handler().ServeHTTP(w, r)
	if w.Code != http.StatusOK || a.counts.Requests["total"] != 1 {
		t.Errorf("status %d, counted %v", w.Code, a.counts.Requests)
	}
}

func newClient(t *testing.T, url string) *extract.Client {
	t.Helper()
	provider, err := extract.ProviderByName("twilio")
	if err != nil {
		t.Fatal(err)
	}
	provider.BaseURL = url
	client, err := extract.New(extract.Config{Provider: provider, Credentials: extract.Credentials{AccountSID: accountSID(1), AuthToken: "secret"}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func mustStream(t *testing.T, text string) extract.Stream {
	t.Helper()
	stream, err := extract.ParseStream(text)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// list sums up a list, and wants each record there once.
func list(t *testing.T, client *extract.Client, q extract.Query, size int) (u usage, n int) {
	t.Helper()
	q.PageSize = size
	seen := make(map[string]bool)
	for page, err := range client.Pages(t.Context(), q, "") {
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Rejected) > 0 || len(page.Drift) > 0 || page.Mismatched > 0 {
			t.Fatalf("page %+v", page)
		}
		for _, r := range page.Records {
			key := r.Start.String() + r.SimSID + r.IsoCountry
			if seen[key] || r.AccountSID != accountSID(1) {
				t.Errorf("record %+v is there twice or of another account", r)
			}
			seen[key] = true
			n++
			u.upload += r.Upload
			u.download += r.Download
			u.billed += tenThousandths(t, r.Billed)
		}
	}
	return u, n
}

func tenThousandths(t *testing.T, text string) (n int64) {
	t.Helper()
	for _, c := range text {
		if c != '.' {
			n = 10*n + int64(c-'0')
		}
	}
	return n
}
