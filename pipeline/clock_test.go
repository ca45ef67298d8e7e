package pipeline

import (
	"context"
	"math/rand/v2"
	"net/http"
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
