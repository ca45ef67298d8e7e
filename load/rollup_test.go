package load

import (
	"strings"
	"testing"
)

// monthSums says whether the month of the view is the sum of its days, and whether it comes from the rollup.
func (h *warehouse) monthSums(what string, rolledUp bool) {
	h.tb.Helper()
	const sums = `sim_sid, sum(data_upload)::bigint, sum(data_download)::bigint, sum(data_total)::bigint, trim_scale(sum(data_total_billed)) FROM usage.sim_`
	equal(h.tb, what, h.rows(`SELECT date_trunc('month', day::timestamp)::date, `+sums+`daily GROUP BY 1, 2 ORDER BY 1, 2`),
		h.rows(`SELECT month, `+sums+`monthly GROUP BY 1, 2 ORDER BY 1, 2`)...)
	if got := h.one(`SELECT (bool_and(rolled_up) AND NOT EXISTS (SELECT 1 FROM simusage.usage_month))::text FROM simusage.settled_month`) == "true"; got != rolledUp {
		h.tb.Errorf("%s: rolled up: %v, want %v", what, got, rolledUp)
	}
}

func (h *warehouse) rollUp(st Stream, want int) {
	h.tb.Helper()
	if n, err := h.RollUp(h.tb.Context(), due(st, "2026-03-01", "2026-03-02").Streams); err != nil || n != want {
		h.tb.Errorf("%d months rolled up, want %d: %v", n, want, err)
	}
}

// A month is the sum of its days at any moment, whether its rollup knows of the last publish or not; rolling up writes
// what is new, changed or gone, and nothing else.
func TestMonthsAreTheSumOfTheirDays(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.feed("hour/sim")[0]
	h.load(st, "2026-02-28", true, "00 a - 1 2 0.1 USD", "01 b - 1 2")
	h.load(st, "2026-03-01", true, "00 a - 1 2 0.1 USD", "23 b - 1 2", "05 d - 1 1 0.3 USD")
	h.load(st, "2026-03-09", false, "00 a - 1 2", "01 b - 1 2 0.2 EUR", "01 c - 5 5")
	h.monthSums("never rolled up", false)
	h.rollUp(st, 2)
	h.monthSums("rolled up", true)
	h.rollUp(st, 0)

	before := h.rows(`SELECT series_id, ctid::text, xmin::text FROM simusage.usage_monthly WHERE period_start = '2026-02-01' ORDER BY 1`)
	h.load(st, "2026-03-09", false, "00 a - 1 2", "01 b - 1 2 0.2 EUR", "01 c - 5 5")
	h.monthSums("read again, unchanged", true)
	h.load(st, "2026-03-09", false, "00 a - 1 2 0.2 USD", "01 b - 1 2", "01 c - 5 5")
	h.monthSums("billed", false)
	h.load(st, "2026-03-01", true, "00 a - 1 2 0.1 USD", "23 b - 1 2")
	h.monthSums("a series is gone", false)
	h.rollUp(st, 1)
	h.monthSums("rolled up again", true)
	equal(t, "months without a change", h.rows(`SELECT series_id, ctid::text, xmin::text FROM simusage.usage_monthly WHERE period_start = '2026-02-01' ORDER BY 1`), before...)
}

// A slice that is published while its month is rolled up is not in the rollup, and the month knows it.
func TestMonthsKnowAPublishThatTheyMissed(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.feed("hour/sim")[0]
	h.load(st, "2026-03-01", true, "00 a - 1 2")
	h.load(st, "2026-03-02", true, "00 a - 1 2")
	publisher := MustConnect(t, h.url)
	exec := func(sql string) {
		t.Helper()
		if _, err := publisher.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`BEGIN`)
	exec(`UPDATE simusage.slice SET published_at = now(), fence = fence + 1 WHERE window_start = '2026-03-02'`)
	exec(`UPDATE simusage.usage_hourly SET data_upload = 9, data_total = 11 WHERE period_start = '2026-03-02'`)
	exec(`UPDATE simusage.usage_daily SET data_upload = 9, data_total = 11 WHERE period_start = '2026-03-02'`)
	h.rollUp(st, 1)
	exec(`COMMIT`)
	h.monthSums("published meanwhile", false)
	h.rollUp(st, 1)
	h.monthSums("rolled up again", true)
	if sums := strings.Join(h.rows(`SELECT data_upload, data_total FROM usage.sim_monthly`), ""); sums != "10 14" {
		t.Errorf("the month has %s, want 10 14", sums)
	}
}

// A family that shows just what the stream asks for has the stream's series in its rollup; one that sums over countries has its
// own.
func TestMonthsShareTheSeriesOfTheirStream(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.feed("hour/sim@country")[0]
	h.load(st, "2026-03-01", true, "00 a DE 1 2", "00 a FR 1 2", "01 b DE 5 5")
	h.rollUp(st, 1)
	h.monthSums("rolled up", true)
	equal(t, "series", h.rows(`SELECT stream.rollup_family, sim_sid, iso_country FROM simusage.series JOIN simusage.stream ON stream.id = stream_id ORDER BY 1 NULLS FIRST, 2, 3`),
		"- a DE", "- a FR", "- b DE", "country  DE", "country  FR", "sim a ", "sim b ")
}
