package load

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"simusage/extract"
)

// days are the parts of a walk, in the order in which they are published.
func (w *Walk) days() string {
	var days []string
	for _, p := range w.Parts {
		days = append(days, p.Window.Start.Format("01-02"))
	}
	return strings.Join(days, " ")
}

// span leases what comes first of the days from first until before last, and begins its walk, or goes on with it.
func (h *warehouse) span(s *Store, st Stream, first, last string) *Walk {
	h.tb.Helper()
	d := due(st, first, last)
	if err := s.Plan(h.tb.Context(), d); err != nil {
		h.tb.Fatal(err)
	}
	w, err := s.Lease(h.tb.Context(), d, nil)
	if err != nil || w == nil {
		h.tb.Fatalf("lease %s from %s: %v, %v", st, first, w, err)
	}
	if err := w.Begin(h.tb.Context(), st.Ask(w.Window, noon), noon); err != nil {
		h.tb.Fatal(err)
	}
	return w
}

// publishParts publishes parts of a walk, and says what that did, a line each.
func (h *warehouse) publishParts(parts []*Part, settled bool) []string {
	h.tb.Helper()
	var lines []string
	for _, p := range parts {
		done, err := p.Publish(h.tb.Context(), settled, Caution{Shrink: 0.5})
		if err != nil {
			h.tb.Fatal(err)
		}
		line := fmt.Sprint(p.Window.Start.Format("01-02"), " rows ", done.Rows, " new ", done.Inserted, " changed ", done.Updated, " gone ", done.Deleted)
		switch {
		case done.Gone:
			line = p.Window.Start.Format("01-02") + " is another's"
		case done.Held != nil:
			line += fmt.Sprintf(" held at %d rows of %d", done.Held.NowRows, done.Held.Rows)
		case done.Unchanged:
			line += " unchanged"
		}
		lines = append(lines, line)
	}
	return lines
}

const leftSQL = `SELECT (SELECT count(*) FROM simusage.list), (SELECT count(*) FROM pg_tables WHERE tablename LIKE 'stage%'), count(leased_by), count(walk_leader), count(walk_started_at) FROM simusage.slice`

// Which slices are walked together, as a table: what their rows have, and what a lease takes. The newest is 2026-03-09, and
// 2026-01-20 has been read, so that it is known what a slice has.
func TestSpanLease(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	set := func(day, state string) string {
		return fmt.Sprintf(`UPDATE simusage.slice SET %s WHERE window_start = '%s'`, state, day)
	}
	cases := []struct{ name, stream, first, state, want string }{
		{"all that are due", "hour/sim", "2026-03-06", ``, "03-06 03-07 03-08 03-09"},
		{"nothing is known yet", "hour/sim", "2026-03-06", set("2026-01-20", `published_at = NULL`), "03-09"},
		{"nothing is known of a whole slice", "hour/sim", "2026-03-06", set("2026-01-20", `covered_until = window_start + interval '1 hour'`), "03-09"},
		{"31 days", "hour/sim", "2026-02-01", ``, "02-07 02-08 02-09 02-10 02-11 02-12 02-13 02-14 02-15 02-16 02-17 02-18 02-19 02-20 02-21 02-22 02-23 02-24 02-25 02-26 02-27 02-28 " +
			"03-01 03-02 03-03 03-04 03-05 03-06 03-07 03-08 03-09"},
		{"as many rows as are good", "hour/sim", "2026-03-06", set("2026-01-20", `row_count = 4000`), "03-08 03-09"},
		{"a slice fills a span", "hour/sim", "2026-03-06", set("2026-01-20", `row_count = 240000`), "03-09"},
		{"what is nearest counts, and of a slice that was read its own rows", "hour/sim", "2026-03-05",
			set("2026-03-05", `row_count = 9996, published_at = now(), covered_until = window_end`) + `;` + set("2026-01-20", `row_count = 240000`), "03-09"},
		{"as many as fit to what was read", "hour/sim", "2026-03-06", set("2026-03-06", `row_count = 9997, published_at = now()`), "03-07 03-08 03-09"},
		{"one is not due", "hour/sim", "2026-03-05", set("2026-03-06", `settled = true, published_at = now(), covered_until = window_end, checked_at = '2026-03-10 14:00Z'`), "03-07 03-08 03-09"},
		{"another process has one", "hour/sim", "2026-03-05", set("2026-03-07", `leased_by = 'another', lease_expires_at = clock_timestamp() + interval '1 hour'`), "03-08 03-09"},
		{"another process had one", "hour/sim", "2026-03-07", set("2026-03-07", `leased_by = 'another', lease_expires_at = clock_timestamp()`), "03-07 03-08 03-09"},
		{"one has failed", "hour/sim", "2026-03-05", set("2026-03-07", `failures = 1`), "03-08 03-09"},
		{"one goes alone", "hour/sim", "2026-03-05", set("2026-03-07", `alone = true`), "03-08 03-09"},
		{"one has an open walk", "hour/sim", "2026-03-05", set("2026-03-07", `walk_started_at = now()`), "03-08 03-09"},
		{"one is left of a span", "hour/sim", "2026-03-05", set("2026-03-07", `walk_leader = 1`), "03-08 03-09"},
		{"one has records set aside", "hour/sim", "2026-03-05",
			`INSERT INTO simusage.rejected (slice_id, list_no, walk_started_at, reason, raw) SELECT id, 0, now(), '', '' FROM simusage.slice WHERE window_start = '2026-03-07'`, "03-08 03-09"},
		{"the first has failed", "hour/sim", "2026-03-05", set("2026-03-09", `failures = 1`), "03-09"},
		{"the first goes alone", "hour/sim", "2026-03-05", set("2026-03-09", `alone = true`), "03-09"},
		{"what is left of a span comes last", "hour/sim", "2026-03-07", set("2026-03-09", `walk_leader = 1`), "03-07 03-08"},
		{"to the future and the past", "hour/sim", "2026-03-05", set("2026-03-09", `leased_by = 'another', lease_expires_at = 'infinity'`), "03-05 03-06 03-07 03-08"},
		{"a month by day and SIM", "day/sim", "2025-12-01", ``, "03-01"},
		{"a month by day and country, by SIM", "day/country@sim", "2025-12-01", ``, "03-01"},
		{"two months by day", "day/country", "2025-12-01", ``, "02-01 03-01"},
		{"a month as a whole", "all/total", "2025-12-01", ``, "03-01"},
	}
	for _, c := range cases {
		st := h.stream(c.stream)
		h.exec(`TRUNCATE simusage.slice CASCADE`)
		last := "2026-03-10"
		d := due(st, c.first, last)
		if st.Granularity == extract.Hour {
			h.exec(`INSERT INTO simusage.slice (stream_id, window_start, window_end) VALUES ($1, '2026-01-20Z', '2026-01-21Z')`, st.ID)
		}
		if err := h.Plan(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		h.exec(`UPDATE simusage.slice SET published_at = now(), covered_from = window_start, covered_until = window_end, row_count = 1
			WHERE window_start IN ('2026-01-20', '2025-12-01')`)
		if c.state != "" {
			h.exec(c.state)
		}
		w, err := h.Lease(t.Context(), d, nil)
		if err != nil || w == nil {
			t.Fatal(c.name, err)
		}
		lead := w.lead().Window.Start.Format("01-02")
		want := strings.TrimSpace(strings.Replace(" "+c.want, " "+lead, "", 1) + " " + lead)
		if got := w.days(); got != want {
			t.Errorf("%s: leased %s, want %s", c.name, got, want)
		}
		if held := h.one(`SELECT count(*) FROM simusage.slice WHERE leased_by = 'process 1' AND fence = 1 AND lease_expires_at > now()`); held != fmt.Sprint(len(w.Parts)) || len(h.held.all()) != len(w.Parts) {
			t.Errorf("%s: %s leases for %d slices, %d kept alive", c.name, held, len(w.Parts), len(h.held.all()))
		}
		w.letGo()
	}
}

// skip holds for the neighbours too: a run does not walk again what has failed in it.
func TestSpanLeaseSkips(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim")
	h.load(st, "2026-03-01", true, "00 a - 1 1")
	d := due(st, "2026-03-05", "2026-03-10")
	if err := h.Plan(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	var skipped int64
	fmt.Sscan(h.one(`SELECT id FROM simusage.slice WHERE window_start = '2026-03-07'`), &skipped)
	w, err := h.Lease(t.Context(), d, []int64{skipped})
	if err != nil || w.days() != "03-08 03-09" {
		t.Errorf("leased %v, %v", w, err)
	}
}

// Promise 1, of spans: whatever the neighbours, the choice has no gap, stays within its limits, and could not be longer.
func TestPromise1SpansHaveNoGap(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 0))
	for range 3000 {
		granularity := []extract.Granularity{extract.Hour, extract.Day, extract.All}[random.IntN(3)]
		st := extract.Stream{Granularity: granularity, Group: []extract.Dimension{extract.Total, extract.Sim}[random.IntN(2)]}
		var all []neighbour
		for _, w := range st.Slices(extract.Window{Start: at("2025-01-01"), End: at("2025-01-01").AddDate(0, random.IntN(6), 1+random.IntN(50))}) {
			if random.IntN(30) > 0 {
				all = append(all, neighbour{window: w, rows: int64(random.IntN(1 << (1 + random.IntN(16)))), alone: random.IntN(40) == 0})
			}
		}
		if len(all) == 0 {
			continue
		}
		lead := random.IntN(len(all))
		from, until := together(st, all, lead)
		if from > lead || until <= lead {
			t.Fatalf("%d..%d is without %d", from, until, lead)
		}
		fits := func(from, until int) bool {
			if from < 0 || until > len(all) {
				return false
			}
			rows := int64(0)
			for i := from; i < until; i++ {
				rows += all[i].rows
				if i > from && !all[i].window.Start.Equal(all[i-1].window.End) || all[i].alone {
					return false
				}
			}
			return rows <= spanRows && all[until-1].window.End.Sub(all[from].window.Start) <= st.Longest()
		}
		if until-from > 1 && !fits(from, until) {
			t.Fatalf("%s: %v does not go together", st, all[from:until])
		}
		if fits(from-1, until) || fits(from, until+1) {
			t.Fatalf("%s: %v could be longer", st, all[from:until])
		}
	}
}

// A span is asked for as one, and published slice by slice: facts, rollups, sums and digests are those of slices that were
// walked alone, and the other way round.
func TestSpanIsPublishedSliceBySlice(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim")
	h.load(st, "2026-03-01", true, "00 a - 1 1")
	w := h.span(h.Store, st, "2026-03-08", "2026-03-11")
	if w.days() != "03-08 03-09 03-10" || !w.Ask.Start.Equal(at("2026-03-08")) || !w.Ask.End.Equal(at("2026-03-10 12:00")) || w.Name() != "hour/sim 2026-03-08..2026-03-10" {
		t.Fatalf("%s covers %s and asks %s", w.Name(), w.days(), w.Ask)
	}
	// Newest first, as the API has them; a record of the 8th comes twice.
	h.stage(w, []string{"59 a - 5 5 1 USD", "47 a - 4 4 1 USD", "24 b - 3 3 2 USD"}, []string{"24 a - 3 3 1 USD", "01 a - 2 2"}, []string{"01 a - 2 2", "00 a - 1 1"})
	equal(t, "published", h.publishParts(w.Parts, false),
		"03-08 rows 3 new 2 changed 0 gone 0", "03-09 rows 3 new 3 changed 0 gone 0", "03-10 rows 1 new 1 changed 0 gone 0")
	equal(t, "facts", h.rows(factSQL), "01 00 a 1 1 2 - ", "08 00 a 1 1 2 - ", "08 01 a 2 2 4 - ",
		"09 00 a 3 3 6 1 USD", "09 00 b 3 3 6 2 USD", "09 23 a 4 4 8 1 USD", "10 11 a 5 5 10 1 USD")
	equal(t, "rollup", h.rows(rollupSQL), "01 a 1 1 2 - ", "08 a 3 3 6 - ", "09 a 7 7 14 2 USD", "09 b 3 3 6 2 USD", "10 a 5 5 10 1 USD")
	equal(t, "slices", h.rows(`SELECT to_char(window_start, 'DD'), row_count, list_count, digest IS NULL, covered_from = window_start, to_char(covered_until, 'DD HH24'), checked_at
		FROM simusage.slice WHERE window_start > '2026-03-02' ORDER BY 1`),
		"08 2 1 t t 09 00 2026-03-10 12:07:00+00", "09 3 1 f t 10 00 2026-03-10 12:07:00+00", "10 1 1 f t 10 12 2026-03-10 12:07:00+00")
	equal(t, "sums", h.rows(`SELECT to_char(window_start, 'DD'), u.row_count, u.data_total FROM simusage.slice_sum u JOIN simusage.slice ON slice.id = slice_id WHERE u.row_count > 1 ORDER BY 1`), "08 2 6", "09 3 20")
	equal(t, "what is left", h.rows(leftSQL), "0 0 0 0 0")
	// What was walked with others is the same when it is walked alone.
	if p := h.load(st, "2026-03-09", false, "00 b - 3 3 2 USD", "00 a - 3 3 1 USD", "23 a - 4 4 1 USD"); p != (Published{Rows: 3, Unchanged: true}) {
		t.Errorf("alone: %+v", p)
	}
}

// Promise 4 and 5, of spans: a span that says the same again writes no fact, one that says otherwise of a day writes that
// day, and keeps what was settled of it.
func TestPromise4OneDayOfASpanChanges(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim")
	days := map[string]string{"2026-03-01": "00 a - 1 1", "2026-03-02": "00 a - 2 2", "2026-03-03": "00 a - 3 3", "2026-03-04": "00 a - 4 4"}
	for day, record := range days {
		h.load(st, day, true, record)
	}
	where := func(but string) []string {
		return h.rows(`SELECT * FROM (SELECT (period_start AT TIME ZONE 'UTC')::date AS day, tableoid::regclass, ctid, xmin, xmax FROM simusage.usage_hourly
			UNION ALL SELECT period_start, tableoid, ctid, xmin, xmax FROM simusage.usage_daily) f WHERE day <> $1 ORDER BY 1, 2`, but)
	}
	before, others := where("2000-01-01"), where("2026-03-03")
	for round := range 2 {
		w := h.span(h.Store, st, "2026-03-01", "2026-03-05")
		h.stage(w, []string{"72 a - 4 4", "48 a - 3 3"}, []string{"24 a - 2 2", "00 a - 1 1"})
		equal(t, fmt.Sprint("again, ", round), h.publishParts(w.Parts, true), "03-02 rows 1 new 0 changed 0 gone 0 unchanged",
			"03-03 rows 1 new 0 changed 0 gone 0 unchanged", "03-04 rows 1 new 0 changed 0 gone 0 unchanged", "03-01 rows 1 new 0 changed 0 gone 0 unchanged")
	}
	equal(t, "rows on the disk", where("2000-01-01"), before...)

	w := h.span(h.Store, st, "2026-03-01", "2026-03-05")
	h.stage(w, []string{"72 a - 4 4", "49 b - 3 3", "48 a - 3 9", "24 a - 2 2", "00 a - 1 1"})
	equal(t, "a day that changed", h.publishParts(w.Parts, true), "03-02 rows 1 new 0 changed 0 gone 0 unchanged",
		"03-03 rows 2 new 1 changed 1 gone 0", "03-04 rows 1 new 0 changed 0 gone 0 unchanged", "03-01 rows 1 new 0 changed 0 gone 0 unchanged")
	equal(t, "facts", h.rows(factSQL), "01 00 a 1 1 2 - ", "02 00 a 2 2 4 - ", "03 00 a 3 9 12 - ", "03 01 b 3 3 6 - ", "04 00 a 4 4 8 - ")
	equal(t, "restatements", h.rows(`SELECT to_char(period_start, 'DD HH24'), old_data_total, new_data_total FROM simusage.restatement ORDER BY 1`), "03 00 6 12", "03 01 - 6")
	equal(t, "rows of the other days on the disk", where("2026-03-03"), others...)
}

// A day of a span that shrank is held back, and the others are published; also when that day is the leader's.
func TestPartOfASpanIsHeldBack(t *testing.T) {
	t.Parallel()
	for _, day := range []string{"02", "01"} {
		h := newWarehouse(t)
		st := h.stream("hour/sim")
		for _, d := range []string{"01", "02", "03"} {
			h.load(st, "2026-03-"+d, false, "00 a - 1 1", "01 a - 1 1", "02 a - 1 1")
		}
		w := h.span(h.Store, st, "2026-03-01", "2026-03-04")
		records := map[string][]string{"01": {"00 a - 1 1", "01 a - 1 1", "02 a - 1 1"}, "02": {"24 a - 1 1", "25 a - 1 1", "26 a - 1 1"}}
		records[day] = records[day][:1]
		h.stage(w, append(records["01"], append(records["02"], "48 a - 1 1", "49 a - 1 1", "50 a - 7 7")...))
		want := []string{"03-02 rows 3 new 0 changed 0 gone 0 unchanged", "03-03 rows 3 new 0 changed 1 gone 0", "03-01 rows 3 new 0 changed 0 gone 0 unchanged"}
		want[map[string]int{"02": 0, "01": 2}[day]] = "03-" + day + " rows 1 new 0 changed 0 gone 0 held at 1 rows of 3"
		equal(t, "published", h.publishParts(w.Parts, false), want...)
		equal(t, "held back", h.rows(`SELECT to_char(window_start, 'DD'), held_rows, row_count, held_digest IS NOT NULL FROM simusage.slice WHERE held_at IS NOT NULL`), day+" 1 3 t")
		equal(t, "what is left", h.rows(leftSQL), "0 0 0 0 0")
		equal(t, "facts", h.rows(`SELECT count(*), sum(data_total) FROM simusage.usage_hourly`), "9 30")
	}
}

// A record that cannot be understood does not tell its day. The span that meets it is given up, and its slices are walked
// one by one, until they are published.
func TestSpanWithARecordSetAsideIsGivenUp(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim")
	h.load(st, "2026-03-01", true, "00 a - 1 1")
	w := h.span(h.Store, st, "2026-03-07", "2026-03-10")
	if err := w.Stage(t.Context(), w.Lists[0], h.page(w, "https://api/2", "48 a - 1 1")); err != nil {
		t.Fatal(err)
	}
	page := h.page(w, "", "00 a - 1 1")
	page.Rejected = []extract.Rejected{{Reason: "no period", Raw: "{}"}}
	if err := w.Stage(t.Context(), w.Lists[0], page); !errors.Is(err, ErrAlone) {
		t.Fatalf("staged a page with a record to set aside: %v", err)
	}
	if err := w.Disband(t.Context()); err != nil {
		t.Fatal(err)
	}
	equal(t, "what is left", h.rows(leftSQL+` WHERE window_start > '2026-03-05'`), "0 0 0 0 0")
	equal(t, "set aside", h.rows(`SELECT FROM simusage.rejected`))
	if n := len(h.held.all()); n > 0 {
		t.Errorf("%d leases are kept alive", n)
	}
	for _, day := range []string{"03-09", "03-08", "03-07"} {
		w := h.span(h.Store, st, "2026-03-07", "2026-03-10")
		if w.days() != day {
			t.Fatalf("leased %s after the span was given up, want %s", w.days(), day)
		}
		page := h.page(w, "", "00 a - 1 1")
		if day == "03-08" {
			page.Rejected = []extract.Rejected{{Reason: "no period", Raw: "{}"}}
		}
		if err := w.Stage(t.Context(), w.Lists[0], page); err != nil {
			t.Fatal(err)
		}
		h.publish(w, false)
		h.exec(`UPDATE simusage.slice SET leased_by = 'nobody', lease_expires_at = 'infinity' WHERE id = $1`, w.ID) // not again yet
	}
	h.exec(`UPDATE simusage.slice SET leased_by = NULL, lease_expires_at = NULL`)
	equal(t, "set aside", h.rows(`SELECT to_char(window_start, 'DD'), raw FROM simusage.rejected JOIN simusage.slice ON slice.id = slice_id`), "08 {}")
	equal(t, "alone", h.rows(`SELECT FROM simusage.slice WHERE alone`))
	// What is set aside stays until its slice is read again, and that goes alone.
	h.exec(`UPDATE simusage.rejected SET walk_started_at = '2026-03-10'`)
	for _, want := range []string{"03-09", "03-08", "03-07"} {
		w := h.span(h.Store, st, "2026-03-07", "2026-03-10")
		if w.days() != want {
			t.Errorf("leased %s, want %s", w.days(), want)
		}
		h.stage(w, []string{"00 a - 1 1"})
		h.publish(w, false)
		h.exec(`UPDATE simusage.slice SET leased_by = 'nobody', lease_expires_at = 'infinity' WHERE id = $1`, w.ID)
	}
	equal(t, "set aside at the end", h.rows(`SELECT FROM simusage.rejected`))
	h.exec(`UPDATE simusage.slice SET leased_by = NULL, lease_expires_at = NULL`)
	if w := h.span(h.Store, st, "2026-03-07", "2026-03-10"); w.days() != "03-07 03-08 03-09" {
		t.Errorf("leased %s when all is well again", w.days())
	}
}

// A span that turns out to have far more rows than were expected is given up, before it gets older than a walk may.
func TestSpanThatGrowsIsGivenUp(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim@country")
	h.load(st, "2026-03-01", true, "00 a DE 1 1")
	w := h.span(h.Store, st, "2026-03-08", "2026-03-10")
	if err := w.Stage(t.Context(), w.Lists[0], h.page(w, "", "00 - DE 1 1", "00 - FR 1 1")); err != nil {
		t.Fatal(err)
	}
	w.Lists[1].Rows = mostSpanRows - 1
	if err := w.Stage(t.Context(), w.Lists[2], h.page(w, "https://api/2", "00 a FR 1 1")); err != nil {
		t.Errorf("the last row that fits: %v", err)
	}
	if err := w.Stage(t.Context(), w.Lists[2], h.page(w, "", "01 a FR 1 1")); !errors.Is(err, ErrAlone) {
		t.Errorf("one row more: %v", err)
	}
	alone := h.walk(h.Store, st, "2026-03-05")
	alone.Lists[0].Rows = mostSpanRows
	if err := alone.Stage(t.Context(), alone.Lists[0], h.page(alone, "", "00 - DE 1 1")); err != nil {
		t.Errorf("a slice as large as it likes: %v", err)
	}
}

// A fan-out finds the values of all days at once; each slice says how many lists it would take alone.
func TestSpanOfAFanOut(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim@country")
	h.load(st, "2026-03-01", true, "00 a DE 1 1")
	w := h.span(h.Store, st, "2026-03-07", "2026-03-10")
	if err := w.Stage(t.Context(), w.Lists[0], h.page(w, "", "00 - DE 1 1", "00 - FR 1 1", "00 - - 1 1")); err != nil {
		t.Fatal(err)
	}
	for i, records := range [][]string{{"00 a DE 1 1", "24 a DE 2 2", "48 a DE 3 3"}, {"24 b FR 4 4"}, {"24 - - 9 9", "24 - FR 4 4"}} {
		if err := w.Stage(t.Context(), w.Lists[i+1], h.page(w, "", records...)); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "published", h.publishParts(w.Parts, false),
		"03-07 rows 1 new 1 changed 0 gone 0", "03-08 rows 3 new 3 changed 0 gone 0", "03-09 rows 1 new 1 changed 0 gone 0")
	equal(t, "slices", h.rows(`SELECT to_char(window_start, 'DD'), row_count, list_count FROM simusage.slice WHERE window_start > '2026-03-02' ORDER BY 1`), "07 1 2", "08 3 4", "09 1 2")
	equal(t, "by month", h.rows(`SELECT count(*), sum(data_total) FROM simusage.usage_daily WHERE period_start > '2026-03-02'`), "5 38")
}

// Two months by day: the stage and its parts go by dates.
func TestSpanByDay(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("day/total")
	h.load(st, "2025-12-01", true, "00 - - 1 1")
	w := h.span(h.Store, st, "2026-01-01", "2026-03-01")
	if w.days() != "02-01 01-01" {
		t.Fatalf("leased %s", w.days())
	}
	h.stage(w, []string{"58 - - 3 3", "31 - - 2 2"}, []string{"30 - - 1 1", "00 - - 1 1"})
	equal(t, "published", h.publishParts(w.Parts, true), "02-01 rows 2 new 2 changed 0 gone 0", "01-01 rows 2 new 2 changed 0 gone 0")
	equal(t, "facts", h.rows(`SELECT period_start, data_total FROM simusage.usage_daily ORDER BY 1`), "2025-12-01 2", "2026-01-01 2", "2026-01-31 2", "2026-02-01 4", "2026-02-28 6")
	again := h.span(h.Store, st, "2026-01-01", "2026-03-01")
	h.stage(again, []string{"58 - - 3 3", "31 - - 2 2", "30 - - 1 1", "00 - - 1 1"})
	equal(t, "again", h.publishParts(again.Parts, true), "02-01 rows 2 new 0 changed 0 gone 0 unchanged", "01-01 rows 2 new 0 changed 0 gone 0 unchanged")
}
