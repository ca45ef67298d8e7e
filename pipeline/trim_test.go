package pipeline

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"simusage/extract"
	"simusage/extract/fakeapi"
	"simusage/load"
)

// trimBench is a bench of which March is settled and older than is wanted, and its process.
func trimBench(t *testing.T, cfg fakeapi.WorldConfig) (*bench, *Job) {
	t.Helper()
	cfg.Start, cfg.End = at("2026-03-25"), at("2026-04-06")
	b := newBench(t, cfg, fakeapi.Options{})
	b.since = cfg.Start
	b.clock.Set(at("2026-04-05 12:07"))
	job := b.process()
	b.runSync(job)
	return b, job
}

func (b *bench) runSync(job *Job) Summary {
	b.t.Helper()
	s, err := job.Sync(b.t.Context(), load.RunStart{Command: "sync"})
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// trim drops what is older than April.
func (b *bench) trim(job *Job) (told []load.TrimmedMonth) {
	b.t.Helper()
	err := job.Store.Trim(b.t.Context(), at("2026-04-01"), b.clock.Now(), true, func(m load.TrimmedMonth) { told = append(told, m) })
	if err != nil {
		b.t.Fatal(err)
	}
	return told
}

// equalTrimmed holds the views against the oracle: hours from April on, days and months from the beginning.
func (b *bench) equalTrimmed(families ...string) {
	b.t.Helper()
	now := b.clock.Now()
	for _, family := range families {
		for grain, since := range map[string]time.Time{"hour": at("2026-04-01"), "day": b.since, "month": b.since} {
			difference(b.t, family+" by "+grain, b.view(family, grain), lines(b.world.Sum(now, since, now.Truncate(time.Hour), grain, views[family]...)))
		}
	}
}

// Hours that were dropped are in no hourly view, and all else goes on: nothing of that time is asked for again by a sync, a
// backfill or a change of clocks, and what the API corrects later changes nothing and is no difference.
func TestTrimmedMonthsAreLeftAlone(t *testing.T) {
	b, job := trimBench(t, fakeapi.WorldConfig{Seed: 90, Sims: 6, Late: -1})
	families := []string{"total", "country", "sim", "sim_country"}
	b.equal(families...)
	books := func() []string {
		return append(b.query(`SELECT * FROM usage.reconciliation WHERE window_start < '2026-04-01'`),
			b.query(`SELECT stream, settled_until, complete_until, newest_period, holes, oldest_hole, days_until_wall, lost FROM usage.freshness`)...)
	}
	before := books()
	if told := b.trim(job); len(told) != 1 || told[0].Kept != "" || told[0].Slices != 3*7 {
		t.Fatalf("trimmed: %+v", told)
	}
	difference(t, "books", books(), before)
	b.equalTrimmed(families...)

	b.world.Amend(time.Time{}, func(e *fakeapi.Event) bool { e.Upload += 1000; return e.Start.Format(time.DateOnly) == "2026-03-27" })
	b.world.Remove(time.Time{}, func(e fakeapi.Event) bool { return e.Start.Format(time.DateOnly) == "2026-03-29" })
	b.api.Reset()
	march := extract.Window{Start: b.since, End: at("2026-04-01")}
	again := Range{Window: march, AgainBefore: b.clock.Now().Add(time.Minute)}
	b.clock.Advance(2 * time.Minute)
	if s, err := job.Backfill(t.Context(), load.RunStart{Command: "backfill"}, again); err != nil || s.Slices != 0 || s.Requests != 0 || s.LeftDue != 0 {
		t.Errorf("a backfill of trimmed days: %+v, %v", s, err)
	}
	estimates, err := job.Estimate(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range estimates {
		if e.Slices != 0 {
			t.Errorf("planned: %+v", e)
		}
	}
	if w, err := job.Trimmed(t.Context(), Range{Window: extract.Window{Start: march.Start, End: at("2026-04-03")}}); err != nil || w != march {
		t.Errorf("trimmed %v, %v", w, err)
	}
	if n, err := job.Accept(t.Context(), again); err != nil || n != 0 {
		t.Errorf("%d accepted, %v", n, err)
	}
	b.exec(`UPDATE simusage.slice SET checked_at = '2027-01-01', rolled_up_for = NULL WHERE trimmed_at IS NOT NULL`) // a clock ran ahead
	b.clock.Advance(time.Hour)
	b.runSync(job)
	for _, r := range b.api.Requests() {
		if strings.Contains(r.Query, "StartTime=2026-03") {
			t.Errorf("asked: %s", r.Query)
		}
	}
	difference(t, "books after a correction", b.query(`SELECT * FROM usage.reconciliation WHERE window_start < '2026-04-01'`), before[:14])
	if lines := b.query(`SELECT * FROM simusage.restatement`); len(lines) > 0 {
		t.Errorf("restated: %q", lines)
	}

	unlike := 0
	err = job.Verify(t.Context(), extract.Window{Start: b.since, End: at("2026-04-04")}, func(v Verdict) {
		if !v.Equal() {
			if unlike++; !v.Trimmed {
				t.Errorf("differs: %+v", v)
			}
		}
	})
	if err != nil || unlike != 2*3 {
		t.Errorf("verify: %v, %d verdicts unlike, want 2 days in 3 views", err, unlike)
	}
}

// A stream that is configured later loads its own hours of that time, once, and the trimmed ones do not come back.
func TestANewStreamAfterATrim(t *testing.T) {
	b, job := trimBench(t, fakeapi.WorldConfig{Seed: 91, Sims: 6, Late: -1})
	b.trim(job)
	b.streams = append(b.streams, parseStreams(t, "hour/network")...)
	job.Accounts[0].Streams = b.streams
	if s := b.runSync(job); s.Slices != 12 {
		t.Errorf("%d slices walked, want the 12 of the new stream", s.Slices)
	}
	b.equalTrimmed("total", "country", "sim", "sim_country")
	b.equal("network")
	if s := b.runSync(job); s.Slices != 0 {
		t.Errorf("%d slices walked again", s.Slices)
	}
	if told := b.trim(job); len(told) != 1 || told[0].Kept != "" || told[0].Slices != 7 {
		t.Errorf("trimmed again: %+v", told)
	}
	b.equalTrimmed("total", "country", "sim", "sim_country", "network")
}

// A process that trims may die at any moment: the month is there or gone, whole, and the books know which. The next one ends it.
func TestCrashWhileTrimming(t *testing.T) {
	b, _ := trimBench(t, fakeapi.WorldConfig{Seed: 92, Sims: 3, Density: 0.1, Late: -1})
	b.exec(`CREATE TABLE hours AS SELECT * FROM simusage.usage_hourly WHERE period_start < '2026-04-01'`)
	hours := b.query(`SELECT * FROM hours`)
	die := func(moment int) (moments int) {
		t.Helper()
		m := &mortal{moment: moment}
		b.dial = m.dial
		life := m.life(t.Context())
		if dying, err := b.tryProcess(life); err == nil {
			dying.Store.Trim(life, at("2026-04-01"), b.clock.Now(), true, func(load.TrimmedMonth) {}) // the error is that it is dead
		}
		b.dial = nil
		// What the dead process began may still be going on.
		b.exec(`SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		marked := b.query(`SELECT count(trimmed_at)::text FROM simusage.slice WHERE window_start < '2026-04-01'`)[0]
		left := b.query(`SELECT * FROM simusage.usage_hourly WHERE period_start < '2026-04-01'`)
		switch {
		case marked == "0":
			difference(t, fmt.Sprint("hours, dead at moment ", moment), left, hours)
		case marked != "21" || len(left) > 0:
			t.Errorf("dead at moment %d: %s slices are marked, %d hours are left", moment, marked, len(left))
		}
		next := b.process()
		if told := b.trim(next); marked == "0" && (len(told) != 1 || told[0].Kept != "") || marked != "0" && len(told) > 0 {
			t.Errorf("after death at moment %d: %+v", moment, told)
		}
		next.Store.Close()
		if n := b.query(`SELECT count(trimmed_at)::text FROM simusage.slice WHERE window_start < '2026-04-01'`)[0]; n != "21" {
			t.Errorf("after death at moment %d the next one has marked %s slices", moment, n)
		}
		m.mu.Lock() // its pool may not be done closing
		defer m.mu.Unlock()
		return m.taken
	}
	moments := die(0)
	t.Logf("%d moments to die at", moments)
	for moment := 1; moment <= moments; moment++ {
		if moment < moments-24 && moment%9 > 0 {
			continue // it only looks: one moment is like the other
		}
		b.exec(`CREATE TABLE simusage.usage_hourly_2026_03 PARTITION OF simusage.usage_hourly FOR VALUES FROM ('2026-03-01 00:00Z') TO ('2026-04-01 00:00Z')`)
		b.exec(`INSERT INTO simusage.usage_hourly SELECT * FROM hours`)
		b.exec(`UPDATE simusage.slice SET trimmed_at = NULL`)
		die(moment)
	}
	b.equalTrimmed("total", "country", "sim", "sim_country")
	if s := b.sync(); s.Slices != 0 {
		t.Errorf("a sync afterwards walked %d slices", s.Slices)
	}
}
