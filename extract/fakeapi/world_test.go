package fakeapi_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"simusage/extract/fakeapi"
)

func TestSameConfigSameWorld(t *testing.T) {
	t.Parallel()
	build := func(seed uint64) *fakeapi.World { return fakeapi.NewWorld(fakeapi.WorldConfig{Seed: seed}) }
	if !reflect.DeepEqual(build(1).Events(), build(1).Events()) || !reflect.DeepEqual(build(1).Sims(), build(1).Sims()) {
		t.Error("the same seed made two worlds")
	}
	if reflect.DeepEqual(build(1).Events(), build(2).Events()) {
		t.Error("two seeds made the same world")
	}
}

// TestWorldHasTheHardCases looks for everything in the default world that a client can get wrong.
func TestWorldHasTheHardCases(t *testing.T) {
	t.Parallel()
	world := fakeapi.NewWorld(fakeapi.WorldConfig{Seed: 3, Unattributed: 0.01})
	seen := map[string]bool{}
	countries, fleets := map[string]string{}, map[string]string{}
	for _, e := range world.Events() {
		end := e.Start.Add(time.Hour)
		hour := e.Sim + e.Start.String()
		seen["two countries in one hour"] = seen["two countries in one hour"] || countries[hour] != "" && countries[hour] != e.Country
		seen["fleet changed"] = seen["fleet changed"] || fleets[e.Sim] != "" && fleets[e.Sim] != e.Fleet
		countries[hour], fleets[e.Sim] = e.Country, e.Fleet
		seen["beyond float64"] = seen["beyond float64"] || e.Download > 1<<53
		seen["late"] = seen["late"] || e.VisibleAt.Sub(end) > 24*time.Hour
		seen["prompt"] = seen["prompt"] || e.VisibleAt.Sub(end) <= time.Hour
		seen["unattributed"] = seen["unattributed"] || e.Country == "" && e.Network == ""
		seen["free"] = seen["free"] || e.Billed == 0
		seen["two digits"] = seen["two digits"] || e.Billed.String() != "0" && e.Billed%10_000_000_000 == 0
		seen["many digits"] = seen["many digits"] || e.Billed%1_000_000 != 0
		if e.VisibleAt.Before(end) || e.VisibleAt.Sub(end) > 48*time.Hour || e.BilledAt.Before(e.VisibleAt) || e.BilledAt.Sub(end) > 54*time.Hour {
			t.Errorf("event %+v is seen or billed at an odd time", e)
		}
		if len(e.Sim) != 34 || !strings.HasPrefix(e.Sim, "HS") || strings.ToLower(e.Sim[2:]) != e.Sim[2:] {
			t.Fatalf("event of SIM %q", e.Sim)
		}
	}
	for _, s := range world.Sims() {
		seen["no name"] = seen["no name"] || s.UniqueName == ""
		seen["idle"] = seen["idle"] || fleets[s.SID] == "" && s.Status != "active"
	}
	for _, n := range world.Networks() {
		seen["leading zeros"] = seen["leading zeros"] || slices.ContainsFunc(n.Identifiers, func(i fakeapi.Identifier) bool { return i.MCC == "001" && i.MNC == "001" })
	}
	for what, found := range seen {
		if !found {
			t.Errorf("the world has no case of: %s", what)
		}
	}
}

// TestAmend changes, adds and removes usage at a time, and looks from before and after.
func TestAmend(t *testing.T) {
	t.Parallel()
	world := fakeapi.NewWorld(fakeapi.WorldConfig{Sims: 3})
	clock := fakeapi.NewClock(noon())
	server := fakeapi.New(world, fakeapi.Options{Clock: clock.Now})
	from, to := noon().AddDate(0, 0, -5), noon()
	ask := func() []fakeapi.Row {
		return rows(mustWalk(t, server, window(from, to)+"&Group=sim&Granularity=hour&PageSize=100"))
	}
	sum := func(at time.Time) []fakeapi.Row { return world.Sum(at, from, to, "hour", "sim") }
	before := sum(noon())
	equalRows(t, ask(), before)

	change := noon().Add(time.Hour)
	sim := world.Sims()[0].SID
	amended := world.Amend(change, func(e *fakeapi.Event) bool {
		e.Upload += 1000
		return e.Sim == sim && e.Start.After(from)
	})
	removed := world.Remove(change, func(e fakeapi.Event) bool { return e.Sim != sim && e.Start.Hour() == 3 })
	world.Add(fakeapi.Event{Start: from.Add(90 * time.Minute), Sim: "HSnew", Upload: 7, VisibleAt: change})
	if amended == 0 || removed == 0 {
		t.Fatalf("amended %d, removed %d", amended, removed)
	}
	equalRows(t, sum(noon()), before)
	equalRows(t, ask(), before)
	clock.Advance(time.Hour)
	equalRows(t, ask(), sum(change))
	if slices.Equal(ask(), before) {
		t.Error("the change does not show")
	}
	clock.Set(noon())
	equalRows(t, ask(), before)
}

// TestAmendHistory changes usage at once and for all times.
func TestAmendHistory(t *testing.T) {
	t.Parallel()
	world := fakeapi.NewWorld(fakeapi.WorldConfig{Sims: 1})
	server := fakeapi.New(world, fakeapi.Options{Clock: fakeapi.NewClock(noon()).Now})
	if first := mustWalk(t, server, "Granularity=day"); first[0].Upload < 100 {
		t.Fatalf("got %+v", first[0])
	}
	n := world.Amend(time.Time{}, func(e *fakeapi.Event) bool { e.Upload = 1; return true })
	upload := int64(0)
	for _, r := range mustWalk(t, server, "Granularity=day&StartTime=2026-01-01") {
		upload += r.Upload
	}
	if upload != int64(n) || n != len(world.Events()) {
		t.Errorf("uploads sum up to %d after %d of %d events were set to 1", upload, n, len(world.Events()))
	}
	world.Remove(time.Time{}, func(fakeapi.Event) bool { return true })
	if rest := mustWalk(t, server, "Granularity=day"); len(rest) != 0 {
		t.Errorf("%d records remain", len(rest))
	}
}

func TestEditSims(t *testing.T) {
	t.Parallel()
	world := fakeapi.NewWorld(fakeapi.WorldConfig{Sims: 4})
	server := fakeapi.New(world, fakeapi.Options{Clock: fakeapi.NewClock(noon()).Now})
	sims := world.Sims()
	world.EditSims(func(s *fakeapi.Sim) bool {
		if s.SID == sims[1].SID {
			s.UniqueName = "renamed"
		}
		return s.SID != sims[0].SID
	})
	world.AddSims(fakeapi.Sim{SID: "HSlate", Status: "new"})
	if got := world.Sims(); len(got) != 4 || got[0].UniqueName != "renamed" || got[3].SID != "HSlate" || got[3].FleetAt(noon()) != "" {
		t.Errorf("got %+v", got)
	}
	for name, sid := range map[string]string{"renamed": sims[1].SID, sims[0].SID: sims[0].SID} {
		records := mustWalk(t, server, "Sim="+name)
		if len(records) != 1 || *records[0].Sim != sid || records[0].Total == 0 {
			t.Errorf("Sim=%s: got %+v", name, records)
		}
	}
}
