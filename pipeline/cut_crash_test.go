package pipeline

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"simusage/extract/fakeapi"
)

// Promise 2 where a slice is cut: the process may die at any moment, with several lists open, and another one goes on: one
// that would cut the slice otherwise by now, or one of an older program, which cuts nothing and does not see what a list asks for. The
// day is equal to the oracle, and no more than a page of each open list was asked for again.
func TestPromise2CrashInACutSlice(t *testing.T) {
	for _, atOnce := range []int{1, 3} {
		t.Run(fmt.Sprint(atOnce, " at once"), func(t *testing.T) {
			b := cutting(t, fakeapi.WorldConfig{Seed: 108, Sims: 3, Density: 0.2, Late: -1, Countries: []string{"DE", "FR"}}, fakeapi.Options{}, "hour/sim@country")
			b.since, b.listRows, b.pageSize = at("2026-03-09"), 1, 3
			b.sync()
			b.equal("sim", "sim_country", "country")
			moments := b.crashCut(atOnce, 0)
			t.Logf("%d moments to die at", moments)
			if lists := len(b.questions()); lists < 8 {
				t.Errorf("asked for in %d lists", lists)
			}
			// TestPromise2CrashAfterEveryStep has every step; here it is who goes on, and where the other lists are.
			for moment := atOnce; moment <= moments; moment += 7 {
				t.Run(fmt.Sprint("moment ", moment), func(t *testing.T) {
					b.t = t
					b.crashCut(atOnce, moment)
				})
			}
		})
	}
}

// crashCut changes a day and lets a process die at a moment (never at 0) while it reads it again, and another one finish.
func (b *bench) crashCut(atOnce, moment int) (moments int) {
	b.t.Helper()
	b.clock.Advance(time.Minute)
	b.world.Amend(time.Time{}, func(e *fakeapi.Event) bool {
		e.Upload++
		return e.Start.Hour()%3 == moment%3
	})
	b.api.Reset()
	m := &mortal{moment: moment}
	b.dial, b.around = m.dial, m
	life := m.life(b.t.Context())
	if job, err := b.tryProcess(life); err == nil {
		_, err = b.again(life, job, "2026-03-09", atOnce)
		job.Store.Close()
		if moment == 0 && err != nil {
			b.t.Fatal(err)
		}
	}
	b.dial, b.around = nil, nil
	older := moment%4 == 3
	switch {
	case older:
		b.exec(`UPDATE simusage.list SET ask_from = NULL, ask_until = NULL`)
	case moment%4 == 1:
		b.exec(`UPDATE simusage.slice SET row_count = 9999`)
	case moment%4 == 2:
		b.exec(`UPDATE simusage.slice SET row_count = 0`)
	}
	// What the dead process began may still be going on, and take a lease.
	b.exec(`SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	b.expireLeases()
	job := b.process()
	if _, err := b.again(b.t.Context(), job, "2026-03-09", atOnce); err != nil {
		b.t.Fatal(err)
	}
	job.Store.Close()
	again := 0
	pages := make(map[string]int)
	for _, r := range b.api.Requests() {
		page := fmt.Sprint(r.Path, r.Query, r.Page)
		if r.Status == http.StatusOK && r.Path == "/v1/UsageRecords" {
			if pages[page]++; pages[page] > 1 {
				again++
			}
		}
	}
	if again > atOnce && !older {
		b.t.Errorf("%d pages were asked for again, want at most one for each of %d open lists", again, atOnce)
	}
	// The other day is read by no one here.
	for _, family := range []string{"sim", "sim_country"} {
		want := lines(b.world.Sum(b.clock.Now(), at("2026-03-09"), at("2026-03-10"), "hour", views[family]...))
		difference(b.t, family, slices.DeleteFunc(b.view(family, "hour"), func(line string) bool { return !strings.HasPrefix(line, "2026-03-09") }), want)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.taken
}
