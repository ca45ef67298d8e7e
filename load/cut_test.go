package load

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"simusage/extract"
	"simusage/migrations"
)

// cutting is the warehouse of a process that cuts slices into pieces of few rows.
func cutting(t *testing.T, listRows int64) *warehouse {
	t.Helper()
	h := newWarehouse(t)
	h.listRows = listRows
	return h
}

// bucket is the number of the bucket that begins at a time, counted from the first one of the slice.
func (w *Walk) bucket(at time.Time) int {
	if w.Stream.Granularity == extract.Hour {
		return int(at.Sub(w.Window.Start).Hours())
	}
	return int(at.Sub(w.Window.Start).Hours()) / 24
}

// asks are what the lists of a walk ask for: their value, and from which bucket until which.
func (w *Walk) asks() string {
	var texts []string
	for i, l := range w.Lists {
		if l.No != int32(i) {
			return fmt.Sprintf("list %d is number %d", i, l.No)
		}
		texts = append(texts, fmt.Sprintf("%s%d-%d", l.Value, w.bucket(l.Ask.Start), w.bucket(l.Ask.End)))
	}
	return strings.Join(texts, " ")
}

// How many lists a value has, by how many rows the slice is expected to have.
func TestPieces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		stream      string
		rows, lists int64
		want        int
	}{
		{"hour/total", 24, 1, 1}, {"hour/sim", 39_999, 1, 1}, {"hour/sim", 40_000, 1, 2}, {"hour/sim", 24_000_000, 1, 1200},
		{"hour/sim@country", 240_000, 6, 2}, {"hour/sim@country", 199_999, 6, 1}, {"hour/sim@country", 24_000_000, 11, 120},
		{"hour/sim@fleet", 24_000_000, 1001, 1}, {"hour/sim@country", 0, 1, 1}, {"hour/sim@country", 100_000, 1, 5}, {"hour/sim", 0, 0, 1},
	} {
		x, err := extract.ParseStream(c.stream)
		if err != nil {
			t.Fatal(err)
		}
		if got := pieces(x, c.rows, c.lists, listRows); got != c.want {
			t.Errorf("%s with %d rows in %d lists is cut in %d, want %d", c.stream, c.rows, c.lists, got, c.want)
		}
	}
}

// A slice is cut by what it had when it was read before, for each hour that it covered then: today's grows. The first time
// it is whole, and it is whole as long as it has few rows.
func TestSlicesAreCutByWhatTheyHad(t *testing.T) {
	t.Parallel()
	h := cutting(t, 2)
	st := h.stream("hour/sim")
	for _, c := range []struct{ until, asks string }{
		{"04", "0-4"}, {"06", "0-2 2-4 4-6"}, {"12", "0-2 2-4 4-6 6-8 8-10 10-12"},
	} {
		w := h.lease(h.Store, st, "2026-03-10")
		if err := w.Begin(t.Context(), extract.Window{Start: w.Window.Start, End: at("2026-03-10 " + c.until + ":00")}, noon); err != nil {
			t.Fatal(err)
		}
		if got := w.asks(); got != c.asks || w.IsCut() != strings.Contains(got, " ") {
			t.Errorf("until %s the lists are %s, want %s", c.until, got, c.asks)
		}
		rows := 0
		for _, l := range w.Lists {
			var records []string
			for hour := l.Ask.Start; hour.Before(l.Ask.End); hour = hour.Add(time.Hour) {
				records = append(records, fmt.Sprintf("%d a - 1 1", hour.Hour()))
			}
			rows += len(records)
			if err := w.Stage(t.Context(), l, h.page(w, "", records...)); err != nil {
				t.Fatal(err)
			}
		}
		if p := h.publish(w, false); p.Rows != int64(rows) || p.Deleted+p.Updated+p.Duplicates > 0 {
			t.Errorf("published %+v of %d rows", p, rows)
		}
	}
	equal(t, "slice", h.rows(`SELECT row_count, list_count, digest IS NULL FROM simusage.slice`), "12 1 f")

	// Cut or whole, in whatever order: what is the same is not written again.
	h.Store = h.process("process 2", time.Minute)
	w := h.walk(h.Store, st, "2026-03-10")
	var records []string
	for hour := range 12 {
		records = append(records, fmt.Sprintf("%d a - 1 1", hour))
	}
	h.stage(w, records)
	if p := h.publish(w, false); !p.Unchanged {
		t.Errorf("the same slice in one list: %+v", p)
	}
}

// Each value of a fan-out is cut alike, the list that finds them is not; a value is one list to whoever counts lists.
func TestFanOutIsCut(t *testing.T) {
	t.Parallel()
	h := cutting(t, 3)
	st := h.stream("hour/sim@country")
	h.load(st, "2026-03-09", false, "00 a DE 1 1", "08 a DE 1 1", "16 a DE 1 1", "20 b DE 1 1", "00 b FR 1 1", "08 b FR 1 1", "09 b FR 1 1", "10 b FR 1 1", "11 b FR 1 1", "23 - - 1 1", "22 - - 1 1", "21 - - 1 1")
	h.load(st, "2026-03-09", false, "00 a DE 1 1", "08 a DE 1 1", "16 a DE 1 1", "20 b DE 1 1", "00 b FR 1 1", "08 b FR 1 1", "09 b FR 1 1", "10 b FR 1 1", "11 b FR 1 1", "23 b FR 1 1", "22 b FR 1 1", "21 b FR 1 1")
	equal(t, "lists", h.rows(`SELECT row_count, list_count FROM simusage.slice`), "12 3")
	w := h.walk(h.Store, st, "2026-03-09")
	h.stage(w, []string{"00 - DE 1 1"}, []string{"00 - FR 1 1", "00 - DE 1 1", "00 - - 1 1"})
	if got, want := w.asks(), "*0-24 DE0-12 DE12-24 FR0-12 FR12-24 0-12 12-24"; got != want {
		t.Fatalf("the lists are %s, want %s", got, want)
	}
	if got, want := w.list(w.Lists[2]), "hour/sim@country 2026-03-09 DE 2026-03-09T12:00Z..2026-03-10T00:00Z"; got != want {
		t.Errorf("a list is called %q, want %q", got, want)
	}
	for i, records := range [][]string{{"00 a DE 1 1", "08 a DE 1 1"}, {"16 a DE 5 5"}, {"00 b FR 1 1"}, {}, {}, {"23 - - 9 9", "23 - DE 1 1"}} {
		if err := w.Stage(t.Context(), w.Lists[i+1], h.page(w, "", records...)); err != nil {
			t.Fatal(err)
		}
	}
	// One begins again, alone.
	if err := w.Restart(t.Context(), w.Lists[2]); err != nil {
		t.Fatal(err)
	}
	if got := w.asks(); got != "*0-24 DE0-12 DE12-24 FR0-12 FR12-24 0-12 12-24" || w.Lists[2].Done || !w.Lists[1].Done {
		t.Errorf("after one began again, the lists are %s", got)
	}
	if err := w.Stage(t.Context(), w.Lists[2], h.page(w, "", "16 a DE 7 7")); err != nil {
		t.Fatal(err)
	}
	h.publish(w, false)
	equal(t, "lists", h.rows(`SELECT row_count, list_count FROM simusage.slice`), "5 4")
	equal(t, "bytes", h.rows(`SELECT sum(data_total) FROM simusage.usage_hourly`), "38")
}

// Whoever goes on with a walk finds how it is cut, whatever would be expected by then.
func TestCutWalkIsGoneOnWith(t *testing.T) {
	t.Parallel()
	h := cutting(t, 1)
	for _, text := range []string{"hour/sim", "day/sim", "hour/sim@country"} {
		for _, rows := range []string{"0", "1000000"} {
			st, day := h.stream(text), "2026-03-09"
			if text == "day/sim" {
				day = "2026-03-01"
			}
			h.load(st, day, false, "00 a DE 1 1", "01 a DE 1 1", "02 a DE 1 1", "03 a DE 1 1")
			w := h.walk(h.Store, st, day)
			if st.FanOut != "" {
				h.stage(w, []string{"00 - DE 1 1"})
			}
			before, pieces := w.asks(), len(w.Lists)
			if !w.IsCut() || pieces < 4 {
				t.Fatalf("%s is not cut: %s", st, before)
			}
			if err := w.Stage(t.Context(), w.Lists[pieces-1], h.page(w, "")); err != nil {
				t.Fatal(err)
			}
			if err := w.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			h.exec(`UPDATE simusage.slice SET row_count = $1`, rows)
			other := h.walk(h.process("process 2", time.Minute), st, day) // cuts nothing so small
			if got := other.asks(); got != before || !other.Lists[pieces-1].Done || other.Lists[pieces-2].Done {
				t.Errorf("%s: another process goes on with %s, want %s", st, got, before)
			}
			for _, l := range other.Lists {
				if !l.Done {
					if err := other.Stage(t.Context(), l, h.page(other, "", fmt.Sprintf("%02d a DE 1 1", other.bucket(l.Ask.Start)))); err != nil {
						t.Fatal(err)
					}
				}
			}
			h.publish(other, false)
		}
	}
	equal(t, "left", h.rows(leftSQL), "0 0 0 0 0")
}

// Spans are not cut, whatever their slices had; nor is a slice of which a piece could not be had, until it is published.
func TestWhatIsNotCut(t *testing.T) {
	t.Parallel()
	h := cutting(t, 1)
	st := h.stream("hour/sim")
	for _, day := range []string{"2026-03-07", "2026-03-08"} {
		h.load(st, day, false, "00 a - 1 1", "01 a - 1 1")
	}
	h.exec(`UPDATE simusage.slice SET checked_at = '2026-03-10'`)
	w := h.span(h.Store, st, "2026-03-07", "2026-03-09")
	if got := w.asks(); !w.Spans() || got != "0-48" {
		t.Errorf("the lists of a span are %s", got)
	}
	if err := w.Disband(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.exec(`UPDATE simusage.slice SET alone = false`)

	w = h.walk(h.Store, st, "2026-03-08")
	if got := w.asks(); !w.IsCut() || got != "0-12 12-24" {
		t.Errorf("the lists are %s", got)
	}
	if err := w.Disband(t.Context()); err != nil {
		t.Fatal(err)
	}
	w = h.walk(h.Store, st, "2026-03-08")
	if got := w.asks(); w.IsCut() || got != "0-24" {
		t.Errorf("after it was given up, the lists are %s", got)
	}
	h.stage(w, []string{"00 a - 1 1", "01 a - 1 1"})
	h.publish(w, false)
	w = h.walk(h.Store, st, "2026-03-08")
	if got := w.asks(); got != "0-12 12-24" {
		t.Errorf("after it was published, the lists are %s", got)
	}
	if err := w.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A slice whose reading is doubted covers nothing.
	h.exec(`UPDATE simusage.slice SET covered_until = covered_from, walk_started_at = NULL`)
	if got := h.walk(h.Store, st, "2026-03-08").asks(); got != "0-24" {
		t.Errorf("of a slice that covers nothing the lists are %s", got)
	}
}

// Two lists of a walk may not ask for the same.
func TestAPieceComesOnce(t *testing.T) {
	t.Parallel()
	h := cutting(t, 1)
	st := h.stream("hour/sim")
	h.load(st, "2026-03-08", false, "00 a - 1 1", "01 a - 1 1")
	w := h.walk(h.Store, st, "2026-03-08")
	_, err := h.conn.Exec(t.Context(), `INSERT INTO simusage.list (slice_id, no, value, ask_from, ask_until) SELECT slice_id, 9, value, ask_from, ask_until FROM simusage.list WHERE no = 1`)
	if err == nil || !strings.Contains(err.Error(), "list_slice_id_value_ask_from_key") {
		t.Errorf("a piece that is there already: %v", err)
	}
	if err := w.Stage(t.Context(), w.Lists[0], h.page(w, "")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Parts[0].Publish(t.Context(), false, Caution{}); err == nil || errors.Is(err, ErrStageLost) || !strings.Contains(err.Error(), "is not walked to its end") {
		t.Errorf("published with a piece missing: %v", err)
	}
}

// A fleet that is only thought of is cut like a real one: not in its first load, and by the hour that today has reached.
func TestSizeOfACutFleet(t *testing.T) {
	t.Parallel()
	x, err := extract.ParseStream("hour/sim@country")
	if err != nil {
		t.Fatal(err)
	}
	window := extract.Window{Start: at("2026-03-01"), End: at("2026-03-10 12:00")}
	size := Fleet{SIMs: 1_000_000, Countries: 10}.Size(x, window, 1000, 72*time.Hour, time.Hour)
	if got, want := size.First.Lists, int64(10*11); got != want {
		t.Errorf("%d lists in the first load, want %d", got, want)
	}
	if got, want := size.Daily.Lists, int64(24*(3*(1+10*24)+1+10*12)); got != want {
		t.Errorf("%d lists in a day of syncs, want %d", got, want)
	}
}

// The way back to a program that cuts nothing ends walks that are cut, and only these.
func TestWayBackEndsCutWalks(t *testing.T) {
	plainOnly(t, "programs that cut nothing do not know Citus")
	t.Parallel()
	h := cutting(t, 1)
	st := h.stream("hour/sim")
	h.load(st, "2026-03-08", false, "00 a - 1 1", "01 a - 1 1")
	cut, whole := h.walk(h.Store, st, "2026-03-08"), h.walk(h.Store, st, "2026-03-07")
	if err := cut.Stage(t.Context(), cut.Lists[1], h.page(cut, "")); err != nil || !cut.IsCut() {
		t.Fatal(cut.asks(), err)
	}
	h.stage(whole, []string{"00 a - 1 1"})
	ups, err := fs.Glob(migrations.Files, "*.up.sql")
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(ups, func(name string) bool { return strings.HasSuffix(name, "_cut.up.sql") })
	before, err := strconv.Atoi(ups[at-1][:6])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := MigrateBack(t.Context(), h.url, before); err != nil {
		t.Fatal(err)
	}
	equal(t, "walks", h.rows(`SELECT to_char(window_start, 'DD'), walk_started_at IS NULL, leased_by IS NULL FROM simusage.slice ORDER BY 1`), "07 f f", "08 t t")
	equal(t, "stages", h.rows(`SELECT 'simusage.' || tablename FROM pg_tables WHERE tablename LIKE 'stage%'`), whole.stage())
	equal(t, "lists", h.rows(`SELECT slice_id, value FROM simusage.list`), fmt.Sprintf("%d ", whole.ID))
	MustMigrate(t, h.url)
	if err := whole.resume(t.Context()); err != nil || whole.asks() != "0-24" {
		t.Errorf("the other walk goes on with %s: %v", whole.asks(), err)
	}
	h.publish(whole, false)
	h.load(st, "2026-03-08", false, "00 a - 1 1", "01 a - 1 1")
	equal(t, "left", h.rows(leftSQL), "0 0 0 0 0")
}
