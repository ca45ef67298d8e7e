package load

import (
	"context"
	"testing"
	"time"

	"simusage/extract"
)

// What is due, as a table: the state of a slice as its row has it, and whether sync and a backfill walk it. It is noon of
// 2026-03-10, slices settle after 72 hours, and unsettled ones are looked at every hour.
func TestDue(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	const read = `published_at = now(), covered_from = window_start, `
	cases := []struct {
		name, stream, slice, state string
		sync, again                bool
	}{
		{"never published", "hour/sim", "2026-03-05", ``, true, true},
		{"settled", "hour/sim", "2026-03-05", read + `covered_until = window_end, settled = true, checked_at = '2026-03-09'`, false, true},
		{"settled, read again a moment ago", "hour/sim", "2026-03-05", read + `covered_until = window_end, settled = true, checked_at = '2026-03-10 12:00'`, false, false},
		{"unsettled, looked at lately", "hour/sim", "2026-03-09", read + `covered_until = window_end, checked_at = '2026-03-10 11:08'`, false, true},
		{"unsettled, looked at long ago", "hour/sim", "2026-03-09", read + `covered_until = window_end, checked_at = '2026-03-10 11:06'`, true, true},
		{"old enough to settle, not read since", "hour/sim", "2026-03-05", read + `covered_until = window_end, checked_at = '2026-03-07'`, true, true},
		{"today, to the last hour", "hour/sim", "2026-03-10", read + `covered_until = '2026-03-10 12:00', checked_at = '2026-03-10 12:01'`, false, false},
		{"today, an hour behind", "hour/sim", "2026-03-10", read + `covered_until = '2026-03-10 11:00', checked_at = '2026-03-10 12:01'`, true, true},
		{"today, by a run with a later clock", "hour/sim", "2026-03-10", read + `covered_until = '2026-03-10 13:00', checked_at = '2026-03-10 13:01'`, false, false},
		{"a walk is open", "hour/sim", "2026-03-05", read + `covered_until = window_end, settled = true, checked_at = '2026-03-10 12:01', walk_started_at = '2026-03-10 12:01'`, true, true},
		{"tomorrow", "hour/sim", "2026-03-11", ``, false, false},
		{"the wall's own day", "hour/sim", "2024-09-17", ``, true, true},
		{"behind the wall", "hour/sim", "2024-09-16", ``, false, false},
		{"this month by day, to yesterday", "day/sim", "2026-03-01", read + `covered_until = '2026-03-10', checked_at = '2026-03-10 12:01'`, false, false},
		{"this month by day, a day behind", "day/sim", "2026-03-01", read + `covered_until = '2026-03-09', checked_at = '2026-03-10 12:01'`, true, true},
		{"the month by day that the wall cuts", "day/sim", "2024-09-01", ``, true, true},
		{"the month before, by day", "day/sim", "2024-08-01", ``, false, false},
		{"the month as a whole that the wall cuts", "all/sim", "2024-09-01", ``, false, false},
		{"the month after it", "all/sim", "2024-10-01", ``, true, true},
	}
	if wall := extract.Wall(noon); !wall.Equal(at("2024-09-17")) {
		t.Fatalf("the wall is at %v; the cases above are about another one", wall)
	}
	for _, c := range cases {
		st := h.stream(c.stream)
		h.exec(`DELETE FROM simusage.slice`)
		start := at(c.slice)
		end := start.AddDate(0, 0, 1)
		if st.Granularity != extract.Hour {
			end = start.AddDate(0, 1, 0)
		}
		h.exec(`INSERT INTO simusage.slice (stream_id, window_start, window_end) VALUES ($1, $2, $3)`, st.ID, start, end)
		if c.state != "" {
			h.exec(`UPDATE simusage.slice SET ` + c.state)
		}
		d := Due{
			Streams: []DueStream{{Stream: st, Window: extract.Window{Start: at("2024-08-01"), End: at("2026-04-01")},
				Finished: st.Finished(noon), Wall: extract.Wall(noon)}},
			RefreshBefore: noon.Add(-time.Hour), Recent: noon.Add(-72 * time.Hour),
		}
		is := func(again time.Time) bool {
			t.Helper()
			d.AgainBefore = again
			free, _, _, err := h.Left(t.Context(), d, nil)
			if err != nil {
				t.Fatal(err)
			}
			return free == 1
		}
		if got := is(time.Time{}); got != c.sync {
			t.Errorf("%s: due %t, want %t", c.name, got, c.sync)
		}
		if got := is(at("2026-03-10 12:00")); got != c.again {
			t.Errorf("%s: due again %t, want %t", c.name, got, c.again)
		}
		// Outside of what is wanted nothing is due.
		d.Streams[0].Window = extract.Window{Start: start.AddDate(0, 0, 1), End: at("2026-04-01")}
		if is(at("2026-03-10 12:00")) {
			t.Errorf("%s: due although it is not wanted", c.name)
		}
	}
}

func TestPlanMakesEachSliceOnce(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	d := due(h.stream("hour/sim"), "2026-03-01", "2026-03-20")
	d.Streams = append(d.Streams, due(h.stream("day/sim"), "2026-02-10", "2026-03-20").Streams...)
	for range 2 {
		if err := h.Plan(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "slices", h.rows(`SELECT name, count(*), min(window_start)::date, max(window_end)::date FROM simusage.slice JOIN simusage.stream ON stream.id = stream_id GROUP BY 1 ORDER BY 1`),
		"day/sim 2 2026-02-01 2026-04-01", "hour/sim 10 2026-03-01 2026-03-11")
}

// An estimate takes what slices had when they were read, and writes nothing.
func TestEstimate(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim")
	d := due(st, "2026-03-01", "2026-03-05")
	d.AgainBefore = time.Time{}
	estimate := func(d Due) Estimate {
		t.Helper()
		all, err := h.Estimate(t.Context(), d, 2)
		if err != nil || len(all) != 1 {
			t.Fatal(len(all), err)
		}
		all[0].Stream = Stream{}
		return all[0]
	}
	if got := estimate(d); got != (Estimate{Slices: 4, Lists: 2, Requests: 2}) { // one slice alone, then the others together
		t.Errorf("knowing nothing: %+v", got)
	}
	h.load(st, "2026-03-01", true, "00 a - 1 1", "01 a - 1 1", "02 a - 1 1")
	if got := estimate(d); got != (Estimate{Slices: 3, Lists: 1, Rows: 9, Requests: 5}) {
		t.Errorf("knowing one slice: %+v", got)
	}
	equal(t, "slices", h.rows(`SELECT count(*) FROM simusage.slice`), "1")
	d.AgainBefore = noon.Add(time.Hour)
	if got := estimate(d); got != (Estimate{Slices: 4, Lists: 1, Rows: 12, Requests: 6}) {
		t.Errorf("all again: %+v", got)
	}
	fan := due(h.stream("hour/sim@country"), "2026-03-01", "2026-03-05")
	if got := estimate(fan); got != (Estimate{Slices: 4, Lists: 4, Requests: 4}) {
		t.Errorf("a fan-out: %+v", got)
	}
	peeked, err := h.Peek(t.Context(), "", accountSID, []extract.Stream{st.Stream, {Granularity: extract.Day, Group: extract.Fleet}}, noon)
	if err != nil || peeked[0].ID != st.ID || peeked[1].ID != 0 {
		t.Errorf("peek: %+v, %v", peeked, err)
	}
}

// The books of twenty years are held against the total in a moment: each slice looks up its own, and is not compared with all.
func TestDoubtOfTwentyYears(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	d := due(h.stream("hour/total"), "2026-03-01", "2026-03-02")
	for _, name := range []string{"hour/sim", "hour/country"} {
		d.Streams = append(d.Streams, due(h.stream(name), "2026-03-01", "2026-03-02").Streams...)
	}
	for i := range d.Streams {
		d.Streams[i].Window.Start, d.Streams[i].Wall = at("2006-01-01"), at("2006-01-01")
	}
	h.exec(`INSERT INTO simusage.slice (stream_id, window_start, window_end, published_at, checked_at, covered_from, covered_until, settled)
		SELECT stream.id, day, day + interval '1 day', now(), now(), day, day + interval '1 day', true
		FROM generate_series('2006-01-01'::timestamptz, '2026-03-01', interval '1 day') day, simusage.stream`)
	h.exec(`INSERT INTO simusage.slice_sum SELECT slice.id, 0, 1, 1, 1, CASE WHEN name = 'hour/sim' AND window_start = '2010-05-05' THEN 3 ELSE 2 END, 0
		FROM simusage.slice JOIN simusage.stream ON stream.id = stream_id`)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if n, err := h.Doubt(ctx, d); err != nil || n != 2 {
		t.Errorf("%d slices are in doubt, want that of SIMs and its total; %v", n, err)
	}
}
