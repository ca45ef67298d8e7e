package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"simusage/load/pgtest"
)

// Without the extension nothing is changed: not an empty database, and not a warehouse.
func TestDistributeNeedsCitus(t *testing.T) {
	t.Parallel()
	server := postgres.MustStart(t, pgtest.Options{})
	url := server.URL("postgres")
	conn := MustConnect(t, url)
	for _, state := range []string{"empty", "migrated"} {
		before := append(MustSchema(t, conn), MustRows(t, conn, `SELECT nspname FROM pg_namespace`)...)
		for what, move := range map[string]func(context.Context, string) (Schema, error){"distribute": Distribute, "undistribute": Undistribute} {
			_, err := move(t.Context(), url)
			if !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), "CREATE EXTENSION citus") || !strings.Contains(err.Error(), "nothing was changed") {
				t.Errorf("%s, %s: %v", what, state, err)
			}
		}
		equal(t, state, append(MustSchema(t, conn), MustRows(t, conn, `SELECT nspname FROM pg_namespace`)...), before...)
		MustMigrate(t, url)
	}
}

// prepared is a warehouse as the tests have it: migrated, and distributed where they run on Citus.
var prepared = pgtest.Template{Name: "migrated", Prepare: func(ctx context.Context, url string) error {
	if !postgres.Distributed() {
		return migrated(ctx, url)
	}
	_, err := Distribute(ctx, url)
	return err
}}

// reader is a role that may log in and read the views.
func (h *warehouse) reader() string {
	h.tb.Helper()
	role, _ := pgtest.MustRole(h.tb, h.url, "usage_reader")
	return role
}

// plainOnly skips a test on Citus, where it cannot hold.
func plainOnly(t *testing.T, why string) {
	t.Helper()
	if postgres.Distributed() {
		t.Skip("not on Citus: " + why)
	}
}

// onCitus is a plain warehouse with data in it, on a database that could be distributed.
func onCitus(t *testing.T) *warehouse {
	t.Helper()
	if !postgres.Distributed() {
		t.Skip("SIMUSAGE_TEST_CITUS names no Citus cluster")
	}
	t.Parallel()
	h := openWarehouse(t, postgres.Database(t, pgtest.Template{Name: "plain", Prepare: migrated}))
	seedViews(t, h)
	h.months("hour/sim@country", "hour/total", "hour/country")
	return h
}

// months rolls the months of streams up.
func (h *warehouse) months(streams ...string) {
	h.tb.Helper()
	var all []DueStream
	for _, name := range streams {
		all = append(all, DueStream{Stream: h.stream(name)})
	}
	if _, err := h.RollUp(h.tb.Context(), all); err != nil {
		h.tb.Fatal(err)
	}
}

// contents are all rows of the tables that move and of all views.
func (h *warehouse) contents() map[string][]string {
	h.tb.Helper()
	all := make(map[string][]string)
	for _, table := range slices.Concat(distributed, replicated) {
		all[table] = h.rows(`SELECT * FROM simusage.` + table)
	}
	for _, view := range h.rows(`SELECT relname FROM pg_class WHERE relnamespace = 'usage'::regnamespace ORDER BY 1`) {
		all["usage."+view] = h.rows(`SELECT * FROM usage.` + view)
	}
	for _, rows := range all {
		slices.Sort(rows)
	}
	return all
}

func sameContents(t *testing.T, when string, got, want map[string][]string) {
	t.Helper()
	for what, rows := range want {
		equal(t, when+": "+what, got[what], rows...)
	}
}

// A warehouse moves over and back without losing a row, and is worked on the same way before, between and after.
func TestThereAndBack(t *testing.T) {
	h := onCitus(t)
	plain, before := MustSchema(t, h.conn), h.contents()
	sims := h.stream("hour/sim@country")
	reload := func(when string, bytes int) {
		t.Helper()
		if p := h.load(sims, "2026-03-10", false, "11 HSa DE 20 40"); !p.Unchanged {
			t.Errorf("%s: an unchanged slice: %+v", when, p)
		}
		// A new SIM, and a changed and a vanished row.
		p := h.load(sims, "2026-03-05", true, fmt.Sprintf("00 HSa DE %d 200 0.20 USD", bytes), "00 HSb DE 1 2 0.10 USD", fmt.Sprintf("01 HS%d DE 1 1", bytes))
		if p.Inserted == 0 || p.Updated == 0 || p.Deleted == 0 {
			t.Errorf("%s: a changed slice: %+v", when, p)
		}
		h.load(sims, "2026-03-05", true, "00 HSa DE 100 200 0.20 USD", "00 HSb DE 1 2 0.10 USD", "00 HSa FR 10 20 0.05 USD", "23 HSb DE 7 8 0.14 USD", "22 HSc XX 0 0")
		h.load(sims, fmt.Sprintf("2026-0%d-02", bytes%3+1), false, "11 HSa DE 20 40", "12 HSb FR 1 1") // months without a partition yet
	}

	// Several at once take turns.
	var group errgroup.Group
	for range 3 {
		group.Go(func() error { _, err := Distribute(t.Context(), h.url); return err })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	sameContents(t, "distributed", h.contents(), before)
	equal(t, "placed", h.rows(`SELECT DISTINCT table_name::text, citus_table_type FROM citus_tables WHERE table_name::text !~ '_20[0-9][0-9]_' ORDER BY 1`),
		"simusage.billed_unit reference", "simusage.country reference", "simusage.series reference", "simusage.usage_daily distributed", "simusage.usage_hourly distributed", "simusage.usage_monthly distributed")
	equal(t, "partitions that are not", h.rows(`SELECT relid FROM pg_partition_tree('simusage.usage_hourly') WHERE relid NOT IN (SELECT logicalrelid FROM pg_dist_partition)`))
	reload("distributed", 5)
	h.months("hour/sim@country")

	// Again, and a plain migrate that makes the views anew, change nothing.
	schema, between := MustSchema(t, h.conn), h.contents()
	h.exec(`UPDATE simusage.view_install SET digest = 'x'`)
	for _, again := range []func(context.Context, string) (Schema, error){Migrate, Distribute} {
		if after, err := again(t.Context(), h.url); err != nil || after.Err() != nil {
			t.Fatal(err, after.Err())
		}
	}
	equal(t, "schema", MustSchema(t, h.conn), schema...)
	sameContents(t, "again", h.contents(), between)
	if _, err := MigrateBack(t.Context(), h.url, oldestDistributed-1); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), "--undistribute") {
		t.Errorf("back to a program that knows no Citus: %v", err)
	}

	if _, err := Undistribute(t.Context(), h.url); err != nil {
		t.Fatal(err)
	}
	equal(t, "placed", h.rows(`SELECT table_name FROM citus_tables`))
	equal(t, "schema", MustSchema(t, h.conn), plain...)
	sameContents(t, "back", h.contents(), between)
	reload("back", 6)
}

// Stopped between two tables, the warehouse works, and the same command goes on.
func TestDistributeStoppedHalfWay(t *testing.T) {
	h := onCitus(t)
	before := h.contents()
	stopped := func(move func(context.Context, string) (Schema, error), table string) {
		t.Helper()
		other := MustConnect(t, h.url)
		for _, sql := range []string{`BEGIN`, `LOCK TABLE simusage.` + table + ` IN ROW EXCLUSIVE MODE`} {
			if _, err := other.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		var group errgroup.Group
		group.Go(func() error { _, err := move(t.Context(), h.url); return err })
		pid := ""
		for end := time.Now().Add(2 * time.Minute); pid == "" && time.Now().Before(end); { // the tables before it take their time
			pid = strings.Join(h.rows(`SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE $1`, `%`+table+`%`), " ")
		}
		h.exec(`SELECT pg_terminate_backend($1::int)`, pid)
		if err := group.Wait(); err == nil {
			t.Error("it was not stopped")
		}
		other.Close(t.Context())
	}
	stopped(Distribute, "usage_daily")
	equal(t, "moved", h.rows(`SELECT table_name FROM citus_tables WHERE table_name::text !~ '_20[0-9][0-9]_' ORDER BY table_name::text`),
		"simusage.billed_unit", "simusage.country", "simusage.series", "simusage.usage_hourly")
	sameContents(t, "half-way there", h.contents(), before)
	h.load(h.stream("hour/sim@country"), "2026-03-09", false, "00 HSn DE 1 1")
	before = h.contents()
	if _, err := Distribute(t.Context(), h.url); err != nil {
		t.Fatal(err)
	}
	sameContents(t, "there", h.contents(), before)

	stopped(Undistribute, "usage_daily")
	sameContents(t, "half-way back", h.contents(), before)
	h.load(h.stream("hour/sim@country"), "2026-03-09", false, "00 HSn DE 2 2")
	before = h.contents()
	if _, err := Undistribute(t.Context(), h.url); err != nil {
		t.Fatal(err)
	}
	sameContents(t, "back", h.contents(), before)
}

// Readers see the views, and of the machine room only what the views show too.
func TestReadersOnCitus(t *testing.T) {
	h := onCitus(t)
	if _, err := Distribute(t.Context(), h.url); err != nil {
		t.Fatal(err)
	}
	contents := h.contents()
	tables := h.rows(`SELECT relname FROM pg_class WHERE relnamespace = 'simusage'::regnamespace AND relkind IN ('r', 'p', 'v') AND relname !~ '_20[0-9][0-9]_' ORDER BY 1`)
	// Whoever reads must be able to log in: that is how Citus asks the workers.
	h.exec(`SET ROLE ` + h.reader())
	for what, rows := range contents {
		if strings.HasPrefix(what, "usage.") {
			got := h.rows(`SELECT * FROM ` + what)
			slices.Sort(got)
			equal(t, what, got, rows...)
		}
	}
	var readable []string
	for _, table := range tables {
		if _, err := h.conn.Exec(t.Context(), `SELECT count(*) FROM simusage.`+table); err == nil {
			readable = append(readable, table)
		}
	}
	want := slices.Concat(distributed, replicated, lent)
	slices.Sort(want)
	equal(t, "readable", readable, want...)
	if _, err := h.conn.Exec(t.Context(), `SELECT iccid FROM simusage.sim`); err == nil {
		t.Error("a reader may read ICCIDs")
	}
}
