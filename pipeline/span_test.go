package pipeline

import (
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"simusage/extract"
	"simusage/extract/fakeapi"
	"simusage/load"
)

// smallFleet is a bench whose fleet is small and whose usage goes back to the wall, and an API that is as strict as it may be.
func smallFleet(t *testing.T, opts fakeapi.Options) *bench {
	t.Helper()
	opts.RefuseFuture, opts.RefuseUnaligned, opts.FixedMonths = true, true, true
	b := newBench(t, fakeapi.WorldConfig{Seed: 80, Sims: 4, Density: 0.02, Late: -1, Start: extract.Wall(at("2026-03-10")), End: at("2026-03-12")}, opts)
	b.since = at("2026-02-08")
	b.pageSize = 1000
	b.lease = time.Minute // what is counted here must not depend on how busy the machine is
	return b
}

// asked counts the requests for usage since the last look, by what they are grouped by, and wants none to be refused.
func (b *bench) asked() map[string]int {
	b.t.Helper()
	counts := make(map[string]int)
	for _, r := range b.api.Requests() {
		if r.Path != "/v1/UsageRecords" {
			continue
		}
		if r.Status != http.StatusOK {
			b.t.Errorf("answered %d: %s", r.Status, r.Query)
		}
		switch {
		case strings.Contains(r.Query, "Granularity=all"):
			counts["values"]++
		case strings.Contains(r.Query, "Group=sim"):
			counts["sim"]++
		case strings.Contains(r.Query, "Group=isoCountry"):
			counts["country"]++
		default:
			counts["total"]++
		}
	}
	b.api.Reset()
	return counts
}

func (b *bench) syncAlone() Summary {
	b.t.Helper()
	job := b.process()
	job.Concurrency = 1
	s, err := job.Sync(b.t.Context(), load.RunStart{Command: "sync"})
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// A small fleet: one request covers what it can. Today and yesterday go alone at first, until it is known what a day has;
// from then on a refresh is a request a list, and 18 months are 17 beside the month that is there.
func TestRequestsOfASmallFleet(t *testing.T) {
	b := smallFleet(t, fakeapi.Options{})
	want := func(what string, total, country, values int) {
		t.Helper()
		got := b.asked()
		if got["total"] != total || got["country"] != country || got["values"] != values || got["sim"] < values || got["sim"] > 5*values {
			t.Errorf("%s asked %v, want %d, %d, %d and a list for each value", what, got, total, country, values)
		}
	}
	if s := b.syncAlone(); s.Slices != 3*31 {
		t.Errorf("%d slices", s.Slices)
	}
	want("the first load of 31 days", 3, 3, 3)
	b.equal("total", "country", "sim", "sim_country")

	b.clock.Advance(time.Hour)
	if s := b.syncAlone(); s.Slices != 3*4 || s.Unchanged == 0 {
		t.Errorf("%d slices after an hour, %d unchanged, want 4 days of 3 streams", s.Slices, s.Unchanged)
	}
	want("an hour later", 1, 1, 1)
	b.equal("total", "country", "sim", "sim_country")

	job := b.process()
	job.Concurrency = 1
	b.since = extract.Wall(b.clock.Now())
	s, err := job.Backfill(t.Context(), load.RunStart{Command: "backfill"}, Range{Window: extract.Window{Start: b.since, End: b.clock.Now()}})
	if days := int(at("2026-02-08").Sub(b.since).Hours() / 24); err != nil || s.Slices != 3*days {
		t.Errorf("backfill of %d days: %d slices, %v", days, s.Slices, err)
	}
	want("the backfill of 18 months", 17, 17, 17)
	b.equal("total", "country", "sim", "sim_country")
}

// By day and by month, and with a fan-out over SIMs, where the API takes less at a time.
func TestRequestsOfOtherStreams(t *testing.T) {
	b := smallFleet(t, fakeapi.Options{})
	b.since = at("2024-12-01")
	b.streams = parseStreams(t, "day/total", "all/total", "day/sim", "hour/country@sim")
	b.syncAlone()
	requests := map[string]int{}
	for _, r := range b.api.Requests() {
		if r.Path == "/v1/UsageRecords" && r.Status != http.StatusOK {
			t.Errorf("answered %d: %s", r.Status, r.Query)
		}
		for _, kind := range []string{"Granularity=day&PageSize", "Granularity=day&Group=sim", "Granularity=all&PageSize", "Granularity=all&Group=sim"} {
			if strings.Contains(r.Query, kind) {
				requests[kind]++
			}
		}
	}
	// 16 months. By day the newest goes alone, and the one before it, until it is known what a month has; 14 go in pairs.
	for kind, want := range map[string]int{"Granularity=day&PageSize": 9, "Granularity=day&Group=sim": 16, "Granularity=all&PageSize": 16, "Granularity=all&Group=sim": 17} {
		if requests[kind] != want {
			t.Errorf("%d requests with %s, want %d", requests[kind], kind, want)
		}
	}
	difference(t, "totals by day", b.view("total", "day"), lines(b.world.Sum(b.clock.Now(), b.since, at("2026-03-10"), "day")))
}

// With KORE's pages of 249, as many pages as there are rows, and no more lists than there are months.
func TestRequestsWithSmallPages(t *testing.T) {
	b := smallFleet(t, fakeapi.Options{MaxPageSize: 249})
	b.pageSize = 249
	b.streams = parseStreams(t, "hour/total", "hour/sim")
	b.syncAlone()
	got := b.asked()
	b.equal("total", "sim")
	for family, count := range map[string]int{"total": got["total"], "sim": got["sim"]} {
		rows := len(b.view(family, "hour"))
		if want := 2 + int(math.Ceil(float64(rows)/249)); count > want {
			t.Errorf("%d requests for %d rows of %s, want at most %d", count, rows, family, want)
		}
	}
}

// What plan says is close to what then happens: after a first load, of days never read, and of all days read again, for
// fleets whose days are a few rows or several pages.
func TestEstimateIsCloseToWhatHappens(t *testing.T) {
	for name, c := range map[string]struct {
		world    fakeapi.WorldConfig
		pageSize int
	}{
		"few rows":    {fakeapi.WorldConfig{Seed: 81, Sims: 3, Density: 0.1}, 1000},
		"a page":      {fakeapi.WorldConfig{Seed: 82, Sims: 12}, 200},
		"small pages": {fakeapi.WorldConfig{Seed: 83, Sims: 12, Countries: []string{"DE", "FR"}}, 30},
	} {
		t.Run(name, func(t *testing.T) {
			c.world.Late, c.world.Start, c.world.End = -1, at("2026-02-01"), at("2026-03-11")
			b := newBench(t, c.world, fakeapi.Options{})
			b.pageSize, b.since, b.lease = c.pageSize, at("2026-03-05"), time.Minute
			first := b.estimated(Range{})
			b.sync()
			if got := b.usageRequests(); first > got {
				t.Errorf("knowing nothing, at least %d requests were estimated; it took %d", first, got)
			}
			for _, r := range []Range{
				{Window: extract.Window{Start: at("2026-02-01"), End: at("2026-03-05")}},
				{Window: extract.Window{Start: at("2026-02-01"), End: at("2026-03-11")}, AgainBefore: b.clock.Now().Add(time.Hour)},
			} {
				want := b.estimated(r)
				job := b.process()
				if r.AgainBefore.After(b.clock.Now()) {
					b.clock.Advance(61 * time.Minute)
				}
				if _, err := job.Backfill(t.Context(), load.RunStart{Command: "backfill"}, r); err != nil {
					t.Fatal(err)
				}
				got := b.usageRequests()
				t.Logf("estimated %d, took %d", want, got)
				if low, high := float64(got)*0.85-2, float64(got)*1.15+2; float64(want) < low || float64(want) > high {
					t.Errorf("%s: estimated %d requests, took %d", r.Window, want, got)
				}
			}
		})
	}
}

func (b *bench) estimated(r Range) (requests int) {
	b.t.Helper()
	estimates, err := b.process().Estimate(b.t.Context(), r)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range estimates {
		requests += int(e.Requests)
	}
	return requests
}

// usageRequests counts the requests for usage since the last look.
func (b *bench) usageRequests() (n int) {
	for _, count := range b.asked() {
		n += count
	}
	return n
}

// longer matches the questions that cover more than some days.
func longer(days float64) func(*http.Request) bool {
	return func(r *http.Request) bool {
		from, err := time.Parse(time.RFC3339, r.URL.Query().Get("StartTime"))
		until, otherwise := time.Parse(time.RFC3339, r.URL.Query().Get("EndTime"))
		return err == nil && otherwise == nil && until.Sub(from).Hours() > 24*days
	}
}

// An API that takes less at a time than it says, or takes too long over it, is asked day by day. Nothing fails.
func TestSpansThatTheAPIDoesNotTake(t *testing.T) {
	for name, answer := range map[string]fakeapi.Action{
		"refused": fakeapi.Status(http.StatusBadRequest), "too much for it": fakeapi.Status(http.StatusGatewayTimeout), "not an answer": fakeapi.Redirect("/"),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, fakeapi.WorldConfig{Seed: 84, Sims: 6}, fakeapi.Options{})
			b.api.Inject(fakeapi.Fault{Every: 1, Match: longer(1), Do: answer})
			if s := b.sync(); s.Failed > 0 || s.Slices != 30 {
				t.Errorf("%d slices, %d failed", s.Slices, s.Failed)
			}
			b.equal("total", "country", "sim", "sim_country")
			if left := b.query(`SELECT id FROM simusage.slice WHERE alone OR walk_leader IS NOT NULL OR failures > 0`); len(left) > 0 {
				t.Errorf("%d slices are not as they were", len(left))
			}
		})
	}
}

// A day that cannot be read does not keep the others from being loaded; the next run tries it alone.
func TestAPoisonedDayFailsAlone(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 85, Sims: 6, Late: -1}, fakeapi.Options{})
	b.streams = parseStreams(t, "hour/total", "hour/sim")
	b.pageSize = 1000
	b.api.Inject(fakeapi.Fault{Every: 1, Match: onDay("2026-03-04"), Do: fakeapi.Replace(`"usage_records":`, `"records":`)})
	for range 2 {
		s, err := b.process().Sync(t.Context(), load.RunStart{Command: "sync"})
		if err == nil || s.Outcome != Partly && s.Outcome != Failed || s.LeftDue != 2 || s.Failed != 2 {
			t.Errorf("outcome %s, %d failed, %d left due, %v", s.Outcome, s.Failed, s.LeftDue, err)
		}
		holes := b.query(`SELECT to_char(window_start, 'MM-DD') FROM simusage.slice WHERE published_at IS NULL`)
		if !slices.Equal(holes, []string{"03-04", "03-04"}) {
			t.Errorf("not loaded: %v", holes)
		}
		b.clock.Advance(time.Minute)
	}
	b.api.ClearFaults()
	b.clock.Advance(time.Hour)
	b.sync()
	b.equal("total", "sim")
}

// An outage in the middle of a span, and days later an API that is back: nothing is lost, nothing is counted twice.
func TestAnOutageInASpan(t *testing.T) {
	for name, credentials := range map[string]bool{"of the credentials": true, "of the API": false} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, fakeapi.WorldConfig{Seed: 86, Sims: 8}, fakeapi.Options{})
			b.streams = parseStreams(t, "hour/total", "hour/sim")
			status := map[bool]int{true: http.StatusUnauthorized, false: http.StatusServiceUnavailable}[credentials]
			b.api.Inject(fakeapi.Fault{After: 2, Every: 1, Match: func(r *http.Request) bool { return longer(1)(r) && fakeapi.WithToken(r) }, Do: fakeapi.Status(status)})
			if credentials {
				if s, err := b.process().Sync(t.Context(), load.RunStart{Command: "sync"}); err == nil || s.Outcome != Partly {
					t.Fatalf("outcome %s, %v", s.Outcome, err)
				}
				if open := b.query(`SELECT id FROM simusage.slice WHERE walk_leader IS NOT NULL`); len(open) == 0 {
					t.Error("no span is left to go on with")
				}
				b.api.ClearFaults()
			}
			b.sync()
			b.equal("total", "sim")
		})
	}
}
