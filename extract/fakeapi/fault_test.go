package fakeapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"simusage/extract/fakeapi"
)

// mustScript gives a server of three SIMs a script; its list of test has 12 pages or so.
func mustScript(tb testing.TB, lines ...string) *fakeapi.Server {
	tb.Helper()
	server := fakeapi.New(fakeapi.NewWorld(fakeapi.WorldConfig{Sims: 3}), fakeapi.Options{Clock: fakeapi.NewClock(noon()).Now, StaleTokenCode: 21481})
	if err := server.Script(lines...); err != nil {
		tb.Fatal(err)
	}
	return server
}

const faultQuery = "Granularity=hour&Group=sim&PageSize=10&StartTime=2026-02-25T00:00:00Z&EndTime=2026-02-28T00:00:00Z"

// TestTurns checks when faults have their turn, by the statuses of twelve requests.
func TestTurns(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		script []string
		want   string // one letter a request: . for 200, the first digits of the others
	}{
		{[]string{"after 3: 500"}, "...5........"},
		{[]string{"after 3 pages: 429, Retry-After 2"}, "...4........"},
		{[]string{"after 3, times 2: 500"}, "...55......."},
		{[]string{"every 3: 500"}, "..5..5..5..5"},
		{[]string{"after 4 every 2 times 3: 503"}, ".....5.5.5.."},
		{[]string{"always: 500"}, "555555555555"},
		{[]string{"always times 2: 500", "after 1: 404"}, "55.........."},
		{[]string{"after 1: 404", "always times 2: 500"}, "54.........."},
		{[]string{"times 2: 500"}, "55.........."},
		{[]string{"on sims always: 500", "on token always: 500", "on /v1/Other always: 500"}, "............"},
		{[]string{"on usage after 1: 500"}, ".5.........."},
		{[]string{"on next always: 500"}, "............"},
	} {
		server := mustScript(t, test.script...)
		var got strings.Builder
		for range 12 {
			w := get(t, server, "/v1/UsageRecords?PageSize=1")
			got.WriteString(strings.Replace(string("0123456789"[w.Code/100]), "2", ".", 1))
		}
		if got.String() != test.want {
			t.Errorf("%q: got %s, want %s", test.script, got.String(), test.want)
		}
		server.ClearFaults()
		wantRefusal(t, get(t, server, "/v1/UsageRecords"), 0)
	}
}

func TestScriptErrors(t *testing.T) {
	t.Parallel()
	server := fakeapi.New(fakeapi.NewWorld(fakeapi.WorldConfig{Sims: 1}), fakeapi.Options{})
	for _, line := range []string{
		"", "after 3", "after: 500", "after x: 500", "after 0: 500", "sometimes 3: 500", "after 3: explode", "after 3: 999",
		"after 3: 429 wait 2", "after 3: html", "after 3: slow", "after 3: cut off", "after 3: redirect", "after 3: shift x",
	} {
		if err := server.Script("always: 500", line); err == nil || !strings.Contains(err.Error(), "fault") {
			t.Errorf("%q: got %v", line, err)
		}
	}
	wantRefusal(t, get(t, server, "/v1/UsageRecords"), 0)
}

// TestErrorAnswers checks faults that answer with an error of their own.
func TestErrorAnswers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		action, header, value, body string
		status                      int
	}{
		{"500", "", "", `"code":20500`, 500},
		{"429", "Retry-After", "", `"code":20429`, 429},
		{"429 retry-after 2", "Retry-After", "2", `"code":20429`, 429},
		{"503 Retry-After 7", "Retry-After", "7", `"code":20503`, 503},
		{"html 502", "Content-Type", "text/html", "<h1>502</h1>", 502},
		{"redirect https://elsewhere.example/x", "Location", "https://elsewhere.example/x", "", 302},
	} {
		w := get(t, mustScript(t, "always: "+test.action), "/v1/UsageRecords?"+faultQuery)
		if w.Code != test.status || w.Header().Get(test.header) != test.value || !strings.Contains(w.Body.String(), test.body) {
			t.Errorf("%s: %d %v %s", test.action, w.Code, w.Header(), w.Body)
		}
	}
}

// TestShiftedRows checks that faults which repeat rows repeat just those and lose none.
func TestShiftedRows(t *testing.T) {
	t.Parallel()
	whole := mustWalk(t, mustScript(t), faultQuery)
	for _, test := range []struct {
		action string
		again  int
	}{{"shift 3", 3}, {"repeat", 10}} {
		shifted := mustWalk(t, mustScript(t, "after 2: "+test.action), faultQuery)
		want := rows(slices.Concat(whole, whole[20-test.again:20]))
		equalRows(t, rows(shifted), want)
	}
}

func TestBadRow(t *testing.T) {
	t.Parallel()
	server := mustScript(t, `after 1: bad-row {"period": null, "data_total": "1"}`, "after 2: bad-row 17")
	first := mustDecode[usagePage](t, get(t, server, "/v1/UsageRecords?"+faultQuery))
	for page, want := range []string{`{"period": null, "data_total": "1"}`, "17"} {
		w := get(t, server, *first.Meta.Next)
		raw := mustDecode[struct {
			Records []json.RawMessage `json:"usage_records"`
			Meta    pageMeta          `json:"meta"`
		}](t, w)
		if len(raw.Records) != 11 || string(raw.Records[1]) != want || raw.Meta.Page != 1 || strings.Contains(w.Body.String(), `\u0026`) {
			t.Errorf("request %d: %d records, the second %s", page+1, len(raw.Records), raw.Records[1])
		}
	}
}

func TestNextURLs(t *testing.T) {
	t.Parallel()
	server := mustScript(t, "after 1: wrong-host evil.example:8443", "after 2 times 2: loop", "after 4: refuse-token", "after 5 times 2: ignore Group")
	ask := func(target string) pageMeta { return mustDecode[usagePage](t, get(t, server, target)).Meta }
	first := ask("/v1/UsageRecords?" + faultQuery)
	wrong := ask(*first.Next)
	if u, err := url.Parse(*wrong.Next); err != nil || u.Host != "evil.example:8443" || u.Query().Get("PageToken") == "" {
		t.Errorf("wrong host: %s", *wrong.Next)
	}
	for range 2 {
		if loop := ask(*first.Next); *loop.Next != *first.Next {
			t.Errorf("loop: %s", *loop.Next)
		}
	}
	wantRefusal(t, get(t, server, *first.Next), 21481)
	ignored := mustDecode[usagePage](t, get(t, server, "/v1/UsageRecords?"+faultQuery))
	if ignored.Records[0].Sim != nil || strings.Contains(*ignored.Meta.Next, "Group") {
		t.Errorf("ignored group: %+v", ignored.Meta)
	}
	mustDecode[usagePage](t, get(t, server, *ignored.Meta.Next))
}

// TestBrokenBodies asks over a real connection for answers that end too early or not at all.
func TestBrokenBodies(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		action string
		check  func(body []byte, err error) bool
	}{
		{"cut", func(body []byte, err error) bool { return len(body) > 100 && errors.Is(err, io.ErrUnexpectedEOF) }},
		{"drop", func(body []byte, err error) bool { return len(body) == 0 && err != nil }},
		{"truncate", func(body []byte, err error) bool { return len(body) > 100 && err == nil && !json.Valid(body) }},
		{"huge 3000000", func(body []byte, err error) bool { return len(body) > 3_000_000 && err == nil && !json.Valid(body) }},
	} {
		for _, zip := range []bool{true, false} {
			server := mustScript(t, "always: "+test.action)
			web := httptest.NewServer(server)
			client := web.Client()
			client.Transport.(*http.Transport).DisableCompression = !zip
			body, err := fetch(t, client, server, web.URL+"/v1/UsageRecords?"+faultQuery)
			if !test.check(body, err) {
				t.Errorf("%s, gzip %v: %d bytes, %v", test.action, zip, len(body), err)
			}
			web.Close()
		}
	}
}

// fetch asks over the network, as the account itself.
func fetch(tb testing.TB, client *http.Client, s *fakeapi.Server, target string) ([]byte, error) {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, target, nil)
	if err != nil {
		tb.Fatal(err)
	}
	r.SetBasicAuth(s.World().AccountSID(), "fake-auth-token")
	res, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return io.ReadAll(res.Body)
}

// TestWaits checks the two ways of being slow, and that both end with the request.
func TestWaits(t *testing.T) {
	t.Parallel()
	world := fakeapi.NewWorld(fakeapi.WorldConfig{Sims: 1})
	synctest.Test(t, func(t *testing.T) {
		server := fakeapi.New(world, fakeapi.Options{Latency: 300 * time.Millisecond})
		start := time.Now()
		wantRefusal(t, get(t, server, "/v1/UsageRecords"), 0)
		if d := time.Since(start); d != 300*time.Millisecond {
			t.Errorf("latency took %s", d)
		}
		if err := server.Script("always: slow 2s"); err != nil {
			t.Fatal(err)
		}
		start = time.Now()
		wantRefusal(t, get(t, server, "/v1/UsageRecords"), 0)
		if d := time.Since(start); d != 2300*time.Millisecond {
			t.Errorf("slow took %s", d)
		}
		for _, patience := range []time.Duration{100 * time.Millisecond, time.Second} {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			start = time.Now()
			server.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/UsageRecords", nil))
			if d := time.Since(start); d != patience {
				t.Errorf("a request given up after %s took %s", patience, d)
			}
			cancel()
		}
	})
}

// TestFlaky checks that random faults come from the seed alone and in about the share that was asked for.
func TestFlaky(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) map[int]int {
		server := mustScript(t)
		server.Flaky(0.3, seed)
		web := httptest.NewServer(server)
		defer web.Close()
		for range 200 {
			_, _ = fetch(t, web.Client(), server, web.URL+"/v1/Fleets") // the log says what happened
		}
		return server.Statuses()
	}
	one, again, two := run(1), run(1), run(2)
	for status := range one {
		if one[status] != again[status] {
			t.Errorf("the same seed answered %d %d and %d times", status, one[status], again[status])
		}
	}
	if failed := one[429] + one[500] + one[502]; one[429] == 0 || one[500] == 0 || one[502] == 0 || failed > 80 || one[200] > 180 {
		t.Errorf("got %v", one)
	}
	if one[200] == two[200] && one[429] == two[429] && one[500] == two[500] {
		t.Errorf("two seeds gave the same: %v", one)
	}
}
