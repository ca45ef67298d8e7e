package extract

import (
	"strings"
	"testing"
	"time"
)

const (
	simA     = "HS0123456789abcdef0123456789abcdef"
	fleetA   = "HF0123456789abcdef0123456789abcdef"
	networkA = "HW0123456789abcdef0123456789abcdef"
)

func TestQueryGolden(t *testing.T) {
	t.Parallel()
	const day = "StartTime=2026-03-01T00%3A00%3A00Z&EndTime=2026-03-02T00%3A00%3A00Z"
	for _, test := range []struct {
		stream, value string
		size          int
		want          string
	}{
		{"hour/total", "", 1000, "Granularity=hour&" + day + "&PageSize=1000"},
		{"day/total", "", 0, "Granularity=day&" + day},
		{"all/sim", "", 1, "Group=sim&Granularity=all&" + day + "&PageSize=1"},
		{"hour/country", "", 249, "Group=isoCountry&Granularity=hour&" + day + "&PageSize=249"},
		{"hour/sim@country", "DE", 1000, "IsoCountry=DE&Group=sim&Granularity=hour&" + day + "&PageSize=1000"},
		{"day/sim@fleet", fleetA, 0, "Fleet=" + fleetA + "&Group=sim&Granularity=day&" + day},
		{"hour/fleet@network", networkA, 0, "Network=" + networkA + "&Group=fleet&Granularity=hour&" + day},
		{"hour/network@sim", simA, 0, "Sim=" + simA + "&Group=network&Granularity=hour&" + day},
		{
			"hour/sim@country:fleet=my fleet & co", "FR", 0,
			"Fleet=my+fleet+%26+co&IsoCountry=FR&Group=sim&Granularity=hour&" + day,
		},
		{
			"hour/total:sim=s1:fleet=f1:network=" + networkA + ":country=us", "", 50,
			"Sim=s1&Fleet=f1&Network=" + networkA + "&IsoCountry=US&Granularity=hour&" + day + "&PageSize=50",
		},
	} {
		t.Run(test.stream, func(t *testing.T) {
			t.Parallel()
			q := mustStream(t, test.stream).Query(span(t, "03-01 00h..03-01 24h"), test.value)
			q.PageSize = test.size
			if got := q.Encode(); got != test.want {
				t.Errorf("asks\n%s, want\n%s", got, test.want)
			}
		})
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	q := mustStream(t, "hour/sim@country:fleet="+fleetA).Discovery(span(t, "03-01 00h..03-01 24h"))
	want := "Fleet=" + fleetA + "&Group=isoCountry&Granularity=all&StartTime=2026-03-01T00%3A00%3A00Z&EndTime=2026-03-02T00%3A00%3A00Z"
	if got := q.Encode(); got != want {
		t.Errorf("asks\n%s, want\n%s", got, want)
	}
}

func TestQueryIsInUTC(t *testing.T) {
	t.Parallel()
	west := time.FixedZone("west", -5*3600)
	w := Window{Start: time.Date(2026, 3, 1, 19, 0, 0, 0, west), End: time.Date(2026, 3, 2, 19, 0, 0, 0, west)}
	if got := (Query{Granularity: Hour, Window: w}).Encode(); !strings.Contains(got, "StartTime=2026-03-02T00%3A00%3A00Z") {
		t.Errorf("asks %s", got)
	}
}

func TestQueryCheck(t *testing.T) {
	t.Parallel()
	day := span(t, "03-01 00h..03-01 24h")
	for _, test := range []struct {
		name string
		q    Query
		want string
	}{
		{"granularity", Query{Granularity: "week", Window: day}, `"week"`},
		{"no window", Query{Granularity: Hour}, "is empty"},
		{"half hours", Query{Granularity: Hour, Window: span(t, "03-01 00:30..03-01 24h")}, "whole hours"},
	} {
		if err := test.q.check(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one about %s", test.name, err, test.want)
		}
	}
}

func TestCursorForMessages(t *testing.T) {
	t.Parallel()
	const cursor = "https://supersim.twilio.com/v1/UsageRecords?Granularity=hour&PageSize=249&Page=17&PageToken=PAabc.12:34-56789012"
	if got := PageOf(cursor); got != 17 {
		t.Errorf("page %d, want 17", got)
	}
	if got := pageSizeOf(cursor); got != 249 {
		t.Errorf("page size %d, want 249", got)
	}
	for _, odd := range []string{"", "https://host/path", "https://host/?Page=x", "https://host/?Page=-3", "%", "?Page=%zz"} {
		if got := PageOf(odd); got != 0 {
			t.Errorf("page of %q is %d, want 0", odd, got)
		}
	}
	want := "/v1/UsageRecords?Granularity=hour&PageSize=249&Page=17&PageToken=PAabc.12…"
	if got := pathOf(cursor); got != want {
		t.Errorf("cursor shows as %s, want %s", got, want)
	}
	if got := brief("PageToken=short&PageSize=5"); got != "PageToken=short&PageSize=5" {
		t.Errorf("short token shows as %s", got)
	}
	if got := brief("PageToken=0123456789&PageSize=5"); got != "PageToken=01234567…&PageSize=5" {
		t.Errorf("token in the middle shows as %s", got)
	}
}
