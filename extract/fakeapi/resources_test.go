package fakeapi_test

import (
	"net/http"
	"testing"
	"time"

	"simusage/extract/fakeapi"
)

type resource struct {
	SID         string               `json:"sid"`
	UniqueName  *string              `json:"unique_name"`
	Status      string               `json:"status"`
	FleetSID    *string              `json:"fleet_sid"`
	Country     string               `json:"iso_country"`
	Updated     time.Time            `json:"date_updated"`
	Identifiers []fakeapi.Identifier `json:"identifiers"`
}

// mustList walks one of the lists of names.
func mustList(tb testing.TB, s *fakeapi.Server, key, target string) []resource {
	tb.Helper()
	var all []resource
	for target != "" {
		w := get(tb, s, target)
		if w.Code != http.StatusOK {
			tb.Fatalf("GET %s: %d %s", target, w.Code, w.Body)
		}
		page := mustDecode[struct {
			Sims     []resource `json:"sims"`
			Fleets   []resource `json:"fleets"`
			Networks []resource `json:"networks"`
			Meta     pageMeta   `json:"meta"`
		}](tb, w)
		if page.Meta.Key != key {
			tb.Fatalf("key %s", page.Meta.Key)
		}
		all = append(append(append(all, page.Sims...), page.Fleets...), page.Networks...)
		target = ""
		if page.Meta.Next != nil {
			target = *page.Meta.Next
		}
	}
	return all
}

func TestLists(t *testing.T) {
	t.Parallel()
	world := fakeapi.NewWorld(fakeapi.WorldConfig{Sims: 30, Fleets: 5, Networks: 7})
	server := fakeapi.New(world, fakeapi.Options{Clock: fakeapi.NewClock(noon()).Now})
	inFleet := 0
	for _, s := range world.Sims() {
		if s.FleetAt(noon()) == world.Fleets()[0].SID {
			inFleet++
		}
	}
	for _, test := range []struct {
		key, path string
		want      int
	}{
		{"sims", "/v1/Sims?PageSize=7", 30},
		{"sims", "/v1/Sims?PageSize=1000", 30},
		{"sims", "/v1/Sims?Status=inactive", 1},
		{"sims", "/v1/Sims?Fleet=fleet-00&PageSize=2", inFleet},
		{"sims", "/v1/Sims?Iccid=" + world.Sims()[9].ICCID, 1},
		{"fleets", "/v1/Fleets?PageSize=2", 5},
		{"fleets", "/v1/Fleets?NetworkAccessProfile=" + world.Fleets()[2].ProfileSID, 1},
		{"networks", "/v1/Networks?PageSize=3", 7},
		{"networks", "/v1/Networks?IsoCountry=DE", 2},
		{"networks", "/v1/Networks?Mcc=001&Mnc=001", 1},
		{"networks", "/v1/Networks?Mcc=262&Mnc=001", 0},
	} {
		if got := mustList(t, server, test.key, test.path); len(got) != test.want {
			t.Errorf("%s: %d, want %d", test.path, len(got), test.want)
		}
	}
	wantRefusal(t, get(t, server, "/v1/Sims?PageSize=1001"), 20001)
}

// TestFleetOfToday looks at a SIM before and after it moves.
func TestFleetOfToday(t *testing.T) {
	t.Parallel()
	world := fakeapi.NewWorld(fakeapi.WorldConfig{})
	moving := world.Sims()[2]
	move := moving.Moves[1]
	for _, test := range []struct {
		at    time.Time
		fleet string
		since time.Time
	}{
		{move.At.Add(-time.Second), moving.Moves[0].Fleet, moving.Created},
		{move.At, move.Fleet, move.At},
	} {
		server := fakeapi.New(world, fakeapi.Options{Clock: fakeapi.NewClock(test.at).Now})
		got := mustList(t, server, "sims", "/v1/Sims")[2]
		if *got.FleetSID != test.fleet || !got.Updated.Equal(test.since) {
			t.Errorf("at %s: %+v", test.at, got)
		}
	}
}

// TestCacheIsBounded asks more lists than fit and still gets true answers.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	world := fakeapi.NewWorld(fakeapi.WorldConfig{Sims: 3})
	for _, limit := range []int{1, 100} {
		server := fakeapi.New(world, fakeapi.Options{Clock: fakeapi.NewClock(noon()).Now, CacheRows: limit})
		for range 2 {
			for day := time.Date(2026, 2, 10, 0, 0, 0, 0, time.UTC); day.Day() < 20; day = day.AddDate(0, 0, 1) {
				end := day.AddDate(0, 0, 1)
				got := mustWalk(t, server, "Granularity=hour&Group=sim&"+window(day, end))
				equalRows(t, rows(got), world.Sum(noon(), day, end, "hour", "sim"))
			}
		}
	}
}
