package load

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"simusage/extract"
)

// Several processes meet a month that nobody has seen: one makes the partition, the others find it.
func TestPartitionsMadeAtOnce(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	var group errgroup.Group
	for n := range 4 {
		s := h.process(fmt.Sprint("process ", n+2), time.Minute)
		for _, g := range []extract.Granularity{extract.Hour, extract.Day, extract.All} {
			group.Go(func() error {
				return s.ensurePartitions(t.Context(), g, extract.Window{Start: at("2025-12-31 23:00"), End: at("2026-02-01")})
			})
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	equal(t, "partitions", h.rows(`SELECT inhrelid::regclass, pg_get_expr(relpartbound, oid) FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE relkind = 'r' ORDER BY relname`),
		"simusage.usage_daily_2025_12 FOR VALUES FROM ('2025-12-01') TO ('2026-01-01')",
		"simusage.usage_daily_2026_01 FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
		"simusage.usage_hourly_2025_12 FOR VALUES FROM ('2025-12-01 00:00:00+00') TO ('2026-01-01 00:00:00+00')",
		"simusage.usage_hourly_2026_01 FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2026-02-01 00:00:00+00')")
	equal(t, "without a primary key", h.rows(`SELECT inhrelid::regclass FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE relkind = 'r'
		AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = inhrelid AND indisprimary)`))
}

// Whoever learns that there is a partition, because it made it or because another process did, uses no session any more that is older
// than that; who has known it for long keeps its sessions.
func TestPartitionsAreForNewSessions(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	month := func(text string) extract.Window {
		return extract.Window{Start: at(text + "-01"), End: at(text + "-02")}
	}
	processes := []*Store{h.process("process 2", time.Minute), h.process("process 3", time.Minute)}
	sessions := func(s *Store) (pids []uint32) {
		t.Helper()
		for _, conn := range s.pool.AcquireAllIdle(t.Context()) {
			pids = append(pids, conn.Conn().PgConn().PID())
			conn.Release()
		}
		return pids
	}
	for _, c := range []struct {
		what string
		look func(*Store) error
		of   *Store
		anew bool
	}{
		{"makes them", func(s *Store) error { return s.ensurePartitions(t.Context(), extract.Hour, month("2026-03")) }, processes[0], true},
		{"knows them", func(s *Store) error { return s.ensurePartitions(t.Context(), extract.Hour, month("2026-03")) }, processes[0], false},
		{"finds one of them", func(s *Store) error { return s.meetPartitions(t.Context(), extract.Day, month("2026-03")) }, processes[1], true},
		{"finds both of them", func(s *Store) error { return s.ensurePartitions(t.Context(), extract.Hour, month("2026-03")) }, processes[1], true},
		{"finds none", func(s *Store) error { return s.meetPartitions(t.Context(), extract.Hour, month("2026-04")) }, processes[1], false},
	} {
		if err := c.of.pool.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := sessions(c.of)
		if err := c.look(c.of); err != nil {
			t.Fatal(err)
		}
		if after := sessions(c.of); len(before) == 0 || c.anew && slices.ContainsFunc(before, func(pid uint32) bool { return slices.Contains(after, pid) }) ||
			!c.anew && !slices.Equal(before, after) {
			t.Errorf("a process %s: sessions %v, before %v", c.what, after, before)
		}
	}
}

// A run that has changed months ends with a word to all sessions, so that none goes on without a partition that it has missed; it
// waits for nobody.
func TestSessionsAreRemindedOfPartitions(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.feed("hour/sim")[0]
	told := func() []string {
		t.Helper()
		return h.rows(`SELECT xmin FROM pg_class WHERE oid IN ('simusage.usage_hourly'::regclass, 'simusage.usage_daily'::regclass)`)
	}
	rollUp := func() {
		t.Helper()
		if _, err := h.RollUp(t.Context(), []DueStream{{Stream: st}}); err != nil {
			t.Fatal(err)
		}
	}
	h.load(st, "2026-03-09", true, "00 a - 1 1")
	before := told()
	rollUp()
	after := told()
	if slices.Equal(before, after) {
		t.Error("nobody was told of the partitions of a month that was rolled up")
	}
	rollUp()
	equal(t, "nothing to tell", told(), after...)
	busy := MustConnect(t, h.url)
	MustRows(t, busy, `BEGIN; LOCK TABLE simusage.usage_hourly, simusage.usage_daily IN SHARE UPDATE EXCLUSIVE MODE`)
	h.load(st, "2026-03-09", true, "00 a - 1 2")
	rollUp()
	equal(t, "while somebody changes the tables", told(), after...)
}

// A new month waits neither for a report that has been running for an hour, nor for a publish, nor do those wait for it.
func TestPartitionsWaitForNobody(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.feed("hour/sim")[0]
	h.load(st, "2026-02-01", true, "00 a - 1 1")
	reader, writer := MustConnect(t, h.url), MustConnect(t, h.url)
	MustRows(t, reader, `BEGIN; SELECT count(*) FROM usage.sim_hourly; SELECT count(*) FROM usage.sim_daily`)
	if !postgres.Distributed() { // Citus does wait for a publish that is under way
		MustRows(t, writer, `BEGIN; UPDATE simusage.usage_hourly SET changed_at = now(); UPDATE simusage.usage_daily SET changed_at = now()`)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := h.ensurePartitions(ctx, extract.Hour, extract.Window{Start: at("2026-03-01"), End: at("2026-03-02")}); err != nil {
		t.Fatal(err)
	}
	equal(t, "the report goes on", MustRows(t, reader, `SELECT count(*) FROM usage.sim_daily`), "1")
	MustRows(t, writer, `COMMIT`)
	h.load(st, "2026-03-10", false, "00 a - 1 1")
	equal(t, "another report", h.rows(`SELECT count(*) FROM usage.sim_daily`), "2")
}

// Each statement of a publish, and a view that is asked for a few days, reads the partition of its month only: the cost of
// a slice does not grow with the age of the warehouse.
func TestStatementsReadTheirMonthOnly(t *testing.T) {
	plainOnly(t, "plans are those of the workers")
	t.Parallel()
	h := newWarehouse(t)
	st := h.feed("hour/sim")[0]
	if err := h.ensurePartitions(t.Context(), extract.Hour, extract.Window{Start: at("2025-09-01"), End: at("2026-04-01")}); err != nil {
		t.Fatal(err)
	}
	h.load(st, "2026-03-09", false, "00 a - 1 1")
	w := h.walk(h.Store, st, "2026-03-09")
	h.stage(w, []string{"00 a - 1 2"})
	text := func(name string) string {
		t.Helper()
		b, err := publishSQL.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return w.sql(string(b))
	}
	h.exec(`BEGIN`)
	h.rows(text("publish/unpack.sql"))
	args := []any{st.ID, w.Ask.Start, w.Ask.End, w.ID, st.ID, 1}
	h.rows(text("publish/change.sql"), args[:3]...)
	names, err := fs.Glob(publishSQL, "publish/*.sql")
	if err != nil || len(names) < 8 {
		t.Fatal(names, err)
	}
	plan := func(what, statement string, args ...any) {
		t.Helper()
		read := false
		for _, line := range h.rows(`EXPLAIN `+statement, args...) {
			for _, table := range []string{"usage_hourly_20", "usage_daily_20"} {
				_, month, ok := strings.Cut(line, " on "+table)
				if !ok {
					continue
				}
				if read = true; !strings.HasPrefix(month, "26_03") {
					t.Errorf("%s: %s", what, strings.TrimSpace(line))
				}
			}
		}
		if !read && what != "first" && what != "insert" && what != "restate" && what != "growth" {
			t.Errorf("%s reads no facts", what)
		}
	}
	for _, name := range names {
		statement := text(name)
		n := 0
		for strings.Contains(statement, fmt.Sprintf("$%d", n+1)) {
			n++
		}
		what := strings.TrimSuffix(path.Base(name), ".sql")
		if what == "unpack" {
			continue // no statement that could be explained
		}
		if what == "change" {
			statement = strings.Replace(statement, "TEMP TABLE change", "TEMP TABLE again", 1)
		}
		a := args[:n]
		if what == "sums_first" {
			a = []any{st.ID, w.Ask.Start, w.ID, []int16{0}, []int64{1}}
		}
		if what == "restate" {
			a = []any{w.ID}
		}
		plan(what, statement, a...)
	}
	h.exec(`ROLLBACK`)
	plan("the view by hour", `SELECT * FROM usage.sim_hourly WHERE hour >= '2026-03-05' AND hour < '2026-03-08'`)
	plan("the view by day", `SELECT * FROM usage.sim_daily WHERE day BETWEEN '2026-03-05' AND '2026-03-08'`)
}
