package pipeline

import (
	"errors"
	"strings"
	"testing"
	"time"

	"simusage/extract"
	"simusage/extract/fakeapi"
)

func TestVerify(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 50, Sims: 10, Late: -1}, fakeapi.Options{})
	b.sync()
	before := b.query(`SELECT count(*), (SELECT count(*) FROM simusage.slice), (SELECT max(changed_at) FROM simusage.usage_hourly) FROM simusage.run`)
	window := extract.Window{Start: b.since, End: at("2026-03-11")}
	verify := func() (verdicts, unequal []Verdict, err error) {
		err = b.process().Verify(t.Context(), window, func(v Verdict) {
			verdicts = append(verdicts, v)
			if !v.Equal() {
				unequal = append(unequal, v)
			}
		})
		return verdicts, unequal, err
	}
	verdicts, unequal, err := verify()
	if err != nil || len(unequal) > 0 || len(verdicts) != 3*9 {
		t.Errorf("fresh from the sync: %d verdicts, unequal %v, error %v; want 3 views × 9 finished days", len(verdicts), unequal, err)
	}

	// Two SIMs' bytes swap: every sum stays the same, and only the rows by SIM differ.
	swap := []string{b.world.Sims()[1].SID, b.world.Sims()[3].SID}
	b.world.Amend(time.Time{}, func(e *fakeapi.Event) bool {
		i := strings.Index(strings.Join(swap, " "), e.Sim)
		if i < 0 || e.Start.Before(at("2026-03-04")) || !e.Start.Before(at("2026-03-05")) {
			return false
		}
		e.Sim = swap[(i/35+1)%2]
		return true
	})
	_, unequal, err = verify()
	if !errors.Is(err, ErrUnequal) || len(unequal) != 1 || unequal[0].View != "sim_daily" || !unequal[0].Day.Equal(at("2026-03-04")) {
		t.Errorf("after a swap: unequal %+v, error %v", unequal, err)
	}
	if after := b.query(`SELECT count(*), (SELECT count(*) FROM simusage.slice), (SELECT max(changed_at) FROM simusage.usage_hourly) FROM simusage.run`); after[0] != before[0] {
		t.Errorf("verify wrote: %s, before %s", after, before)
	}
}
