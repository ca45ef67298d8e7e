package load

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"simusage/extract"
	"simusage/load/pgtest"
)

// The tables as lines: period, series by its SIM, bytes, money, unit.
const (
	factSQL = `SELECT to_char(period_start AT TIME ZONE 'UTC', 'DD HH24'), sim_sid, data_upload, data_download, data_total, data_total_billed, code
		FROM simusage.usage_hourly f JOIN simusage.series ON series.id = series_id JOIN simusage.billed_unit unit ON unit.id = f.billed_unit_id ORDER BY 1, 2`
	rollupSQL = `SELECT to_char(period_start, 'DD'), sim_sid, data_upload, data_download, data_total, data_total_billed, code
		FROM simusage.usage_daily f JOIN simusage.series ON series.id = series_id JOIN simusage.billed_unit unit ON unit.id = f.billed_unit_id ORDER BY 1, 2, 7`
	sliceSQL = `SELECT row_count, settled, digest IS NULL, covered_from = window_start, to_char(covered_until AT TIME ZONE 'UTC', 'DD HH24'), walk_started_at, leased_by,
		(SELECT count(*) FROM simusage.list), (SELECT count(*) FROM pg_tables WHERE tablename LIKE 'stage%') FROM simusage.slice`
)

func TestFirstPublish(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	p := h.load(h.stream("hour/sim"), "2026-03-10", false, "00 a - 1 2 0.05 USD", "11 a - 10 20 0.50 USD", "03 b - 100 200")
	if p != (Published{Rows: 3, Inserted: 3}) {
		t.Errorf("published %+v", p)
	}
	equal(t, "facts", h.rows(factSQL), "10 00 a 1 2 3 0.05 USD", "10 03 b 100 200 300 - ", "10 11 a 10 20 30 0.50 USD")
	equal(t, "rollup", h.rows(rollupSQL), "10 a 11 22 33 0.55 USD", "10 b 100 200 300 - ")
	equal(t, "slice", h.rows(sliceSQL), "3 f f t 10 12 - - 0 0")
	equal(t, "sums", h.rows(`SELECT code, row_count, data_upload, data_download, data_total, data_total_billed FROM simusage.slice_sum JOIN simusage.billed_unit u ON u.id = billed_unit_id ORDER BY 1`),
		" 1 100 200 300 0", "USD 2 11 22 33 0.55")
	equal(t, "the account's currency", h.rows(`SELECT code FROM simusage.account JOIN simusage.billed_unit u ON u.id = billed_unit_id`), "USD")
}

func TestPublishWritesWhatChanged(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim")
	h.load(st, "2026-03-09", false, "00 other - 1 1 1 USD")
	h.load(st, "2026-03-10", false, "00 same - 1 2 0.05 USD", "01 more - 1 1 1 USD", "02 gone - 7 7 7 USD", "02 half - 1 1 1 USD", "03 half - 2 2 2 USD")
	before := h.rows(`SELECT to_char(period_start AT TIME ZONE 'UTC', 'DD'), sim_sid, f.ctid, f.xmin FROM simusage.usage_hourly f JOIN simusage.series ON series.id = series_id WHERE sim_sid IN ('same', 'other') ORDER BY 1, 2`)
	p := h.load(st, "2026-03-10", false, "00 same - 1 2 0.05 USD", "01 more - 1 5 1.5 USD", "03 half - 2 2 2 USD", "11 new - 9 9 9 USD")
	if p != (Published{Rows: 4, Inserted: 1, Updated: 1, Deleted: 2}) {
		t.Errorf("published %+v", p)
	}
	equal(t, "facts", h.rows(factSQL), "09 00 other 1 1 2 1 USD", "10 00 same 1 2 3 0.05 USD", "10 01 more 1 5 6 1.5 USD", "10 03 half 2 2 4 2 USD", "10 11 new 9 9 18 9 USD")
	equal(t, "rollup", h.rows(rollupSQL), "09 other 1 1 2 1 USD", "10 half 2 2 4 2 USD", "10 more 1 5 6 1.5 USD", "10 new 9 9 18 9 USD", "10 same 1 2 3 0.05 USD")
	equal(t, "rows that stay where they are", h.rows(`SELECT to_char(period_start AT TIME ZONE 'UTC', 'DD'), sim_sid, f.ctid, f.xmin FROM simusage.usage_hourly f JOIN simusage.series ON series.id = series_id WHERE sim_sid IN ('same', 'other') ORDER BY 1, 2`), before...)
	equal(t, "restatements of an unsettled slice", h.rows(`SELECT FROM simusage.restatement`))
}

// Money arrives a day late: the unit of a row turns from none to USD, which moves its rollup row to another key.
func TestPublishLateMoney(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim")
	h.load(st, "2026-03-10", false, "00 a - 1 2", "01 a - 10 20", "00 b - 5 5")
	equal(t, "rollup before", h.rows(rollupSQL), "10 a 11 22 33 - ", "10 b 5 5 10 - ")
	if p := h.load(st, "2026-03-10", false, "00 a - 1 2 0.05 USD", "01 a - 10 20", "00 b - 5 5"); p.Updated != 1 {
		t.Errorf("published %+v", p)
	}
	equal(t, "rollup between", h.rows(rollupSQL), "10 a 10 20 30 - ", "10 a 1 2 3 0.05 USD", "10 b 5 5 10 - ")
	h.load(st, "2026-03-10", false, "00 a - 1 2 0.05 USD", "01 a - 10 20 0.5 USD", "00 b - 5 5 0.25 USD")
	equal(t, "rollup after", h.rows(rollupSQL), "10 a 11 22 33 0.55 USD", "10 b 5 5 10 0.25 USD")
}

// A record may come on two pages, because pages shift while they are walked. It counts once, as it was said last, and the
// digest, which counts it twice, is not trusted: the same records in another order are another slice.
func TestPublishDuplicates(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim")
	publish := func(pages ...[]string) Published {
		w := h.walk(h.Store, st, "2026-03-10")
		h.stage(w, pages...)
		return h.publish(w, false)
	}
	first, second := []string{"00 a - 1 1", "01 a - 5 5"}, []string{"02 a - 7 7", "00 a - 2 2"}
	if p := publish(first, second); p != (Published{Rows: 4, Inserted: 3, Duplicates: 1}) {
		t.Errorf("published %+v", p)
	}
	equal(t, "facts", h.rows(factSQL), "10 00 a 2 2 4 - ", "10 01 a 5 5 10 - ", "10 02 a 7 7 14 - ")
	equal(t, "slice", h.rows(sliceSQL), "3 f t t 10 12 - - 0 0")
	if p := publish(first, second); p != (Published{Rows: 4, Duplicates: 1}) {
		t.Errorf("published again: %+v", p)
	}
	if p := publish(second, first); p != (Published{Rows: 4, Updated: 1, Duplicates: 1}) {
		t.Errorf("published in the other order: %+v", p)
	}
	equal(t, "facts, in the other order", h.rows(factSQL), "10 00 a 1 1 2 - ", "10 01 a 5 5 10 - ", "10 02 a 7 7 14 - ")
	equal(t, "rollup", h.rows(rollupSQL), "10 a 13 13 26 - ")
}

// A slice of more rows than are sorted at a time may have the two apart. Then it is the database that finds them.
func TestPublishDuplicatesFarApart(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	for range maxPublishes {
		<-h.Store.runs
		h.Store.runs <- &run{most: 2}
	}
	st := h.stream("hour/sim")
	publish := func(pages ...[]string) Published {
		w := h.walk(h.Store, st, "2026-03-10")
		h.stage(w, pages...)
		return h.publish(w, false)
	}
	first, second, third := []string{"00 a - 1 1", "01 a - 5 5"}, []string{"02 a - 7 7", "00 b - 3 3"}, []string{"03 a - 9 9", "00 a - 2 2"}
	if p := publish(first, second, third); p != (Published{Rows: 6, Inserted: 5, Duplicates: 1}) {
		t.Errorf("published %+v", p)
	}
	equal(t, "facts", h.rows(factSQL), "10 00 a 2 2 4 - ", "10 00 b 3 3 6 - ", "10 01 a 5 5 10 - ", "10 02 a 7 7 14 - ", "10 03 a 9 9 18 - ")
	if p := publish(first, second, third); p != (Published{Rows: 6, Duplicates: 1}) {
		t.Errorf("published again: %+v", p)
	}
	if p := publish(third, second, first); p != (Published{Rows: 6, Updated: 1, Duplicates: 1}) {
		t.Errorf("published in the other order: %+v", p)
	}
	equal(t, "facts, in the other order", h.rows(factSQL), "10 00 a 1 1 2 - ", "10 00 b 3 3 6 - ", "10 01 a 5 5 10 - ", "10 02 a 7 7 14 - ", "10 03 a 9 9 18 - ")
	equal(t, "rollup", h.rows(rollupSQL), "10 a 22 22 44 - ", "10 b 3 3 6 - ")
}

func TestPublishEmptySlice(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim")
	if p := h.load(st, "2026-03-10", false); p != (Published{}) {
		t.Errorf("published %+v", p)
	}
	equal(t, "slice", h.rows(sliceSQL), "0 f f t 10 12 - - 0 0")
	if p := h.load(st, "2026-03-10", false); p != (Published{Unchanged: true}) {
		t.Errorf("published again: %+v", p)
	}
	if p := h.load(st, "2026-03-10", false, "00 a - 1 1"); p != (Published{Rows: 1, Inserted: 1}) {
		t.Errorf("published with its first row: %+v", p)
	}
	if p := h.load(st, "2026-03-10", false); p != (Published{Deleted: 1}) {
		t.Errorf("published when all has vanished: %+v", p)
	}
	equal(t, "facts", h.rows(factSQL))
	equal(t, "rollup", h.rows(rollupSQL))
	equal(t, "sums", h.rows(`SELECT FROM simusage.slice_sum`))
}

// Promise 4: a slice that says the same again writes nothing but its books. WAL is measured, on a server of its own: what
// a re-read writes does not grow with its rows.
func TestPromise4UnchangedWritesNothing(t *testing.T) {
	t.Parallel()
	h, _ := newServerWarehouse(t, pgtest.Options{Settings: map[string]string{"autovacuum": "off", "full_page_writes": "off", "checkpoint_timeout": "1h"}})
	st := h.stream("hour/sim")
	const many = 3000
	var few, lots []string
	for i := range many {
		lots = append(lots, fmt.Sprintf("%02d sim%d - 5 6 0.05 USD", i%12, i))
	}
	few = lots[:10]
	wal := func(day string, settled bool, records []string) (Published, int) {
		t.Helper()
		var before, after int
		lsn := `SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint`
		if err := h.conn.QueryRow(t.Context(), lsn).Scan(&before); err != nil {
			t.Fatal(err)
		}
		p := h.load(st, day, settled, records...)
		if err := h.conn.QueryRow(t.Context(), lsn).Scan(&after); err != nil {
			t.Fatal(err)
		}
		return p, after - before
	}
	_, first := wal("2026-03-10", false, lots)
	h.load(st, "2026-03-09", false, few...)
	where := `SELECT tableoid::regclass, ctid, xmin, xmax FROM simusage.usage_hourly UNION ALL SELECT tableoid::regclass, ctid, xmin, xmax FROM simusage.usage_daily ORDER BY 1, 2`
	sums := `SELECT ctid, xmin FROM simusage.slice_sum ORDER BY 1`
	rows, summed := h.rows(where), h.rows(sums)
	_, small := wal("2026-03-09", false, few)
	p, large := wal("2026-03-10", false, lots)
	if p != (Published{Rows: many, Unchanged: true}) {
		t.Errorf("published %+v", p)
	}
	equal(t, "fact rows", h.rows(where), rows...)
	equal(t, "sums", h.rows(sums), summed...)
	t.Logf("bytes of WAL: first %d, again %d, again with %d rows only %d", first, large, len(few), small)
	// A row that is merely locked would cost 229 bytes; what the server writes now and then on its own is far below that.
	if large-small > 10*many || first < 100*many {
		t.Errorf("reading %d rows again writes %d bytes of WAL, %d rows %d, the first time %d", many, large, len(few), small, first)
	}
	// Row by row, where the digest is not trusted, it is the same.
	h.exec(`UPDATE simusage.slice SET digest = NULL`)
	_, small = wal("2026-03-09", true, few)
	if p, compared := wal("2026-03-10", true, lots); p != (Published{Rows: many}) || compared-small > 10*many {
		t.Errorf("compared row by row: %+v, %d bytes of WAL, %d rows %d", p, compared, len(few), small)
	}
	if p := h.load(st, "2026-03-10", true, lots...); !p.Unchanged {
		t.Errorf("after comparing row by row: %+v", p)
	}
	equal(t, "fact rows", h.rows(where), rows...)
	equal(t, "restatements", h.rows(`SELECT FROM simusage.restatement`))
}

// Promise 5: what changes in a settled slice is kept, old and new.
func TestPromise5SettledChangeIsKept(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim")
	h.load(st, "2026-03-01", false, "00 a - 1 1 0.1 USD", "00 b - 1 1", "00 late - 1 1")
	h.load(st, "2026-03-01", true, "00 a - 1 1 0.1 USD", "00 b - 1 1", "00 late - 1 9")
	equal(t, "the change that settles it", h.rows(`SELECT FROM simusage.restatement`))
	h.load(st, "2026-03-01", true, "00 a - 1 1 0.2 EUR", "00 c - 3 3", "00 late - 1 9")
	equal(t, "restatements", h.rows(`SELECT stream, to_char(period_start, 'DD HH24'), sim_sid, old_data_upload, old_data_download, old_data_total, old_data_total_billed, old_billed_unit,
		new_data_upload, new_data_download, new_data_total, new_data_total_billed, new_billed_unit FROM usage.restatements ORDER BY 3`),
		"hour/sim 01 00 a 1 1 2 0.1 USD 1 1 2 0.2 EUR",
		"hour/sim 01 00 b 1 1 2 - - - - - - -",
		"hour/sim 01 00 c - - - - - 3 3 6 - -")
	equal(t, "facts", h.rows(factSQL), "01 00 a 1 1 2 0.2 EUR", "01 00 c 3 3 6 - ", "01 00 late 1 9 10 - ")
}

// Promise 5: what the wall has passed is not asked for any more and stays as it is; the day's rollup keeps it.
func TestPromise5RowsBehindTheWallStay(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim")
	h.load(st, "2026-03-01", true, "00 a - 1 1", "05 a - 2 2", "06 b - 4 4")
	cut := func(records ...string) Published {
		w := h.lease(h.Store, st, "2026-03-01")
		ask := w.Window
		ask.Start = at("2026-03-01 05:00")
		if err := w.Begin(t.Context(), ask, noon); err != nil {
			t.Fatal(err)
		}
		h.stage(w, records)
		return h.publish(w, true)
	}
	if p := cut("05 a - 2 3"); p != (Published{Rows: 1, Updated: 1, Deleted: 1}) {
		t.Errorf("published %+v", p)
	}
	equal(t, "facts", h.rows(factSQL), "01 00 a 1 1 2 - ", "01 05 a 2 3 5 - ")
	equal(t, "rollup", h.rows(rollupSQL), "01 a 3 4 7 - ")
	equal(t, "slice, whose digest is not that of its rows", h.rows(sliceSQL), "2 t t t 02 00 - - 0 0")
	if p := cut("05 a - 2 3", "05 a - 2 3"); p != (Published{Rows: 2, Duplicates: 1}) {
		t.Errorf("published with a duplicate: %+v", p)
	}
	equal(t, "restatements", h.rows(`SELECT to_char(period_start AT TIME ZONE 'UTC', 'HH24') FROM simusage.restatement ORDER BY 1`), "05", "06")
}

func TestPublishByDayAndByMonth(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	day, month := h.stream("day/sim"), h.stream("all/sim")
	for _, st := range []Stream{day, month} {
		facts := map[Stream]string{day: "daily", month: "monthly"}[st]
		sql := `SELECT period_start, sim_sid, data_total, data_total_billed, code FROM simusage.usage_` + facts + ` f
			JOIN simusage.series s ON s.id = series_id AND s.stream_id = f.stream_id JOIN simusage.billed_unit u ON u.id = billed_unit_id ORDER BY 1, 2`
		if p := h.load(st, "2026-02-01", false, "00 a - 1 2 0.05 USD", "00 b - 5 5", "00 c - 1 0"); p != (Published{Rows: 3, Inserted: 3}) {
			t.Errorf("%s: published %+v", st, p)
		}
		if p := h.load(st, "2026-02-01", true, "00 a - 1 2 0.05 USD", "00 b - 5 5 0.5 USD", "00 d - 1 1"); p != (Published{Rows: 3, Inserted: 1, Updated: 1, Deleted: 1}) {
			t.Errorf("%s: published again: %+v", st, p)
		}
		equal(t, st.String(), h.rows(sql), "2026-02-01 a 3 0.05 USD", "2026-02-01 b 10 0.5 USD", "2026-02-01 d 2 - ")
	}
	// The last day of a month and the first of the next lie in two slices and two partitions.
	h.load(day, "2026-01-31", false, "30 a - 1 1")
	equal(t, "the edge of a month", append(h.rows(`SELECT period_start FROM simusage.usage_daily_2026_01`), h.rows(`SELECT min(period_start) FROM simusage.usage_daily_2026_02`)...),
		"2026-01-31", "2026-02-01")
}

// Two currencies on one day: two rows, and the bytes are neither doubled nor lost. Usage that is not billed yet goes with
// the account's own currency.
func TestPublishTwoCurrencies(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.feed("hour/sim")[0]
	h.load(st, "2026-03-10", false, "00 a - 1 1 0.1 USD", "01 a - 2 2 0.2 EUR", "02 a - 4 4", "03 b - 8 8 0.4 EUR")
	equal(t, "days", h.rows(`SELECT sim_sid, data_total, data_total_billed, billed_unit FROM usage.sim_daily ORDER BY 1, 4`),
		"a 4 0.2 EUR", "a 10 0.1 USD", "b 16 0.4 EUR")
	equal(t, "bytes", h.rows(`SELECT (SELECT sum(data_total) FROM usage.sim_hourly), (SELECT sum(data_total) FROM usage.sim_daily), (SELECT sum(data_total) FROM usage.sim_monthly)`), "30 30 30")
}

// Promise 6: bytes are exact where a float is not, in facts, rollups, sums and views.
func TestPromise6BytesBeyondTheFloat(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.feed("hour/sim")[0]
	const odd = 1<<53 + 1 // the first integer that a float64 does not have
	h.load(st, "2026-03-10", false, fmt.Sprintf("00 a - %d 1 0.1000000000000000000000000000000000001 USD", odd), fmt.Sprintf("01 a - %d 0 0.2 USD", odd))
	want := fmt.Sprintf("%d 1 %d 0.3000000000000000000000000000000000001", 2*odd, 2*odd+1)
	for _, view := range []string{"sim_hourly", "sim_daily", "sim_monthly", "reconciliation"} {
		equal(t, view, h.rows(`SELECT sum(data_upload), sum(data_download), sum(data_total), sum(data_total_billed) FROM usage.`+view), want)
	}
	// What does not fit is refused as a whole and said, never wrapped around.
	w := h.walk(h.Store, st, "2026-03-09")
	h.stage(w, []string{fmt.Sprintf("00 a - %d 0", int64(1<<62)), fmt.Sprintf("01 a - %d 0", int64(1<<62))})
	if _, err := w.Parts[0].Publish(t.Context(), false, Caution{Shrink: 0.5}); err == nil || !strings.Contains(err.Error(), "bigint out of range") || Lost(err) || Broken(err) {
		t.Errorf("2^63 bytes in a day: %v", err)
	}
	if err := w.Fail(t.Context(), errors.New("too much \x00 and not UTF-8: \xff")); err != nil {
		t.Error(err)
	}
	equal(t, "failure", h.rows(`SELECT failures, last_error FROM simusage.slice WHERE failures > 0`), "1 too much  and not UTF-8: �")
}

// Many slices of one account are published at once, alone and in spans, by several processes: the first of its currency, the first of its
// month. They wait for each other at most for a moment, and never in a circle.
func TestPublishSideBySide(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	streams := h.feed("hour/total", "hour/sim", "day/fleet")
	d := Due{}
	for _, st := range streams {
		one := due(st, "2026-02-20", "2026-03-10")
		d.Streams = append(d.Streams, one.Streams...)
	}
	if err := h.Plan(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		now := noon.Add(time.Duration(round) * time.Minute)
		d.AgainBefore = now // all in the first round, and all again in the second
		var group errgroup.Group
		for n := range 3 {
			s := h.process(fmt.Sprint("process ", round, n), time.Minute)
			for range 2 {
				group.Go(func() error {
					for {
						w, err := s.Lease(t.Context(), d, nil)
						if err != nil || w == nil {
							return err
						}
						if err := w.Begin(t.Context(), w.Stream.Ask(w.Window, noon), now); err != nil {
							return err
						}
						var records []string
						for _, p := range w.Parts {
							first := int(p.Window.Start.Sub(w.Window.Start).Hours())
							if w.Stream.Granularity == extract.Day {
								first /= 24
							}
							records = append(records, fmt.Sprintf("%d a - %d 1 0.5 USD", first, round), fmt.Sprintf("%d b - %d 1 0.5 EUR", first+1, round))
						}
						if err := w.Stage(t.Context(), w.Lists[0], h.page(w, "", records...)); err != nil {
							return err
						}
						for _, p := range w.Parts {
							if _, err := p.Publish(t.Context(), true, Caution{Shrink: 0.5}); err != nil {
								return err
							}
						}
					}
				})
			}
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprint("round ", round), h.rows(`SELECT name, count(DISTINCT s.id), sum(u.row_count), sum(u.data_upload) FROM simusage.slice s JOIN simusage.stream ON stream.id = stream_id
			JOIN simusage.slice_sum u ON u.slice_id = s.id GROUP BY 1 ORDER BY 1`),
			fmt.Sprint("day/fleet 2 4 ", 4*round), fmt.Sprint("hour/sim 18 36 ", 36*round), fmt.Sprint("hour/total 18 36 ", 36*round))
	}
	equal(t, "restatements", h.rows(`SELECT count(*) FROM simusage.restatement`), "76")
}
