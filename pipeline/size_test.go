package pipeline

import (
	"testing"
	"time"

	"simusage/extract"
	"simusage/extract/fakeapi"
	"simusage/load"
)

// What plan --sims says of a fleet is what then happens: the requests of its first load and of a day of syncs, its rows, and
// the room that they take.
func TestSizeIsWhatHappens(t *testing.T) {
	for name, c := range map[string]struct {
		sims, pageSize int
		streams        []string
	}{
		"few rows":     {8, 1000, []string{"hour/total", "hour/country", "hour/sim@country"}},
		"several":      {40, 100, []string{"hour/total", "hour/country", "hour/sim@country"}},
		"by day":       {40, 50, []string{"day/total", "day/sim"}},
		"by the month": {40, 30, []string{"all/total", "all/sim"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, fakeapi.WorldConfig{Seed: 90, Sims: c.sims, Density: 1, Countries: []string{"DE", "FR"}, Late: -1,
				Start: at("2026-01-01"), End: at("2026-03-12")}, fakeapi.Options{})
			b.streams, b.pageSize, b.since = parseStreams(t, c.streams...), c.pageSize, at("2026-01-01")
			b.clock.Set(at("2026-03-10 12:00"))
			window := extract.Window{Start: b.since, End: b.clock.Now()}
			var want load.Size
			for _, st := range b.streams { // one SIM in eight is idle
				s := load.Fleet{SIMs: int64(c.sims - c.sims/8), Countries: 2}.Size(st, window, c.pageSize, 72*time.Hour, time.Hour)
				want.First.Requests, want.First.Rows = want.First.Requests+s.First.Requests, want.First.Rows+s.First.Rows
				want.Daily.Requests += s.Daily.Requests
			}
			first := b.sync()
			near(t, "requests of the first load", want.First.Requests, int64(b.usageRequests()))
			near(t, "rows of the first load", want.First.Rows, first.Rows)
			b.clock.Advance(time.Hour)
			b.sync()
			near(t, "requests of a day of syncs", want.Daily.Requests, 24*int64(b.usageRequests()))
		})
	}
}

// near wants an estimate within 15 % of what was, and two.
func near(t *testing.T, what string, estimated, was int64) {
	t.Helper()
	t.Logf("%s: %d, estimated %d", what, was, estimated)
	if off := float64(estimated - was); max(off, -off) > 0.15*float64(was)+2 {
		t.Errorf("%s: estimated %d, it was %d", what, estimated, was)
	}
}
