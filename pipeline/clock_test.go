package pipeline

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"simusage/extract/fakeapi"
	"simusage/load"
)

// syncAt is a sync whose own clock says something else than the API's.
func (b *bench) syncAt(now func() time.Time) Summary {
	b.t.Helper()
	job := b.process()
	job.Now = now
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute) // a run that does not end is what is feared
	defer cancel()
	s, err := job.Sync(ctx, load.RunStart{Command: "sync"})
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// settledTooEarly are the slices that count as settled although the API's clock says that they are not.
func (b *bench) settledTooEarly() []string {
	b.t.Helper()
	return b.query(`SELECT stream_id, window_start FROM simusage.slice WHERE settled AND window_end + $2::interval > $1`, b.clock.Now(), b.settle)
}

// finally lets all usage arrive and settle, with a clock that is right, and holds the views against the oracle.
func (b *bench) finally() {
	b.t.Helper()
	for _, when := range []string{"2026-03-12 12:07", "2026-03-17 12:07"} {
		b.clock.Set(at(when))
		b.sync()
		if early := b.settledTooEarly(); len(early) > 0 {
			b.t.Errorf("%s: settled too early: %v", when, early)
		}
		b.equal("total", "sim")
	}
}

// clockBench has two plain streams, and six days.
func clockBench(t *testing.T, seed uint64) *bench {
	t.Helper()
	b := newBench(t, fakeapi.WorldConfig{Seed: seed, Sims: 6, Late: 0.3, Start: at("2026-03-05"), End: at("2026-03-11")}, fakeapi.Options{})
	b.streams = parseStreams(t, "hour/total", "hour/sim")
	b.since = at("2026-03-05")
	return b
}

// A clock that is wrong by days for a whole run, and right in the next one. While it was ahead, days that had hardly begun
// looked settled: what they still got must not be lost.
func TestClockWrongForOneRun(t *testing.T) {
	for name, off := range map[string]time.Duration{"ahead": 10 * 24 * time.Hour, "behind": -5 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			b := clockBench(t, 40)
			b.syncAt(func() time.Time { return b.clock.Now().Add(off) })
			b.clock.Advance(time.Hour)
			b.sync()
			if early := b.settledTooEarly(); len(early) > 0 {
				t.Errorf("settled too early: %v", early)
			}
			b.equal("total", "sim")
			b.clock.Advance(time.Minute)
			if s := b.sync(); s.Slices > 0 {
				t.Errorf("%d slices a minute later: they are walked again and again", s.Slices)
			}
			b.finally()
		})
	}
}

// A walk that was begun by a clock ahead, and left open by an outage, is not gone on with: it would settle its slice.
func TestClockAheadWhenTheWalkBegan(t *testing.T) {
	b := clockBench(t, 41)
	b.pageSize = 10
	b.api.Inject(fakeapi.Fault{After: 9, Times: -1, Match: fakeapi.WithToken, Do: fakeapi.Status(http.StatusServiceUnavailable)})
	job := b.process()
	job.Now = func() time.Time { return b.clock.Now().Add(10 * 24 * time.Hour) }
	if s, err := job.Sync(t.Context(), load.RunStart{Command: "sync"}); err == nil {
		t.Fatalf("the run ended well: %+v", s)
	}
	b.api.ClearFaults()
	if open := b.query(`SELECT id FROM simusage.slice WHERE walk_started_at > $1`, b.clock.Now()); len(open) == 0 {
		t.Fatal("no walk was left open")
	}
	b.sync()
	if early := b.settledTooEarly(); len(early) > 0 {
		t.Errorf("settled too early: %v", early)
	}
	b.finally()
}

// A clock that jumps back and forth by days while runs go on, at every look. Each run ends, and once the clock is right
// nothing is missing.
func TestClockThatJumps(t *testing.T) {
	b := clockBench(t, 42)
	random := rand.New(rand.NewPCG(42, 0))
	var mu sync.Mutex
	for range 4 {
		b.syncAt(func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return b.clock.Now().Add(time.Duration(random.IntN(20)-10) * 24 * time.Hour)
		})
		b.clock.Advance(40 * time.Minute)
	}
	b.clock.Advance(time.Hour)
	b.sync()
	if early := b.settledTooEarly(); len(early) > 0 {
		t.Errorf("settled too early: %v", early)
	}
	b.equal("total", "sim")
	b.finally()
}

// A clock that jumps back in the middle of a run: what the run has walked must not look older than the run.
func TestClockJumpsBackWithinARun(t *testing.T) {
	b := clockBench(t, 43)
	looks := 0
	var mu sync.Mutex
	s := b.syncAt(func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		if looks++; looks == 1 {
			return b.clock.Now()
		}
		return b.clock.Now().Add(-3 * 24 * time.Hour)
	})
	if want := 2 * 6; s.Slices != want {
		t.Errorf("%d slices, want %d", s.Slices, want)
	}
	b.equal("total", "sim")
}

// The first run of all, by a clock that is years ahead: the thirty days that a sync keeps complete count from it, and lie in
// the future. When the clock is right, the thirty days before now are loaded.
func TestFirstRunByAClockAhead(t *testing.T) {
	b := clockBench(t, 44)
	run := func(now time.Time) (Summary, error) {
		job := b.process()
		job.Now, job.Since = func() time.Time { return now }, Since{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		return job.Sync(ctx, load.RunStart{Command: "sync"})
	}
	if s, err := run(b.clock.Now().AddDate(2, 0, 0)); s.Outcome == Stopped {
		t.Errorf("the run by a clock ahead did not end: %v", err)
	}
	for range 2 {
		b.clock.Advance(time.Hour)
		if _, err := run(b.clock.Now()); err != nil {
			t.Fatal(err)
		}
		if early := b.settledTooEarly(); len(early) > 0 {
			t.Errorf("settled too early: %v", early)
		}
		b.equal("total", "sim")
		if wrong := b.query(`SELECT * FROM usage.freshness WHERE complete_until <> $1 OR holes > 0`, b.clock.Now().Truncate(time.Hour)); len(wrong) > 0 {
			t.Errorf("freshness: %v", wrong)
		}
	}
	b.finally()
}

// Names that were read by a clock ahead are not fresh until then, and their history does not begin then.
func TestNamesReadByAClockAhead(t *testing.T) {
	b := clockBench(t, 45)
	sims := b.world.Sims()
	gone := ""
	rename := func(sid, name string) {
		b.world.EditSims(func(s *fakeapi.Sim) bool {
			if s.SID == sid {
				s.UniqueName = name
			}
			return s.SID != gone
		})
	}
	b.sync()
	gone = sims[2].SID
	for i, ahead := range []time.Duration{10 * 24 * time.Hour, 20 * 24 * time.Hour} {
		rename(sims[0].SID, fmt.Sprint("read ahead ", i))
		job := b.process()
		job.Now = func() time.Time { return b.clock.Now().Add(ahead) }
		if err := job.Names(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	rename(sims[0].SID, "right")
	rename(sims[1].SID, "right too")
	b.clock.Advance(time.Hour)
	b.sync()
	b.namesEqual()
	now := b.clock.Now()
	if later := b.query(`SELECT sim_sid, valid_from, valid_to FROM usage.sim_history WHERE valid_from > $1 OR valid_to > $1 AND valid_to < 'infinity'`, now); len(later) > 0 {
		t.Errorf("the history knows the future: %q", later)
	}
	if later := b.query(`SELECT sim_sid FROM usage.sim WHERE gone_at > $1`, now); len(later) > 0 {
		t.Errorf("SIMs that will be gone: %q", later)
	}
	var want []string
	for _, s := range b.world.Sims() {
		want = append(want, strings.TrimSpace(s.SID+" "+s.UniqueName))
	}
	slices.Sort(want)
	difference(t, "history now", b.query(`SELECT concat(sim_sid, ' ', sim_name) FROM usage.sim_history WHERE valid_from <= $1 AND valid_to > $1`, now), want)
	if torn := b.query(`SELECT sim_sid, valid_from FROM usage.sim_history a WHERE valid_to < 'infinity' AND sim_sid <> $1 AND NOT EXISTS
		(SELECT FROM usage.sim_history b WHERE b.sim_sid = a.sim_sid AND b.valid_from = a.valid_to)`, gone); len(torn) > 0 {
		t.Errorf("chapters that nothing follows: %q", torn)
	}
}
