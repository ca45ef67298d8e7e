package fakeapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"simusage/extract/fakeapi"
)

// noon is the time at which most of these tests happen: shortly after the default world has ended.
func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// record is a usage record as a client would see it.
type record struct {
	Period struct {
		Start time.Time `json:"start_time"`
		End   time.Time `json:"end_time"`
	} `json:"period"`
	Account  string  `json:"account_sid"`
	Sim      *string `json:"sim_sid"`
	Fleet    *string `json:"fleet_sid"`
	Network  *string `json:"network_sid"`
	Country  *string `json:"iso_country"`
	Upload   int64   `json:"data_upload"`
	Download int64   `json:"data_download"`
	Total    int64   `json:"data_total"`
	Billed   string  `json:"data_total_billed"`
	Unit     *string `json:"billed_unit"`
}

type pageMeta struct {
	First    string  `json:"first_page_url"`
	Key      string  `json:"key"`
	Next     *string `json:"next_page_url"`
	Page     int     `json:"page"`
	Size     int     `json:"page_size"`
	Previous *string `json:"previous_page_url"`
	URL      string  `json:"url"`
}

type usagePage struct {
	Records []record `json:"usage_records"`
	Meta    pageMeta `json:"meta"`
}

// failure is an error answer.
type failure struct {
	Code     *int   `json:"code"`
	Message  string `json:"message"`
	MoreInfo string `json:"more_info"`
	Status   int    `json:"status"`
}

// get asks the handler as the account itself, without a network.
func get(tb testing.TB, s *fakeapi.Server, target string) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, target, nil)
	r.SetBasicAuth(s.World().AccountSID(), "fake-auth-token")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// mustDecode reads a page that must be sound.
func mustDecode[T any](tb testing.TB, w *httptest.ResponseRecorder) T {
	tb.Helper()
	var into T
	if err := json.Unmarshal(w.Body.Bytes(), &into); err != nil {
		tb.Fatalf("decode answer %d %s: %v", w.Code, w.Body, err)
	}
	return into
}

// mustWalk reads a list to its end.
func mustWalk(tb testing.TB, s *fakeapi.Server, query string) []record {
	tb.Helper()
	var records []record
	target := "/v1/UsageRecords?" + query
	for n := range 100_000 {
		w := get(tb, s, target)
		if w.Code != http.StatusOK {
			tb.Fatalf("GET %s: %d %s", target, w.Code, w.Body)
		}
		page := mustDecode[usagePage](tb, w)
		if page.Meta.Page != n {
			tb.Fatalf("GET %s: page %d, want %d", target, page.Meta.Page, n)
		}
		records = append(records, page.Records...)
		if page.Meta.Next == nil {
			return records
		}
		target = *page.Meta.Next
	}
	tb.Fatalf("GET %s: the list does not end", query)
	return nil
}

// rows turns records into the oracle's form and order.
func rows(records []record) []fakeapi.Row {
	text := func(p *string) string {
		if p == nil {
			return ""
		}
		return *p
	}
	out := make([]fakeapi.Row, 0, len(records))
	for _, r := range records {
		out = append(out, fakeapi.Row{
			Start: r.Period.Start, Sim: text(r.Sim), Fleet: text(r.Fleet), Network: text(r.Network), Country: text(r.Country),
			Upload: r.Upload, Download: r.Download, Total: r.Total, Billed: r.Billed, Unit: text(r.Unit),
		})
	}
	slices.SortFunc(out, compareRows)
	return out
}

func compareRows(a, b fakeapi.Row) int {
	if c := a.Start.Compare(b.Start); c != 0 {
		return c
	}
	key := func(r fakeapi.Row) []string { return []string{r.Sim, r.Fleet, r.Network, r.Country} }
	return slices.Compare(key(a), key(b))
}

// window is StartTime and EndTime as a query.
func window(start, end time.Time) string {
	return url.Values{"StartTime": {start.Format(time.RFC3339)}, "EndTime": {end.Format(time.RFC3339)}}.Encode()
}

func equalRows(tb testing.TB, got, want []fakeapi.Row) {
	tb.Helper()
	if slices.Equal(got, want) {
		return
	}
	tb.Errorf("got %d rows, want %d", len(got), len(want))
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			tb.Errorf("row %d\n got %+v\nwant %+v", i, got[i], want[i])
			return
		}
	}
}
