package load

import (
	"errors"
	"strings"
	"testing"
)

// older makes usage.sim_daily as an older program had it, with a view of somebody else on top.
func (h *warehouse) older(columns string) {
	h.tb.Helper()
	h.exec(`DROP VIEW IF EXISTS public.mine; DROP VIEW usage.sim_daily;
		CREATE VIEW usage.sim_daily AS SELECT ` + columns + ` FROM simusage.usage_day WHERE family = 'sim';
		CREATE VIEW public.mine AS SELECT day, data_total FROM usage.sim_daily;
		UPDATE simusage.view_install SET digest = 'older'`)
}

// state is all that an upgrade could change: definitions, and which relations they are.
func (h *warehouse) state() []string {
	h.tb.Helper()
	return append(MustSchema(h.tb, h.conn), h.rows(`SELECT version, dirty FROM simusage.schema_migrations
		UNION ALL SELECT oid::bigint, digest = '' FROM pg_class, simusage.view_install WHERE relnamespace IN ('usage'::regnamespace, 'simusage'::regnamespace) ORDER BY 1`)...)
}

// refused says that the upgrade stops with one line that names these views, and changes nothing.
func (h *warehouse) refused(what string, others ...string) {
	h.tb.Helper()
	before := h.state()
	_, err := Migrate(h.tb.Context(), h.url)
	if !errors.Is(err, ErrSchema) {
		h.tb.Fatalf("%s: migrate: %v", what, err)
	}
	said := err.Error()
	for _, text := range append(others, "drop those, run simusage migrate again, then make them again", "nothing was changed") {
		if !strings.Contains(said, text) {
			h.tb.Errorf("%s: %q is not in: %s", what, text, said)
		}
	}
	if strings.Contains(said, "\n") {
		h.tb.Errorf("%s: more than a line: %s", what, said)
	}
	equal(h.tb, what+": the schema", h.state(), before...)
	equal(h.tb, what+": my view", h.rows(`SELECT day, data_total FROM public.mine`), "2026-03-10 2")
}

// Where our views keep their columns, or only gain some at the end, somebody's view on top goes on working.
func TestUpgradeKeepsViewsOfOthers(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	h.load(h.feed("hour/sim")[0], "2026-03-10", false, "00 a - 1 1")
	committed := MustSchema(t, h.conn)
	h.exec(`CREATE VIEW public.mine AS SELECT day, data_total FROM usage.sim_daily; CREATE VIEW usage.theirs AS SELECT settled FROM usage.total_daily`)
	mine := h.one(`SELECT 'public.mine'::regclass::oid::bigint`)
	check := func(what string) {
		t.Helper()
		MustMigrate(t, h.url)
		equal(t, what, h.rows(`SELECT *, $1 = 'public.mine'::regclass::oid::bigint FROM public.mine`, mine), "2026-03-10 2 t")
	}
	check("nothing is new")
	h.exec(`UPDATE simusage.view_install SET digest = 'older'`)
	check("the same columns")
	h.exec(`DROP VIEW usage.theirs`)
	h.older(`account_sid, sim_sid, NULL::text AS sim_name, period_start AS day, data_upload, data_download, data_total::bigint`)
	mine = h.one(`SELECT 'public.mine'::regclass::oid::bigint`)
	check("columns more at the end")
	equal(t, "the schema", MustSchema(t, h.conn), committed...)
}

// Where a view of ours loses, moves or changes a column, it must be made anew: somebody's view on top stops that.
func TestUpgradeStopsAtViewsOfOthers(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	h.load(h.feed("hour/sim")[0], "2026-03-10", false, "00 a - 1 1")
	committed := MustSchema(t, h.conn)
	h.older(`account_sid, period_start AS day, sim_sid, data_total`)
	h.refused("a column elsewhere", "public.mine on usage.sim_daily")
	h.older(`account_sid, sim_sid, NULL::text AS sim_name, period_start AS day, data_upload, data_download, data_total::numeric`)
	h.refused("a column of another type", "public.mine on usage.sim_daily")
	h.older(`account_sid, sim_sid, NULL::text AS sim_name, period_start AS day, data_upload, data_download, data_total, data_total_billed, billed_unit, settled, 1 AS outdated`)
	h.exec(`CREATE VIEW public."on Top" AS SELECT day FROM public.mine; CREATE MATERIALIZED VIEW public.kept AS SELECT settled FROM usage.total_daily; CREATE VIEW usage.theirs AS SELECT 1 FROM usage.sim_daily`)
	h.refused("a column less", "public.mine on usage.sim_daily", "public.on Top on public.mine", "public.kept on usage.total_daily", "usage.theirs on usage.sim_daily")
	h.exec(`DROP VIEW public.mine CASCADE; DROP MATERIALIZED VIEW public.kept; DROP VIEW usage.theirs`)
	MustMigrate(t, h.url)
	equal(t, "the new view", h.rows(`SELECT sim_sid, data_total FROM usage.sim_daily`), "a 2")
	equal(t, "the schema", MustSchema(t, h.conn), committed...)
}

// A function that stands on a view is in the way too; Postgres knows it.
func TestUpgradeStopsAtFunctionsOfOthers(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	h.load(h.feed("hour/sim")[0], "2026-03-10", false, "00 a - 1 1")
	h.older(`account_sid, period_start AS day, sim_sid, data_total`)
	h.exec(`CREATE VIEW public.aside AS SELECT 1; CREATE FUNCTION public.used() RETURNS bigint BEGIN ATOMIC SELECT sum(data_total)::bigint FROM usage.sim_daily; END`)
	h.exec(`DROP VIEW public.mine; CREATE VIEW public.mine AS SELECT '2026-03-10'::date AS day, 2 AS data_total`)
	h.refused("a function", "function used() depends on view usage.sim_daily")
}

// An upgrade with migrations stops before the first of them.
func TestUpgradeStopsBeforeItMigrates(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	h.load(h.feed("hour/sim")[0], "2026-03-10", false, "00 a - 1 1")
	h.exec(`DROP VIEW usage.freshness, simusage.slice_remembered`) // older ones, without what the migrations have added
	m, err := migration(h.conn.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Steps(-1); err != nil {
		t.Fatal(err)
	}
	h.older(`account_sid, period_start AS day, sim_sid, data_total`)
	h.refused("with a migration", "public.mine on usage.sim_daily")
	h.older(`account_sid, sim_sid, NULL::text AS sim_name, period_start AS day, data_upload, data_download, data_total`)
	MustMigrate(t, h.url)
	equal(t, "my view", h.rows(`SELECT day, data_total FROM public.mine`), "2026-03-10 2")
}
