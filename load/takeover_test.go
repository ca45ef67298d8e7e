package load

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// spanned is a span of three days, 2026-03-07 to 09, staged to its end.
func (h *warehouse) spanned(s *Store, st Stream) *Walk {
	h.tb.Helper()
	h.load(st, "2026-03-01", true, "00 a - 1 1")
	w := h.span(s, st, "2026-03-07", "2026-03-10")
	h.stage(w, []string{"48 a - 3 3"}, []string{"24 a - 2 2"}, []string{"00 a - 1 1"})
	if w.days() != "03-07 03-08 03-09" {
		h.tb.Fatalf("the span is %s", w.days())
	}
	return w
}

// dies lets the leases of a process run out.
func (h *warehouse) dies(owner string) {
	h.tb.Helper()
	h.exec(`UPDATE simusage.slice SET lease_expires_at = clock_timestamp() WHERE leased_by = $1`, owner)
}

// A crash anywhere between the publishes of a span: the next process takes what is left and goes on, asking for nothing.
func TestPromise2CrashBetweenThePublishesOfASpan(t *testing.T) {
	t.Parallel()
	for crash := range 3 {
		h := newWarehouse(t)
		st := h.stream("hour/sim")
		dead := h.spanned(h.Store, st)
		h.publishParts(dead.Parts[:crash], false)
		equal(t, "links", h.rows(`SELECT count(*) FROM simusage.slice WHERE walk_leader = $1`, dead.ID), fmt.Sprint(2-crash))
		h.dies("process 1")
		other := h.process("process 2", time.Minute)
		w := h.span(other, st, "2026-03-07", "2026-03-10")
		if w.ID != dead.ID || len(w.Parts) != 3-crash || !w.Lists[0].Done || w.Lists[0].Pages != 3 || w.Ask != dead.Ask {
			t.Fatalf("after %d publishes the other process goes on with %s, list %+v", crash, w.days(), *w.Lists[0])
		}
		// The first one wakes up: not even a part that it still seems to hold may be published.
		for _, p := range dead.Parts[crash:] {
			if _, err := p.Publish(t.Context(), false, Caution{}); !errors.Is(err, ErrFenced) {
				t.Errorf("the dead process publishes %s: %v", p.Name(), err)
			}
		}
		h.publishParts(w.Parts, false)
		equal(t, "facts", h.rows(factSQL), "01 00 a 1 1 2 - ", "07 00 a 1 1 2 - ", "08 00 a 2 2 4 - ", "09 00 a 3 3 6 - ")
		equal(t, "what is left", h.rows(leftSQL), "0 0 0 0 0")
		if err := dead.Disband(t.Context()); !errors.Is(err, ErrFenced) {
			t.Errorf("the dead process gives the span up: %v", err)
		}
		if err := dead.Fail(t.Context(), errors.New("dead")); err != nil {
			t.Error(err)
		}
		equal(t, "what the dead did", h.rows(`SELECT count(*) FROM simusage.slice WHERE alone OR failures > 0`), "0")
	}
}

// In the middle of a list it is the same; a part that the walk does not cover any more is read by somebody, not lost.
func TestSpanGoesOnInTheMiddle(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim")
	h.load(st, "2026-03-01", true, "00 a - 1 1")
	first := h.span(h.Store, st, "2026-03-07", "2026-03-10")
	h.stage(first, []string{"48 a - 3 3", "24 a - 2 2"}, nil)
	first.Lists[0].Done, first.Lists[0].Cursor = false, "https://api/next/1"
	h.exec(`UPDATE simusage.list SET done = false, cursor = 'https://api/next/1', pages = 1`)
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	equal(t, "leases", h.rows(`SELECT count(*) FROM simusage.slice WHERE leased_by IS NOT NULL`), "0")
	w := h.span(h.Store, st, "2026-03-07", "2026-03-10")
	if w.days() != "03-07 03-08 03-09" || w.Lists[0].Pages != 1 || w.Lists[0].Rows != 2 || !w.Started.Equal(first.Started) {
		t.Fatalf("goes on with %s, list %+v", w.days(), *w.Lists[0])
	}
	if err := w.Fail(t.Context(), errors.New("the API is down")); err != nil {
		t.Fatal(err)
	}
	equal(t, "failures", h.rows(`SELECT to_char(window_start, 'DD'), failures, last_error FROM simusage.slice WHERE failures > 0`), "09 1 the API is down")
	w = h.span(h.Store, st, "2026-03-07", "2026-03-10")
	if w.days() != "03-07 03-08 03-09" {
		t.Fatalf("after a failure it goes on with %s", w.days())
	}
	// The list begins again: the digests too.
	if err := w.Restart(t.Context(), w.Lists[0]); err != nil {
		t.Fatal(err)
	}
	h.stage(w, []string{"48 a - 3 3"}, []string{"00 a - 1 1"})
	equal(t, "published", h.publishParts(w.Parts, false),
		"03-07 rows 1 new 1 changed 0 gone 0", "03-08 rows 0 new 0 changed 0 gone 0", "03-09 rows 1 new 1 changed 0 gone 0")
	if p := h.load(st, "2026-03-09", false, "00 a - 3 3"); !p.Unchanged {
		t.Errorf("alone: %+v", p)
	}
	if p := h.load(st, "2026-03-08", false); !p.Unchanged {
		t.Errorf("an empty one alone: %+v", p)
	}
}

// A part whose lease ran out goes to another process, before the publishes or between them: it is left to that one, and
// the other parts are published.
func TestPartOfASpanTakenOver(t *testing.T) {
	t.Parallel()
	for _, published := range []int{0, 1} {
		for _, done := range []bool{false, true} {
			h := newWarehouse(t)
			st := h.stream("hour/sim")
			w := h.spanned(h.Store, st)
			lines := h.publishParts(w.Parts[:published], false)
			h.exec(`UPDATE simusage.slice SET lease_expires_at = clock_timestamp() WHERE window_start = '2026-03-08'`)
			other := h.process("process 2", time.Minute)
			taken := h.walk(other, st, "2026-03-08")
			if taken.days() != "03-08" || taken.Lists[0].Pages != 0 {
				t.Fatalf("taken over: %s, list %+v", taken.days(), *taken.Lists[0])
			}
			h.stage(taken, []string{"00 a - 9 9"})
			if done {
				h.publish(taken, false)
			}
			lines = append(lines, h.publishParts(w.Parts[published:], false)...)
			equal(t, "published", lines, "03-07 rows 1 new 1 changed 0 gone 0", "03-08 is another's", "03-09 rows 1 new 1 changed 0 gone 0")
			if !done {
				h.publish(taken, false)
			}
			equal(t, "facts", h.rows(factSQL), "01 00 a 1 1 2 - ", "07 00 a 1 1 2 - ", "08 00 a 9 9 18 - ", "09 00 a 3 3 6 - ")
			equal(t, "what is left", h.rows(leftSQL), "0 0 0 0 0")
			if n := len(h.held.all()); n > 0 {
				t.Errorf("%d leases are kept alive", n)
			}
		}
	}
}

// Between the lease and the beginning of the walk a part may be lost too; then nothing has begun.
func TestPartOfASpanLostBeforeItBegins(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim")
	h.load(st, "2026-03-01", true, "00 a - 1 1")
	d := due(st, "2026-03-07", "2026-03-10")
	if err := h.Plan(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	w, err := h.Lease(t.Context(), d, nil)
	if err != nil {
		t.Fatal(err)
	}
	h.exec(`UPDATE simusage.slice SET lease_expires_at = clock_timestamp() WHERE window_start = '2026-03-08'`)
	h.lease(h.process("process 2", time.Minute), st, "2026-03-08")
	if err := w.Begin(t.Context(), st.Ask(w.Window, noon), noon); !errors.Is(err, ErrFenced) {
		t.Errorf("began: %v", err)
	}
	if err := w.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	equal(t, "what is left", h.rows(leftSQL), "0 0 1 0 0")
	if w := h.span(h.Store, st, "2026-03-07", "2026-03-10"); w.days() != "03-09" {
		t.Errorf("leased %s", w.days())
	}
}

// A span that cannot be gone on with begins anew with its leader alone; the others are free for anybody.
func TestSpanBeginsAnew(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*warehouse, *Walk) time.Time{
		"too old":            func(*warehouse, *Walk) time.Time { return noon.Add(24 * time.Hour) },
		"of the future":      func(*warehouse, *Walk) time.Time { return noon.Add(-time.Hour) },
		"the stage is empty": func(h *warehouse, w *Walk) time.Time { h.exec(`TRUNCATE ` + w.stage()); return noon },
		"the stage is gone":  func(h *warehouse, w *Walk) time.Time { h.exec(`DROP TABLE ` + w.stage()); return noon },
	} {
		h := newWarehouse(t)
		st := h.stream("hour/sim")
		old := h.spanned(h.Store, st)
		now := spoil(h, old)
		if err := old.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		w, err := h.Lease(t.Context(), due(st, "2026-03-07", "2026-03-10"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Begin(t.Context(), st.Ask(w.Window, noon), now); err != nil {
			t.Fatal(name, err)
		}
		if w.days() != "03-09" || w.Spans() || !w.Ask.Start.Equal(at("2026-03-09")) || !w.Ask.End.Equal(at("2026-03-10")) || w.Lists[0].Pages != 0 || len(h.held.all()) != 1 {
			t.Errorf("%s: begins anew with %s, asks %s", name, w.days(), w.Ask)
		}
		equal(t, name, h.rows(leftSQL), "1 1 1 0 1")
		h.stage(w, []string{"00 a - 3 3"})
		h.publish(w, false)
		rest := h.span(h.Store, st, "2026-03-07", "2026-03-09")
		if rest.days() != "03-07 03-08" {
			t.Errorf("%s: the rest goes as %s", name, rest.days())
		}
		h.stage(rest, []string{"24 a - 2 2", "00 a - 1 1"})
		h.publishParts(rest.Parts, false)
		equal(t, name+": facts", h.rows(factSQL), "01 00 a 1 1 2 - ", "07 00 a 1 1 2 - ", "08 00 a 2 2 4 - ", "09 00 a 3 3 6 - ")
		equal(t, name, h.rows(leftSQL), "0 0 0 0 0")
	}
}

// What nobody goes on with is ended, and what was left of it is free, also of what a program ended that knows no spans.
func TestSweepEndsSpans(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim")
	w := h.spanned(h.Store, st)
	if n, err := h.Sweep(t.Context(), noon.Add(24*time.Hour)); n != 0 || err != nil {
		t.Errorf("swept %d walks that somebody holds, %v", n, err)
	}
	equal(t, "held", h.rows(leftSQL), "1 1 3 2 1")
	if err := w.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := h.Sweep(t.Context(), noon.Add(24*time.Hour)); n != 1 || err != nil {
		t.Errorf("swept %d walks, %v", n, err)
	}
	equal(t, "what is left", h.rows(leftSQL), "0 0 0 0 0")
	h.exec(`UPDATE simusage.slice SET walk_leader = $1 WHERE window_start = '2026-03-07'`, w.ID)
	if n, err := h.Sweep(t.Context(), noon); n != 0 || err != nil {
		t.Errorf("swept %d walks, %v", n, err)
	}
	equal(t, "links", h.rows(leftSQL), "0 0 0 0 0")
}

// The leader goes to another process, the others do not: nothing is published by the first, because the stage is not its own
// any more. What the other one did not get is read later.
func TestLeaderOfASpanTakenOver(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim")
	w := h.spanned(h.Store, st)
	h.exec(`UPDATE simusage.slice SET lease_expires_at = clock_timestamp() WHERE id = $1`, w.ID)
	taken := h.span(h.process("process 2", time.Minute), st, "2026-03-07", "2026-03-10")
	if taken.ID != w.ID || taken.days() != "03-09" || !taken.Spans() || !taken.Lists[0].Done {
		t.Fatalf("taken over: %s", taken.days())
	}
	for _, p := range w.Parts {
		if _, err := p.Publish(t.Context(), false, Caution{}); !errors.Is(err, ErrFenced) {
			t.Errorf("%s is published: %v", p.Name(), err)
		}
	}
	if err := w.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	equal(t, "published by the other", h.publishParts(taken.Parts, false), "03-09 rows 1 new 1 changed 0 gone 0")
	equal(t, "what is left", h.rows(leftSQL), "0 0 0 2 0")
	for _, day := range []string{"03-08", "03-07"} {
		rest := h.span(h.Store, st, "2026-03-07", "2026-03-09")
		if rest.days() != day {
			t.Fatalf("%s is leased, want %s", rest.days(), day)
		}
		h.stage(rest, []string{"00 a - 1 1"})
		h.publish(rest, false)
		h.exec(`UPDATE simusage.slice SET leased_by = 'nobody', lease_expires_at = 'infinity' WHERE id = $1`, rest.ID) // not again yet
	}
	equal(t, "what is left in the end", h.rows(leftSQL), "0 0 2 0 0")
}

// Beside a program that knows no spans: it takes a part and leaves the link there. What it has begun, or read since, is not
// taken back with the rest of the span, and the stage of the span is none that it would find.
func TestSpanBesideAnOlderProgram(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ state, want string }{
		"has died with it":  {`leased_by = 'older', lease_expires_at = clock_timestamp()`, "03-07 03-08 03-09"},
		"holds it":          {`leased_by = 'older', lease_expires_at = 'infinity'`, "03-07 03-09"},
		"has begun it":      {`leased_by = NULL, walk_started_at = now()`, "03-07 03-09"},
		"has read it since": {`leased_by = NULL, published_at = now(), checked_at = '2026-03-10 12:08Z'`, "03-07 03-09"},
		"read it before":    {`leased_by = NULL, published_at = now(), checked_at = '2026-03-10 12:06Z'`, "03-07 03-08 03-09"},
	} {
		h := newWarehouse(t)
		st := h.stream("hour/sim")
		w := h.spanned(h.Store, st)
		if w.stage() == fmt.Sprint("simusage.stage_", w.ID) {
			t.Errorf("an older program would find the stage %s", w.stage())
		}
		h.exec(`UPDATE simusage.slice SET fence = fence + 1, ` + c.state + ` WHERE window_start = '2026-03-08'`)
		h.dies("process 1")
		again := h.span(h.process("process 2", time.Minute), st, "2026-03-07", "2026-03-10")
		if again.ID != w.ID || again.days() != c.want {
			t.Errorf("an older program %s: goes on with %s, want %s", name, again.days(), c.want)
		}
		h.publishParts(again.Parts, false)
		equal(t, name, h.rows(`SELECT count(*) FROM pg_tables WHERE tablename LIKE 'stage%'`), "0")
	}
}

// A slice that is walked with others is left out of what is held against the total, like any that is walked.
func TestSlicesOfASpanAreNotDoubted(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	total, st := h.stream("hour/total"), h.stream("hour/sim")
	for _, day := range []string{"2026-03-01", "2026-03-02"} {
		h.load(total, day, true, "00 - - 5 5")
		h.load(st, day, true, "00 a - 1 1")
	}
	d := due(total, "2026-03-01", "2026-03-03")
	d.Streams = append(d.Streams, due(st, "2026-03-01", "2026-03-03").Streams...)
	w := h.span(h.Store, st, "2026-03-01", "2026-03-03")
	if n, err := h.Doubt(t.Context(), d); n != 0 || err != nil {
		t.Errorf("%d slices are doubted while they are walked, %v", n, err)
	}
	h.stage(w, []string{"24 a - 1 1", "00 a - 1 1"})
	h.publishParts(w.Parts, true)
	if n, err := h.Doubt(t.Context(), d); n != 4 || err != nil {
		t.Errorf("%d slices are doubted, %v", n, err)
	}
}

// The commit of a page does not wait for the disk, so a crash may take the last steps of the checkpoint with the stage. A
// walk that did not notice, because it got another connection, stages nothing on top of that; and what is staged of a list
// that the checkpoint does not know is no stage to go on with.
func TestPromise2CheckpointOlderThanTheWalk(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	w := h.walk(h.Store, h.stream("hour/sim@country"), "2026-03-10")
	if err := w.Stage(t.Context(), w.Lists[0], h.page(w, "", "00 - DE 1 1", "00 - FR 1 1")); err != nil {
		t.Fatal(err)
	}
	if err := w.Stage(t.Context(), w.Lists[1], h.page(w, "https://api/2", "00 a DE 1 1")); err != nil {
		t.Fatal(err)
	}
	staged := `SELECT count(*) FROM ` + w.stage()
	h.exec(`DELETE FROM simusage.list WHERE no > 0`)
	h.exec(`UPDATE simusage.list SET pages = 0, done = false`)
	if err := w.resume(t.Context()); !errors.Is(err, ErrStageLost) {
		t.Errorf("going on with rows of a list that is not there: %v", err)
	}
	h.exec(`TRUNCATE ` + w.stage())
	for _, l := range []*List{{No: 1, Value: "DE", Ask: w.Ask, Pages: 1}, {No: 0, Value: discovery, Ask: w.Ask, Pages: 1}} {
		if err := w.Stage(t.Context(), l, h.page(w, "", "01 a DE 1 1")); !errors.Is(err, ErrStageLost) {
			t.Errorf("staged a page of list %d: %v", l.No, err)
		}
	}
	equal(t, "staged", h.rows(staged), "0")
	if err := w.resume(t.Context()); err != nil || len(w.Lists) != 1 || w.Lists[0].Done {
		t.Errorf("going on with a checkpoint and a stage that agree: %d lists, %v", len(w.Lists), err)
	}
}
