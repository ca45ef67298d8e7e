package pipeline

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"simusage/extract"
	"simusage/extract/fakeapi"
	"simusage/load"
)

// Promise 7: usage that has no country is there, without a country, and the sums of every view are those of the total.
func TestPromise7UsageWithoutACountryIsThere(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 70, Sims: 8, Unattributed: 0.1}, fakeapi.Options{})
	b.sync()
	b.equal("total", "country")
	if n := b.query(`SELECT count(*) > 0 FROM usage.country_daily WHERE iso_country = '' AND data_total > 0`); n[0] != "true" {
		t.Error("no usage without a country")
	}
	b.sums("sim", "country", "sim_country")
	if lines := b.query(`SELECT stream, window_start, difference FROM usage.reconciliation WHERE reconciled IS NOT TRUE`); len(lines) > 0 {
		t.Errorf("not reconciled: %q", lines)
	}
}

// Promise 7: usage that arrives between the reading of a stream and of its total makes them disagree; both are read again
// at once, and agree.
func TestPromise7ADisagreementIsReadAgain(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 71, Sims: 8, Late: -1}, fakeapi.Options{})
	changed := false
	b.api.Inject(fakeapi.Fault{After: 9, Do: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		b.world.Amend(time.Time{}, func(e *fakeapi.Event) bool { e.Upload++; return true })
		changed = true
		next.ServeHTTP(w, r)
	}})
	b.sync()
	if !changed {
		t.Fatal("nothing changed in the middle")
	}
	// What was read before the change and agrees with what was read before it is as old as any published slice may be; what
	// disagreed is new on both sides.
	if lines := b.query(`SELECT stream, window_start, difference FROM usage.reconciliation WHERE reconciled IS NOT TRUE`); len(lines) > 0 {
		t.Errorf("not reconciled: %q", lines)
	}
}

// Promise 7: a disagreement that stays is read again a bounded number of times, and stays there to see.
func TestPromise7AStandingDisagreementIsToldNotChased(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 72, Sims: 8, Late: -1, Unattributed: 0.1}, fakeapi.Options{DropUnattributed: true})
	b.settle = 0
	first := b.sync()
	if lines := b.query(`SELECT count(*) FROM usage.reconciliation WHERE NOT reconciled AND difference < 0`); lines[0] == "0" {
		t.Fatal("everything agrees although the API drops usage")
	}
	if want := 30 * 3; first.Slices > want {
		t.Errorf("%d slices walked, want each three times at most", first.Slices)
	}
	b.api.Reset()
	if s := b.sync(); s.Slices != 0 {
		t.Errorf("the next run walked %d slices once more: %q", s.Slices, strings.Join(b.query(`SELECT * FROM usage.reconciliation WHERE NOT reconciled`), "\n"))
	}
}

// Promise 7: usage that the API leaves out of a breakdown is a remainder, row by row what is missing, and the sums of every
// view are those of the total, while usage arrives late, is billed late, and is named in the end.
func TestPromise7WhatABreakdownLeavesOutIsARemainder(t *testing.T) {
	opts := fakeapi.Options{DropUnattributed: true}
	b := newBench(t, fakeapi.WorldConfig{Seed: 73, Sims: 8, Unattributed: 0.1}, opts)
	b.streams = append(b.streams, parseStreams(t, "hour/network", "day/total", "day/country", "all/total", "all/country:fleet="+b.world.Fleets()[0].SID)...)
	for range 4 {
		b.sync()
		b.equal("total")
		b.sums("country", "sim", "sim_country", "network")
		b.clock.Advance(13 * time.Hour)
	}
	b.sync()
	b.equal("total", "country", "network") // all is billed: the remainder is what the oracle has without a country
	if n := b.query(`SELECT count(*) FROM usage.reconciliation WHERE unattributed > 0 AND unattributed = -difference`); n[0] == "0" {
		t.Fatal("no remainder, although the API drops usage")
	}
	if lines := b.query(`SELECT stream, window_start, difference, unattributed FROM usage.reconciliation WHERE difference IS NOT NULL AND unattributed <> -difference`); len(lines) > 0 {
		t.Errorf("remainders that are not the difference: %q", lines)
	}
	if err := b.process().Verify(t.Context(), extract.Window{Start: b.since, End: b.clock.Now()}, func(v Verdict) {
		if !v.Equal() && v.View != "sim_daily" { // the API names the SIM of usage whose country it does not know
			t.Errorf("verify: %+v", v)
		}
	}); err == nil {
		t.Error("verify finds the SIM views equal, although usage without a country is in none of them by name")
	}

	b.clock.Advance(time.Hour)
	opts.DropUnattributed, opts.Clock = false, b.clock.Now
	named := httptest.NewServer(fakeapi.New(b.world, opts))
	t.Cleanup(named.Close)
	b.apiURL = named.URL
	job := b.process()
	if _, err := job.Backfill(t.Context(), load.RunStart{Command: "backfill"}, Range{Window: extract.Window{Start: b.since, End: b.clock.Now()}, AgainBefore: b.clock.Now()}); err != nil {
		t.Fatal(err)
	}
	b.equal("total", "country", "network")
	b.sums("country", "sim", "sim_country", "network")
	if lines := b.query(`SELECT * FROM usage.reconciliation WHERE unattributed <> 0 OR reconciled IS FALSE`); len(lines) > 0 {
		t.Errorf("a remainder stays although nothing is missing: %q", lines)
	}
}

// sums holds the sums of views against those of the total.
func (b *bench) sums(families ...string) {
	b.t.Helper()
	for _, family := range families {
		for grain, name := range map[string]string{"hour": "hourly", "day": "daily", "month": "monthly"} {
			sums := `SELECT ` + grain + `, sum(data_upload)::text, sum(data_download)::text, sum(data_total)::text, trim_scale(sum(data_total_billed))::text FROM usage.`
			difference(b.t, family+"_"+name, b.query(sums+family+"_"+name+` GROUP BY 1`), b.query(sums+"total_"+name+` GROUP BY 1`))
		}
	}
}
