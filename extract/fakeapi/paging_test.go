package fakeapi_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"simusage/extract/fakeapi"
)

func TestEnvelope(t *testing.T) {
	t.Parallel()
	server := fakeapi.New(fakeapi.NewWorld(fakeapi.WorldConfig{}), fakeapi.Options{Clock: fakeapi.NewClock(noon()).Now, BaseURL: "https://supersim.twilio.com"})
	page := mustDecode[usagePage](t, get(t, server, "/v1/UsageRecords?PageSize=2&EndTime=2026-02-20&Granularity=hour&StartTime=2026-02-19T00%3A00%3A00Z&Group=isoCountry&Unknown=1"))
	base := "https://supersim.twilio.com/v1/UsageRecords?Group=isoCountry&Granularity=hour&StartTime=2026-02-19T00%3A00%3A00Z&EndTime=2026-02-20&PageSize=2&Page="
	m := page.Meta
	if m.First != base+"0" || m.URL != base+"0" || m.Previous != nil || m.Key != "usage_records" || m.Page != 0 || m.Size != 2 {
		t.Errorf("meta of the first page: %+v", m)
	}
	if m.Next == nil || !strings.HasPrefix(*m.Next, base+"1&PageToken=PT%3A") || !strings.Contains(*m.Next, ".") {
		t.Fatalf("next page: %v", m.Next)
	}
	second := mustDecode[usagePage](t, get(t, server, *m.Next)).Meta
	if second.Page != 1 || second.URL != *m.Next || second.Previous == nil || *second.Previous != base+"0" {
		t.Errorf("meta of the second page: %+v", second)
	}
	own := fakeapi.New(server.World(), fakeapi.Options{})
	if m := mustDecode[usagePage](t, get(t, own, "http://127.0.0.1:8080/v1/UsageRecords")).Meta; m.URL != "http://127.0.0.1:8080/v1/UsageRecords?PageSize=50&Page=0" {
		t.Errorf("url without a BaseURL: %s", m.URL)
	}
}

// TestTokenIsBound takes a good token to all the places where it is none.
func TestTokenIsBound(t *testing.T) {
	t.Parallel()
	world := fakeapi.NewWorld(fakeapi.WorldConfig{})
	clock := fakeapi.NewClock(noon())
	server := fakeapi.New(world, fakeapi.Options{Clock: clock.Now, TokenLife: time.Hour, StaleTokenCode: 21481})
	next := *mustDecode[usagePage](t, get(t, server, "/v1/UsageRecords?Granularity=hour&Group=sim&PageSize=5")).Meta.Next
	change := func(edit func(url.Values)) string {
		u, err := url.Parse(next)
		if err != nil {
			t.Fatal(err)
		}
		query := u.Query()
		edit(query)
		u.RawQuery = query.Encode()
		return u.String()
	}
	for _, test := range []struct {
		name string
		edit func(url.Values)
		code int
	}{
		{"as given", func(url.Values) {}, 0},
		{"without Page", func(q url.Values) { q.Del("Page") }, 0},
		{"another Page", func(q url.Values) { q.Set("Page", "7") }, 0},
		{"another group", func(q url.Values) { q.Set("Group", "fleet") }, 20001},
		{"another granularity", func(q url.Values) { q.Set("Granularity", "day") }, 20001},
		{"another page size", func(q url.Values) { q.Set("PageSize", "6") }, 20001},
		{"a window", func(q url.Values) { q.Set("EndTime", "2026-02-01") }, 20001},
		{"a filter", func(q url.Values) { q.Set("IsoCountry", "DE") }, 20001},
		{"another token", func(q url.Values) { q.Set("PageToken", q.Get("PageToken")+"0") }, 20001},
		{"no token", func(q url.Values) { q.Del("PageToken") }, 20001},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantRefusal(t, get(t, server, change(test.edit)), test.code)
		})
	}
	t.Run("another list", func(t *testing.T) {
		sims := *mustDecode[usagePage](t, get(t, server, "/v1/Sims?PageSize=5")).Meta.Next
		wantRefusal(t, get(t, server, strings.Replace(sims, "/Sims", "/Fleets", 1)), 20001)
	})
	t.Run("after a restart", func(t *testing.T) {
		again := fakeapi.New(fakeapi.NewWorld(fakeapi.WorldConfig{}), fakeapi.Options{Clock: clock.Now})
		wantRefusal(t, get(t, again, next), 0)
	})
	clock.Advance(time.Hour + time.Second)
	wantRefusal(t, get(t, server, next), 21481)
}

// wantRefusal checks an error answer; code 0 is for an answer that is none.
func wantRefusal(tb testing.TB, w *httptest.ResponseRecorder, code int) {
	tb.Helper()
	if code == 0 {
		if w.Code != http.StatusOK {
			tb.Errorf("got %d %s, want 200", w.Code, w.Body)
		}
		return
	}
	f := mustDecode[failure](tb, w)
	if w.Code != http.StatusBadRequest || f.Code == nil || *f.Code != code || f.Status != w.Code || f.Message == "" || !strings.HasSuffix(f.MoreInfo, strconv.Itoa(code)) {
		tb.Errorf("got %d %s, want 400 with code %d", w.Code, w.Body, code)
	}
}

// TestLiveWalkShifts shows what is promised across pages: nothing, unless the walk has a snapshot.
func TestLiveWalkShifts(t *testing.T) {
	t.Parallel()
	for _, snapshot := range []bool{false, true} {
		world := fakeapi.NewWorld(fakeapi.WorldConfig{Sims: 3})
		clock := fakeapi.NewClock(noon())
		server := fakeapi.New(world, fakeapi.Options{Clock: clock.Now, Snapshot: snapshot})
		first := mustDecode[usagePage](t, get(t, server, "/v1/UsageRecords?Granularity=hour&PageSize=3&"+window(noon().AddDate(0, 0, -2), noon())))
		world.Add(fakeapi.Event{Start: noon().Add(-time.Hour), Sim: "HSnew", Upload: 1, VisibleAt: noon().Add(time.Minute)})
		clock.Advance(time.Hour)
		second := mustDecode[usagePage](t, get(t, server, *first.Meta.Next))
		repeated := second.Records[0].Period == first.Records[2].Period
		if repeated == snapshot {
			t.Errorf("snapshot %v: the last row of page 0 repeats on page 1: %v", snapshot, repeated)
		}
	}
}

// TestOrder checks that periods fall, and that ties have an order that is stable and depends on the seed only.
func TestOrder(t *testing.T) {
	t.Parallel()
	world := fakeapi.NewWorld(fakeapi.WorldConfig{})
	walk := func(seed uint64) []record {
		server := fakeapi.New(world, fakeapi.Options{Clock: fakeapi.NewClock(noon()).Now, TieSeed: seed})
		return mustWalk(t, server, "Group=sim&Granularity=day&PageSize=7&"+window(noon().AddDate(0, 0, -9).Truncate(24*time.Hour), noon()))
	}
	one, again, two := walk(1), walk(1), walk(2)
	same := true
	for i := range one {
		if i > 0 && one[i].Period.Start.After(one[i-1].Period.Start) {
			t.Fatalf("row %d is newer than the one before", i)
		}
		if *one[i].Sim != *again[i].Sim {
			t.Fatalf("row %d has another place in the second walk", i)
		}
		same = same && *one[i].Sim == *two[i].Sim
	}
	if same {
		t.Error("another TieSeed gave the same order")
	}
}

func TestGzip(t *testing.T) {
	t.Parallel()
	server := fakeapi.New(fakeapi.NewWorld(fakeapi.WorldConfig{}), fakeapi.Options{Clock: fakeapi.NewClock(noon()).Now})
	plain := get(t, server, "/v1/UsageRecords?Granularity=hour")
	for range 3 {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/UsageRecords?Granularity=hour", nil)
		r.SetBasicAuth(server.World().AccountSID(), "fake-auth-token")
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		z, err := gzip.NewReader(w.Body)
		if err != nil || w.Header().Get("Content-Encoding") != "gzip" {
			t.Fatalf("headers %v: %v", w.Header(), err)
		}
		body, err := io.ReadAll(z)
		if err != nil || len(body) != plain.Body.Len() {
			t.Errorf("unzipped %d bytes, want %d: %v", len(body), plain.Body.Len(), err)
		}
	}
}
