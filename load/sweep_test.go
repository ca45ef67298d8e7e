package load

import (
	"testing"
	"time"
)

// A walk that was given up leaves no stage behind; one that is younger, or that somebody holds, is left alone.
func TestSweepEndsWalksThatWereGivenUp(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim")
	open := func(day string) *Walk {
		w := h.walk(h.Store, st, day)
		h.stage(w, []string{"00 a - 1 1"}, nil)
		return w
	}
	given, held := open("2026-03-09"), open("2026-03-10")
	if err := given.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	stages := `SELECT tablename FROM pg_tables WHERE schemaname = 'simusage' AND tablename ~ '^stage_' ORDER BY 1`
	both := h.rows(stages)
	if n, err := h.Sweep(t.Context(), noon.Add(23*time.Hour)); n != 0 || err != nil || len(both) != 2 {
		t.Errorf("swept %d of %d young walks, %v", n, len(both), err)
	}
	if n, err := h.Sweep(t.Context(), noon.Add(24*time.Hour)); n != 1 || err != nil {
		t.Errorf("swept %d walks, %v; want the one that nobody holds", n, err)
	}
	equal(t, "stages", h.rows(stages), held.stage()[len("simusage."):])
	equal(t, "lists", h.rows(`SELECT DISTINCT slice_id = $1 FROM simusage.list`, held.ID), "t")
	h.publish(held, false)
}
