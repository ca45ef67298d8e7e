package load

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"simusage/extract"
)

// trimmable is a warehouse with hours of a February that may go, and of a March that is younger: a total, SIMs of which each is
// in the total, and countries that lack something, which is shown as a remainder.
func trimmable(t *testing.T) *warehouse {
	t.Helper()
	h := newWarehouse(t)
	streams := h.feed("hour/total", "hour/sim", "hour/country")
	for _, day := range []string{"2026-02-01", "2026-02-28", "2026-03-01"} {
		h.load(streams[0], day, true, "00 - - 3 4 0.3 USD", "05 - - 10 20")
		h.load(streams[1], day, true, "00 a - 1 2 0.1 USD", "00 b - 2 2 0.2 USD", "05 a - 10 20")
		h.load(streams[2], day, true, "00 - DE 3 4 0.3 USD", "05 - DE 9 20")
	}
	d := Due{}
	for _, st := range streams {
		d.Streams = append(d.Streams, due(st, "2026-02-01", "2026-03-02").Streams...)
	}
	h.exec(`UPDATE simusage.slice SET doubts = $1`, maxDoubts)
	if n, err := h.Remainders(t.Context(), d); err != nil || n != 3 {
		t.Fatalf("%d remainders, %v", n, err)
	}
	if _, err := h.RollUp(t.Context(), d.Streams); err != nil {
		t.Fatal(err)
	}
	return h
}

// trim drops the hours that are older than March, or tells why not.
func (h *warehouse) trim(s *Store, now time.Time) (told []TrimmedMonth) {
	h.tb.Helper()
	err := s.Trim(h.tb.Context(), at("2026-03-01"), now, true, func(m TrimmedMonth) { told = append(told, m) })
	if err != nil {
		h.tb.Error(err)
	}
	return told
}

const (
	hoursLeft = `SELECT name, count(*), min(period_start)::date FROM simusage.usage_hourly JOIN simusage.stream ON stream.id = stream_id GROUP BY 1 ORDER BY 1`
	daysLeft  = `SELECT * FROM simusage.usage_daily ORDER BY period_start, series_id, billed_unit_id`
	allMonths = `SELECT * FROM usage.country_monthly UNION ALL SELECT account_sid, sim_sid, sim_name, month, data_upload, data_download, data_total, data_total_billed, billed_unit, settled FROM usage.sim_monthly ORDER BY 2, 4, 9`
	theProof  = `SELECT * FROM usage.reconciliation ORDER BY stream, window_start`
)

func TestTrim(t *testing.T) {
	t.Parallel()
	h := trimmable(t)
	days, months, proof := h.rows(daysLeft), h.rows(allMonths), h.rows(theProof)
	var told []TrimmedMonth
	tell := func(m TrimmedMonth) { told = append(told, m) }
	if err := h.Trim(t.Context(), at("2026-03-01"), noon, false, tell); err != nil {
		t.Fatal(err)
	}
	equal(t, "hours when it has only looked", h.rows(hoursLeft), "hour/country 6 2026-02-01", "hour/country (remainder) 3 2026-02-01", "hour/sim 9 2026-02-01", "hour/total 6 2026-02-01")
	if err := h.Trim(t.Context(), at("2026-03-01"), noon, true, tell); err != nil {
		t.Fatal(err)
	}
	for _, m := range told {
		if m.Kept != "" || m.Slices != 6 || m.Rows != 16 || m.Bytes == 0 || !m.Month.Equal(at("2026-02-01")) {
			t.Errorf("told: %+v", m)
		}
	}
	if len(told) != 2 {
		t.Errorf("told %d times, want February twice", len(told))
	}
	equal(t, "hours", h.rows(hoursLeft), "hour/country 2 2026-03-01", "hour/country (remainder) 1 2026-03-01", "hour/sim 3 2026-03-01", "hour/total 2 2026-03-01")
	equal(t, "days", h.rows(daysLeft), days...)
	equal(t, "months", h.rows(allMonths), months...)
	equal(t, "the proof", h.rows(theProof), proof...)
	equal(t, "freshness", h.rows(`SELECT stream, hours_from::date, newest_period FROM usage.freshness ORDER BY 1`), "hour/country 2026-03-01 2026-03-01 05:00:00+00",
		"hour/sim 2026-03-01 2026-03-01 05:00:00+00", "hour/total 2026-03-01 2026-03-01 05:00:00+00")
	if again := h.trim(h.Store, noon); len(again) > 0 {
		t.Errorf("a second time: %+v", again)
	}

	// Nothing of February is due, whatever is asked for, or doubted; its months are summed from its days.
	d := due(h.stream("hour/sim"), "2026-02-01", "2026-03-01")
	h.exec(`UPDATE simusage.slice SET checked_at = '2027-01-01', rolled_up_for = NULL, doubts = 0, remainder = 'another' WHERE trimmed_at IS NOT NULL`)
	h.exec(`UPDATE simusage.slice_sum SET data_total = data_total + 1 WHERE slice_id IN (SELECT min(id) FROM simusage.slice WHERE trimmed_at IS NOT NULL)`)
	d.Now = noon
	for _, st := range []string{"hour/country", "hour/total"} {
		d.Streams = append(d.Streams, due(h.stream(st), "2026-02-01", "2026-03-01").Streams...)
	}
	if err := h.Plan(t.Context(), Due{Streams: d.Streams, Now: d.Now}); err != nil {
		t.Fatal(err)
	}
	h.exec(`DELETE FROM simusage.slice WHERE published_at IS NULL`) // days that nobody had loaded
	if free, held, _, err := h.Left(t.Context(), d, nil); err != nil || free+held > 0 {
		t.Errorf("%d slices are due, %v", free+held, err)
	}
	if n, err := h.Doubt(t.Context(), d); err != nil || n > 0 {
		t.Errorf("%d slices are in doubt, %v", n, err)
	}
	if n, err := h.Remainders(t.Context(), d); err != nil || n > 0 {
		t.Errorf("%d remainders are made anew, %v", n, err)
	}
	if n, err := h.RollUp(t.Context(), d.Streams); err != nil || n != 3 {
		t.Errorf("%d months rolled up, %v", n, err)
	}
	equal(t, "months, rolled up again", h.rows(allMonths), months...)
	if w, err := h.Trimmed(t.Context(), []Stream{h.stream("hour/sim")}, extract.Window{Start: at("2026-02-10"), End: at("2026-04-01")}); err != nil || w != (extract.Window{Start: at("2026-02-28"), End: at("2026-03-01")}) {
		t.Errorf("trimmed %v, %v", w, err)
	}
}

// What keeps the hours of a month, one thing after the other; and what does not.
func TestTrimKeeps(t *testing.T) {
	t.Parallel()
	const first = ` WHERE id = (SELECT slice.id FROM simusage.slice JOIN simusage.stream ON stream.id = stream_id WHERE name = 'hour/sim' AND window_start = '2026-02-01')`
	const total = ` WHERE id = (SELECT slice.id FROM simusage.slice JOIN simusage.stream ON stream.id = stream_id WHERE name = 'hour/total' AND window_start = '2026-02-01')`
	late := at("2028-01-01") // when the API has forgotten all of it
	for _, c := range []struct {
		spoil, kept string
		now         time.Time
	}{
		{`UPDATE simusage.slice SET held_at = now()` + first, "hour/sim 2026-02-01 is held back", noon},
		{`UPDATE simusage.slice SET held_at = now()` + first, "hour/sim 2026-02-01 is held back", late},
		{`UPDATE simusage.slice SET doubted = true` + first, "hour/sim 2026-02-01 is in doubt", noon},
		{`UPDATE simusage.slice SET walk_started_at = now()` + first, "hour/sim 2026-02-01 is being loaded", noon},
		{`UPDATE simusage.slice SET walk_leader = 1` + first, "hour/sim 2026-02-01 is being loaded", noon},
		{`UPDATE simusage.slice SET leased_by = 'x', lease_expires_at = clock_timestamp() + interval '1 hour'` + first, "hour/sim 2026-02-01 is being loaded", late},
		{`UPDATE simusage.slice SET settled = false` + first, "hour/sim 2026-02-01 is not settled", noon},
		{`UPDATE simusage.slice SET settled = false WHERE window_start < '2026-03-01'`, "hour/total 2026-02-01 is not settled, and 5 more", noon},
		{`INSERT INTO simusage.slice (stream_id, window_start, window_end) SELECT stream_id, '2026-02-02', '2026-02-03' FROM simusage.slice` + first, "hour/sim 2026-02-02 was never loaded", noon},
		{`INSERT INTO simusage.rejected (slice_id, list_no, walk_started_at, reason, raw) SELECT id, 0, now(), 'x', 'x' FROM simusage.slice` + first, "hour/sim 2026-02-01 has records that were set aside", noon},
		{`UPDATE simusage.slice_sum SET data_total = data_total + 1 WHERE slice_id = (SELECT id FROM simusage.slice` + first + `) AND billed_unit_id = 0`, "hour/sim 2026-02-01 does not agree with the total", noon},
		{`UPDATE simusage.slice_sum SET data_upload = data_upload + 1 WHERE slice_id = (SELECT id FROM simusage.slice` + first + `) AND billed_unit_id = 0`, "hour/sim 2026-02-01 does not agree with the total", late},
		{`UPDATE simusage.slice SET covered_from = covered_from + interval '1 hour'` + total, "hour/sim 2026-02-01 was not held against the total, and 1 more", noon},
		{`UPDATE simusage.usage_daily SET data_total = data_total + 1 WHERE period_start = '2026-02-28' AND data_total = 30`, "series the hours do not sum up to the day", noon},
		{`UPDATE simusage.usage_daily SET data_total_billed = 0.10000001 WHERE period_start = '2026-02-28' AND data_total_billed = 0.1`, "hour/sim 2026-02-28: of 1 series", noon},
		{`DELETE FROM simusage.usage_daily WHERE period_start = '2026-02-28' AND data_total_billed = 0.1`, "hour/sim 2026-02-28: of 1 series", late},
		{`DELETE FROM simusage.usage_hourly WHERE period_start = '2026-02-28' AND data_total_billed = 0.1`, "hour/sim 2026-02-28: of 1 series", noon},
		{`DELETE FROM simusage.usage_daily WHERE period_start = '2026-02-28' AND stream_id IN (SELECT id FROM simusage.stream WHERE remainder_of IS NOT NULL)`, "hour/country (remainder) 2026-02-28: of 1 series", noon},
		{`INSERT INTO simusage.usage_hourly SELECT '2026-02-14', 1, 1, 2, now(), series_id, stream_id, 0, NULL FROM simusage.usage_hourly LIMIT 1`, "which has no such slice", noon},
	} {
		t.Run(c.kept, func(t *testing.T) {
			t.Parallel()
			h := trimmable(t)
			h.exec(c.spoil)
			if told := h.trim(h.Store, c.now); len(told) != 1 || !strings.Contains(told[0].Kept, c.kept) {
				t.Errorf("%s: %+v, want %q", c.spoil, told, c.kept)
			}
			if n := h.one(`SELECT count(*) FROM simusage.slice WHERE trimmed_at IS NOT NULL OR to_regclass('simusage.usage_hourly_2026_02') IS NULL`); n != "0" {
				t.Errorf("%s: the hours are gone", c.spoil)
			}
		})
	}
	for _, c := range []struct {
		spoil string
		now   time.Time
	}{
		{`UPDATE simusage.slice SET settled = false`, late}, // nobody can read it again
		{`INSERT INTO simusage.slice (stream_id, window_start, window_end) SELECT stream_id, '2026-02-02', '2026-02-03' FROM simusage.slice` + first, late},
		{`INSERT INTO simusage.slice (stream_id, window_start, window_end) SELECT stream_id, '2026-02-02', '2026-02-03' FROM simusage.slice` + first + `; UPDATE simusage.account SET ends_at = '2026-02-02'`, noon},
		{`UPDATE simusage.stream SET name = 'hour/total:fleet=x', filters = 'x' WHERE name = 'hour/total'`, noon}, // no total to agree with
		{`UPDATE simusage.slice SET failures = 3, failed_at = now(), last_error = 'x', leased_by = 'x', lease_expires_at = clock_timestamp() - interval '1 hour'`, noon},
	} {
		t.Run("not "+c.spoil, func(t *testing.T) {
			t.Parallel()
			h := trimmable(t)
			for statement := range strings.SplitSeq(c.spoil, "; ") {
				h.exec(statement)
			}
			if told := h.trim(h.Store, c.now); len(told) != 1 || told[0].Kept != "" {
				t.Errorf("%s: %+v", c.spoil, told)
			}
			if n := h.one(`SELECT count(*) FROM simusage.slice WHERE trimmed_at IS NOT NULL AND failures = 0`); n != "6" {
				t.Errorf("%s: %s slices are marked, want 6", c.spoil, n)
			}
		})
	}
}

// A report that reads hours keeps them, and is not disturbed; nor are those that come after it for long. When it has ended,
// they go.
func TestTrimWaitsForReaders(t *testing.T) {
	t.Parallel()
	h := trimmable(t)
	reader := MustConnect(t, h.url)
	pid := MustRows(t, reader, `SELECT pg_backend_pid()`)[0]
	MustRows(t, reader, `BEGIN; SELECT count(*) FROM usage.sim_hourly`)
	s, err := Open(t.Context(), h.url, Options{Owner: "impatient", Patience: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if told := h.trim(s, noon); len(told) != 1 || !strings.Contains(told[0].Kept, "in use all the time for 500ms, now by "+pid+" (") ||
		!strings.Contains(told[0].Kept, ", simusage); run it again when that has ended") {
		t.Errorf("beside a reader: %+v", told)
	}
	equal(t, "the report goes on", MustRows(t, reader, `SELECT count(*) FROM usage.sim_hourly`), "9")
	done := make(chan []TrimmedMonth)
	go func() { done <- h.trim(h.Store, noon) }()
	h.blocked(`%DROP TABLE IF EXISTS%`)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var n int
	if err := MustConnect(t, h.url).QueryRow(ctx, `SELECT count(*) FROM usage.sim_hourly`).Scan(&n); err != nil || n != 9 {
		t.Errorf("somebody else reads %d hours, %v", n, err)
	}
	MustRows(t, reader, `COMMIT`)
	if told := <-done; len(told) != 1 || told[0].Kept != "" {
		t.Errorf("after the reader: %+v", told)
	}
}

// What is loaded between proof and drop is seen by the drop, and nothing is lost.
func TestTrimSeesWhatCameAfterItsProof(t *testing.T) {
	t.Parallel()
	for what, do := range map[string]func(h *warehouse){
		"a publish": func(h *warehouse) {
			h.load(h.stream("hour/sim"), "2026-02-01", true, "00 a - 1 2 0.1 USD", "00 b - 2 2 0.2 USD", "05 a - 10 21")
		},
		"the same once more": func(h *warehouse) {
			h.load(h.stream("hour/total"), "2026-02-01", true, "00 - - 3 4 0.3 USD", "05 - - 10 20")
		},
		"a day that was not there": func(h *warehouse) { h.load(h.stream("hour/sim"), "2026-02-02", true, "00 a - 1 2") },
		"a walk":                   func(h *warehouse) { h.walk(h.Store, h.stream("hour/sim"), "2026-02-01") },
		"a doubt":                  func(h *warehouse) { h.exec(`UPDATE simusage.slice SET doubted = true WHERE id = 1`) },
		"another remainder":        func(h *warehouse) { h.exec(`UPDATE simusage.slice SET remainder = 'another' WHERE id = 1`) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			h := trimmable(t)
			books, err := h.readBooks(t.Context(), at("2026-02-01"), noon)
			if err != nil || books.kept() != "" {
				t.Fatal(books, err)
			}
			do(h)
			before := h.rows(hoursLeft)
			if err := h.dropOnce(t.Context(), at("2026-02-01"), books, time.Second); !errors.Is(err, errMoved) {
				t.Errorf("the drop: %v", err)
			}
			equal(t, "hours", h.rows(hoursLeft), before...)
			equal(t, "marks", h.rows(`SELECT FROM simusage.slice WHERE trimmed_at IS NOT NULL`))
		})
	}
}

func TestTrimAtOnce(t *testing.T) {
	t.Parallel()
	h := trimmable(t)
	var group errgroup.Group
	for _, owner := range []string{"one", "two", "three"} {
		s := h.process(owner, time.Minute)
		group.Go(func() error {
			return s.Trim(t.Context(), at("2026-03-01"), noon, true, func(m TrimmedMonth) {
				if m.Kept != "" && m.Kept != errMoved.Error() {
					t.Errorf("%s: %+v", owner, m)
				}
			})
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if n := h.one(`SELECT count(*) FROM simusage.slice WHERE trimmed_at IS NOT NULL AND to_regclass('simusage.usage_hourly_2026_02') IS NULL`); n != "6" {
		t.Errorf("%s slices are marked, want 6", n)
	}
}

// A stream that is loaded for the first time makes the month anew, in a process that remembers the old one, and keeps its hours
// until they are trimmed, too.
func TestTrimmedMonthIsMadeAnew(t *testing.T) {
	t.Parallel()
	h := trimmable(t)
	h.trim(h.Store, noon)
	st := h.stream("hour/network")
	w := h.walk(h.Store, st, "2026-02-01")
	h.stage(w, []string{"00 n - 3 4 0.3 USD", "05 n - 10 20"})
	h.publish(w, true)
	equal(t, "hours of February", h.rows(`SELECT name, count(*) FROM simusage.usage_hourly JOIN simusage.stream ON stream.id = stream_id WHERE period_start < '2026-03-01' GROUP BY 1`), "hour/network 2")
	d := due(st, "2026-02-01", "2026-02-02")
	d.Streams = append(d.Streams, due(h.stream("hour/total"), "2026-02-01", "2026-02-02").Streams...)
	if n, err := h.Doubt(t.Context(), d); err != nil || n > 0 {
		t.Errorf("%d slices are in doubt, %v", n, err)
	}
	if told := h.trim(h.Store, noon); len(told) != 1 || told[0].Kept != "" || told[0].Slices != 1 || told[0].Rows != 2 {
		t.Errorf("trimmed again: %+v", told)
	}
}
