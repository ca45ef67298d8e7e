package load

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"simusage/extract"
)

// Many processes meet the same new field at once: one row, one warning; and an API that makes up names fills the table to
// a bound only, account by account.
func TestDriftOfManyProcesses(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	emea, err := h.Account(t.Context(), "emea", otherSID, noon)
	if err != nil {
		t.Fatal(err)
	}
	logs := make([]bytes.Buffer, 4)
	var group errgroup.Group
	for i := range logs {
		s := h.process(fmt.Sprint("process ", i), time.Minute)
		s.log = slog.New(slog.NewTextHandler(&logs[i], nil))
		group.Go(func() error {
			for n := range 30 {
				page := []extract.Drift{{Resource: "usage_records", Field: "apn"}, {Resource: "meta", Field: "key", Missing: true}}
				for m := range 7 {
					page = append(page, extract.Drift{Resource: "usage_records", Field: fmt.Sprint("n", 7*n+m)})
				}
				if err := s.drift(t.Context(), h.account, page); err != nil {
					return err
				}
			}
			return s.drift(t.Context(), emea, []extract.Drift{{Resource: "answer", Field: "a\x00b"}})
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	equal(t, "fields", h.rows(`SELECT account, count(*), count(*) FILTER (WHERE kind = 'missing'), bool_or(field = 'apn') FROM usage.drift GROUP BY 1 ORDER BY 1`),
		" 100 1 t", "emea 1 0 f")
	told := 0
	for i := range logs {
		told += strings.Count(logs[i].String(), "the API's answers have changed")
	}
	if told != 101 {
		t.Errorf("told %d times, want 101", told)
	}
}

// When a field was seen last is brought up to date, but not with every page.
func TestDriftIsSeenAgain(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	page := []extract.Drift{{Resource: "usage_records", Field: "apn"}}
	see := func(s *Store) {
		t.Helper()
		if err := s.drift(t.Context(), h.account, page); err != nil {
			t.Fatal(err)
		}
	}
	last := `SELECT first_seen_at < now() - interval '2 hours', last_seen_at > now() - interval '1 minute', xmin FROM simusage.drift`
	see(h.Store)
	written := h.one(last)
	see(h.process("process 2", time.Minute))
	equal(t, "seen by another process", h.rows(last), written)
	h.exec(`UPDATE simusage.drift SET first_seen_at = first_seen_at - interval '3 hours', last_seen_at = last_seen_at - interval '3 hours'`)
	written = h.one(last)
	see(h.Store)
	equal(t, "seen by a process that has told it", h.rows(last), written)
	see(h.process("process 3", time.Minute))
	equal(t, "seen hours later", h.rows(`SELECT first_seen_at < now() - interval '2 hours', last_seen_at > now() - interval '1 minute' FROM simusage.drift`), "t t")
}

// A process goes to the table with a field once an hour, and remembers no more of them than the table takes.
func TestDriftSet(t *testing.T) {
	t.Parallel()
	var d driftSet
	page := []extract.Drift{{Resource: "meta", Field: "a"}, {Resource: "meta", Field: "a", Missing: true}}
	for _, step := range []struct {
		account int16
		at      time.Time
		want    int
	}{{1, noon, 2}, {1, noon.Add(59 * time.Minute), 0}, {2, noon, 2}, {1, noon.Add(time.Hour), 2}, {1, noon.Add(2 * time.Hour), 2}} {
		stale := d.stale(step.account, page, step.at)
		if len(stale) != step.want {
			t.Errorf("account %d at %s: %d fields", step.account, step.at, len(stale))
		}
		d.add(step.account, stale, step.at)
	}
	for i := range 300 {
		d.add(1, d.stale(1, []extract.Drift{{Field: fmt.Sprint(i)}}, noon), noon)
	}
	if n := len(d.seen[1]); n != mostDrift {
		t.Errorf("%d fields are remembered, want %d", n, mostDrift)
	}
}

// A walk that asked for less than is published, because its run began earlier, does not know what the rest would say: what
// is set aside stays until a walk has asked for all of it.
func TestRejectedOfAPartStays(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/total")
	walk := func(until string, started time.Time, raw string) {
		t.Helper()
		w := h.lease(h.Store, st, "2026-03-10")
		if err := w.Begin(t.Context(), extract.Window{Start: w.Window.Start, End: at(until)}, started); err != nil {
			t.Fatal(err)
		}
		p := h.page(w, "", "05 - - 1 2")
		p.Rejected = []extract.Rejected{{Reason: "odd", Raw: raw}}
		if err := w.Stage(t.Context(), w.Lists[0], p); err != nil {
			t.Fatal(err)
		}
		h.publish(w, false)
	}
	aside := `SELECT raw FROM usage.rejected ORDER BY 1`
	walk("2026-03-10 12:00", noon, "a")
	equal(t, "set aside", h.rows(aside), "a")
	walk("2026-03-10 11:00", noon.Add(time.Minute), "b")
	equal(t, "set aside after a part", h.rows(aside), "a", "b")
	walk("2026-03-10 12:00", noon.Add(-time.Hour), "c") // by a clock that was put back
	equal(t, "set aside after all of it", h.rows(aside), "c")
}
