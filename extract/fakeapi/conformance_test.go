package fakeapi_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"simusage/extract/fakeapi"
)

// Switches of Options, by name, for the table.
func switches() map[string]func(*fakeapi.Options) {
	return map[string]func(*fakeapi.Options){
		"":          func(*fakeapi.Options) {},
		"future":    func(o *fakeapi.Options) { o.RefuseFuture = true },
		"unaligned": func(o *fakeapi.Options) { o.RefuseUnaligned = true },
		"fixed":     func(o *fakeapi.Options) { o.FixedMonths = true },
		"clamp":     func(o *fakeapi.Options) { o.ClampPageSize = true },
		"pairs":     func(o *fakeapi.Options) { o.RefusePairs = []string{"network+Fleet"} },
	}
}

// TestConformance asks for one thing at a time and says the code that must come, 0 for an answer. It is 2026-03-01,
// 12:00: the 18-month wall stands at 2024-09-01 by the calendar and at 2024-09-07 in months of 30 days.
func TestConformance(t *testing.T) {
	t.Parallel()
	const network = "Network=HWaaaaaaaaaaaaaaaaaaaaaaaaaaaaAAAA"
	table := []struct {
		name   string
		query  string
		option string
		twilio int
		kore   int
	}{
		{"nothing", "", "", 0, 0},
		{"sim by name", "Sim=meter-00001", "", 0, 0},
		{"sim that is not there", "Sim=HSffffffffffffffffffffffffffffffff", "", 0, 0},
		{"fleet by name", "Fleet=fleet-00", "", 0, 0},
		{"network", network, "", 0, 0},
		{"network by name", "Network=DE+Mobile+0", "", 83600, 83600},
		{"network too short", "Network=HWaaaa", "", 83600, 83600},
		{"network of another kind", "Network=HSaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "", 83600, 83600},
		{"network not hexadecimal", "Network=HWgggggggggggggggggggggggggggggggg", "", 83600, 83600},
		{"country", "IsoCountry=DE", "", 0, 0},
		{"country in small letters", "IsoCountry=de", "", 0, 0},
		{"country alpha-3", "IsoCountry=DEU", "", 83600, 83600},
		{"country of digits", "IsoCountry=49", "", 83600, 83600},
		{"group sim", "Group=sim&StartTime=2026-02-10", "", 0, 0},
		{"group fleet", "Group=fleet", "", 0, 0},
		{"group network", "Group=network", "", 0, 0},
		{"group isoCountry", "Group=isoCountry", "", 0, 0},
		{"group misspelt", "Group=isocountry", "", 83600, 83600},
		{"group iso_country", "Group=iso_country", "", 83600, 83600},
		{"group and filter", "Group=sim&IsoCountry=DE&StartTime=2026-02-10", "", 0, 0},
		{"group and its own filter", "Group=fleet&Fleet=fleet-00", "", 0, 0},
		{"pair refused", "Group=network&Fleet=fleet-00", "pairs", 83600, 83600},
		{"pair not refused", "Group=network&Sim=meter-00001", "pairs", 0, 0},
		{"granularity hour", "Granularity=hour&StartTime=2026-02-10", "", 0, 0},
		{"granularity day", "Granularity=day", "", 0, 0},
		{"granularity all", "Granularity=all", "", 0, 0},
		{"granularity month", "Granularity=month", "", 83600, 83600},
		{"granularity misspelt", "Granularity=Hour", "", 83600, 83600},
		{"name misspelt is ignored", "granularity=month", "", 0, 0},
		{"time with offset", "StartTime=2026-02-10T02:00:00%2B02:00", "", 0, 0},
		{"time without seconds", "StartTime=2026-02-10T02:00Z", "", 0, 0},
		{"time is a date", "StartTime=2026-02-10&EndTime=2026-02-11", "", 0, 0},
		{"time is none", "StartTime=yesterday", "", 83600, 83600},
		{"time is seconds", "EndTime=1772000000", "", 83600, 83600},
		{"end before start", "StartTime=2026-02-10&EndTime=2026-02-09", "", 83600, 83600},
		{"end at start", "StartTime=2026-02-10&EndTime=2026-02-10", "", 83600, 83600},
		{"future", "EndTime=2026-03-02", "", 0, 0},
		{"future refused", "EndTime=2026-03-02", "future", 83600, 83600},
		{"now is not future", "EndTime=2026-03-01T12:00:00Z", "future", 0, 0},
		{"hour unaligned", "Granularity=hour&StartTime=2026-02-27T00:30:00Z", "", 0, 0},
		{"hour unaligned refused", "Granularity=hour&StartTime=2026-02-27T00:30:00Z", "unaligned", 83602, 83602},
		{"hour aligned", "Granularity=hour&StartTime=2026-02-27T01:00:00Z", "unaligned", 0, 0},
		{"day unaligned", "Granularity=day&EndTime=2026-02-27T01:00:00Z", "", 0, 0},
		{"day unaligned refused", "Granularity=day&EndTime=2026-02-27T01:00:00Z", "unaligned", 83601, 83601},
		{"day aligned by offset", "Granularity=day&EndTime=2026-02-27T02:00:00%2B02:00", "unaligned", 0, 0},
		{"all unaligned", "Granularity=all&StartTime=2026-02-27T00:30:00Z", "unaligned", 0, 0},
		{"default times unaligned", "Granularity=hour", "unaligned", 0, 0},
		{"sim 31 days", "Group=sim&StartTime=2026-01-29&EndTime=2026-03-01", "", 0, 0},
		{"sim more than 31 days", "Group=sim&StartTime=2026-01-28&EndTime=2026-03-01", "", 83603, 83603},
		{"sim filter has no such limit", "Sim=meter-00001&StartTime=2026-01-28&EndTime=2026-03-01", "", 0, 0},
		{"hour 31 days", "Granularity=hour&StartTime=2026-01-29&EndTime=2026-03-01", "", 0, 0},
		{"hour more than 31 days", "Granularity=hour&StartTime=2026-01-28T23:00:00Z&EndTime=2026-03-01", "", 83604, 83604},
		{"day 3 months", "Granularity=day&StartTime=2025-12-01&EndTime=2026-03-01", "", 0, 0},
		{"day more than 3 months", "Granularity=day&StartTime=2025-11-30&EndTime=2026-03-01", "", 83604, 83604},
		{"day 90 days", "Granularity=day&StartTime=2025-06-03&EndTime=2025-09-01", "fixed", 0, 0},
		{"day 91 days", "Granularity=day&StartTime=2025-06-02&EndTime=2025-09-01", "fixed", 83604, 83604},
		{"day 92 days in 3 months", "Granularity=day&StartTime=2025-06-01&EndTime=2025-09-01", "", 0, 0},
		{"all 18 months", "StartTime=2024-09-01&EndTime=2026-03-01", "", 0, 0},
		{"all more than 18 months", "StartTime=2024-09-01&EndTime=2026-03-01T01:00:00Z", "", 83604, 83604},
		{"older than the wall", "StartTime=2024-08-31T23:00:00Z&EndTime=2024-10-01", "", 83605, 83605},
		{"at the wall", "Granularity=day&StartTime=2024-09-01&EndTime=2024-10-01", "", 0, 0},
		{"older than the fixed wall", "StartTime=2024-09-06&EndTime=2024-10-01", "fixed", 83605, 83605},
		{"at the fixed wall", "StartTime=2024-09-07&EndTime=2024-10-01", "fixed", 0, 0},
		{"page size 1", "PageSize=1", "", 0, 0},
		{"page size 249", "PageSize=249", "", 0, 0},
		{"page size 250", "PageSize=250", "", 0, 20001},
		{"page size 1000", "PageSize=1000", "", 0, 20001},
		{"page size 1001", "PageSize=1001", "", 20001, 20001},
		{"page size clamped", "PageSize=5000", "clamp", 0, 0},
		{"page size 0", "PageSize=0", "", 20001, 20001},
		{"page size 0 not clamped", "PageSize=0", "clamp", 20001, 20001},
		{"page size of letters", "PageSize=all", "", 20001, 20001},
		{"page 0", "Page=0", "", 0, 0},
		{"page without token", "Page=1", "", 20001, 20001},
		{"page below 0", "Page=-1", "", 20001, 20001},
		{"token of our own", "Page=1&PageToken=PT:1.1.1.1:abc", "", 20001, 20001},
		{"token that is none", "PageToken=x", "", 20001, 20001},
	}
	world := fakeapi.NewWorld(fakeapi.WorldConfig{})
	for _, profile := range []string{fakeapi.Twilio, fakeapi.Kore} {
		for _, test := range table {
			t.Run(profile+"/"+test.name, func(t *testing.T) {
				t.Parallel()
				opts := fakeapi.Options{Profile: profile, Clock: fakeapi.NewClock(noon()).Now}
				switches()[test.option](&opts)
				want := map[string]int{fakeapi.Twilio: test.twilio, fakeapi.Kore: test.kore}[profile]
				wantRefusal(t, getAs(t, fakeapi.New(world, opts), profile, "/v1/UsageRecords?"+test.query), want)
			})
		}
	}
}

// getAs asks with the credentials of a profile.
func getAs(tb testing.TB, s *fakeapi.Server, profile, target string) *httptest.ResponseRecorder {
	tb.Helper()
	if profile == fakeapi.Twilio {
		return get(tb, s, target)
	}
	return withBearer(tb, s, target, mustBearer(tb, s))
}

// TestDimensionsAreNull checks which of the four fields are filled in: the group and the filters, as SIDs, and no other.
func TestDimensionsAreNull(t *testing.T) {
	t.Parallel()
	world := fakeapi.NewWorld(fakeapi.WorldConfig{})
	server := fakeapi.New(world, fakeapi.Options{Clock: fakeapi.NewClock(noon()).Now})
	sim, fleet := world.Sims()[1], world.Fleets()[1]
	for _, test := range []struct{ query, sim, fleet, network, country string }{
		{"", "", "", "", ""},
		{"Group=sim", "any", "", "", ""},
		{"Group=fleet", "", "any", "", ""},
		{"Group=network", "", "", "any", ""},
		{"Group=isoCountry", "", "", "", "any"},
		{"Sim=" + sim.UniqueName, sim.SID, "", "", ""},
		{"Sim=" + sim.SID + "&Group=network", sim.SID, "", "any", ""},
		{"Fleet=" + fleet.UniqueName + "&Group=sim", "any", fleet.SID, "", ""},
		{"IsoCountry=de&Group=sim", "any", "", "", "DE"},
		{"IsoCountry=DE&Group=isoCountry", "", "", "", "DE"},
	} {
		got := rows(mustWalk(t, server, test.query+"&StartTime=2026-02-10"))
		if len(got) == 0 {
			t.Errorf("%s: no records", test.query)
		}
		for _, r := range got {
			for _, pair := range [][2]string{{r.Sim, test.sim}, {r.Fleet, test.fleet}, {r.Network, test.network}, {r.Country, test.country}} {
				if pair[0] != pair[1] && (pair[1] != "any" || pair[0] == "") {
					t.Fatalf("%s: got %+v", test.query, r)
				}
			}
		}
	}
}

// TestWindowsAndBuckets checks the periods of records where the window cuts a bucket, and the default window.
func TestWindowsAndBuckets(t *testing.T) {
	t.Parallel()
	world := fakeapi.NewWorld(fakeapi.WorldConfig{Density: 1})
	server := fakeapi.New(world, fakeapi.Options{Clock: fakeapi.NewClock(noon()).Now})
	for _, test := range []struct {
		query      string
		n          int
		start, end string // of the newest record
	}{
		{"Granularity=hour&StartTime=2026-02-10T00:30:00Z&EndTime=2026-02-10T02:30:00Z", 2, "2026-02-10T02:00:00Z", "2026-02-10T03:00:00Z"},
		{"Granularity=hour&StartTime=2026-02-10T00:00:00Z&EndTime=2026-02-10T02:00:00Z", 2, "2026-02-10T01:00:00Z", "2026-02-10T02:00:00Z"},
		{"Granularity=day&StartTime=2026-02-10T22:00:00Z&EndTime=2026-02-12T01:00:00Z", 3, "2026-02-12T00:00:00Z", "2026-02-13T00:00:00Z"},
		{"StartTime=2026-02-10T22:00:00Z&EndTime=2026-02-12T01:00:00Z", 1, "2026-02-10T22:00:00Z", "2026-02-12T01:00:00Z"},
		{"", 1, "2026-02-01T12:00:00Z", "2026-03-01T12:00:00Z"},
		{"EndTime=2026-02-12", 1, "2026-01-12T00:00:00Z", "2026-02-12T00:00:00Z"},
		{"Granularity=hour&StartTime=2026-02-28T23:00:00Z", 1, "2026-02-28T23:00:00Z", "2026-03-01T00:00:00Z"},
	} {
		got := mustWalk(t, server, test.query)
		if len(got) != test.n || got[0].Period.Start.Format(time.RFC3339) != test.start || got[0].Period.End.Format(time.RFC3339) != test.end {
			t.Errorf("%s: %d records, the first: %+v", test.query, len(got), got[:min(1, len(got))])
		}
	}
}

// TestUnattributed checks both readings of usage whose country is not known.
func TestUnattributed(t *testing.T) {
	t.Parallel()
	world := fakeapi.NewWorld(fakeapi.WorldConfig{Unattributed: 0.5})
	for _, drop := range []bool{false, true} {
		server := fakeapi.New(world, fakeapi.Options{Clock: fakeapi.NewClock(noon()).Now, DropUnattributed: drop})
		null := slices.ContainsFunc(mustWalk(t, server, "Group=isoCountry"), func(r record) bool { return r.Country == nil })
		if null == drop {
			t.Errorf("DropUnattributed %v: a null country is reported: %v", drop, null)
		}
	}
}

func TestEmptyBuckets(t *testing.T) {
	t.Parallel()
	world := fakeapi.NewWorld(fakeapi.WorldConfig{})
	server := fakeapi.New(world, fakeapi.Options{Clock: fakeapi.NewClock(noon()).Now, EmptyBuckets: true})
	const before = "Granularity=hour&StartTime=2026-01-01&EndTime=2026-01-02"
	if got := mustWalk(t, server, before); len(got) != 24 || got[0].Total != 0 || got[0].Unit != nil {
		t.Errorf("got %d records", len(got))
	}
	if got := mustWalk(t, server, before+"&Group=sim"); len(got) != 0 {
		t.Errorf("got %d records with a group", len(got))
	}
}

// TestBillingArrives looks at the same hour before and after it is billed.
func TestBillingArrives(t *testing.T) {
	t.Parallel()
	world := fakeapi.NewWorld(fakeapi.WorldConfig{Density: 1, Late: -1})
	clock := fakeapi.NewClock(time.Date(2026, 2, 10, 2, 0, 0, 0, time.UTC))
	server := fakeapi.New(world, fakeapi.Options{Clock: clock.Now})
	const query = "Granularity=hour&StartTime=2026-02-10T00:00:00Z&EndTime=2026-02-10T01:00:00Z"
	before := mustWalk(t, server, query)
	clock.Advance(25 * time.Hour)
	after := mustWalk(t, server, query)
	if before[0].Billed != "0" || before[0].Unit != nil || before[0].Total == 0 {
		t.Errorf("before: %+v", before[0])
	}
	if after[0].Billed == "0" || after[0].Unit == nil || *after[0].Unit != "USD" || after[0].Total != before[0].Total {
		t.Errorf("after: %+v", after[0])
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	t.Parallel()
	server := fakeapi.New(fakeapi.NewWorld(fakeapi.WorldConfig{}), fakeapi.Options{})
	for _, test := range []struct {
		method, path string
		status, code int
	}{
		{http.MethodGet, "/v1/Nothing", 404, 20404},
		{http.MethodGet, fakeapi.TokenPath, 404, 20404},
		{http.MethodPost, "/v1/UsageRecords", 405, 20004},
		{http.MethodDelete, "/v1/Sims", 405, 20004},
	} {
		r := httptest.NewRequestWithContext(t.Context(), test.method, test.path, nil)
		r.SetBasicAuth(server.World().AccountSID(), "fake-auth-token")
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		if f := mustDecode[failure](t, w); w.Code != test.status || *f.Code != test.code {
			t.Errorf("%s %s: %d %s", test.method, test.path, w.Code, w.Body)
		}
	}
}
