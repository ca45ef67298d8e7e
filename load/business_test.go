package load

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"simusage/extract"
)

// fleets lists fleets, "HFa trucks 100": SID, name, and limit in megabytes.
func (h *warehouse) fleets(a Account, fleets ...string) {
	h.tb.Helper()
	for _, text := range fleets {
		f := strings.Fields(text)
		h.exec(`INSERT INTO simusage.fleet (account_id, sid, unique_name, data_limit) VALUES ($1, $2, nullif($3, '-'), nullif($4, '-')::bigint)`, a.ID, f[0], f[1], f[2])
	}
}

// sims lists SIMs, "HSa truck-1 active HFa 2026-01-01": SID, name, status, fleet, and when it was made.
func (h *warehouse) sims(a Account, sims ...string) {
	h.tb.Helper()
	for _, text := range sims {
		f := strings.SplitN(text, " ", 5)
		h.exec(`INSERT INTO simusage.sim (account_id, sid, unique_name, status, fleet_sid, created_at)
			VALUES ($1, $2, nullif($3, '-'), $4, nullif($5, '-'), nullif($6, '-')::timestamp AT TIME ZONE 'UTC')`, a.ID, f[0], f[1], f[2], f[3], f[4])
	}
}

func (h *warehouse) emea() Account {
	h.tb.Helper()
	a, err := h.Account(h.tb.Context(), "emea", otherSID, noon)
	if err != nil {
		h.tb.Fatal(err)
	}
	return a
}

// A SIM that is silent is told with the day that it was used last, whichever stream was read then; one that was never used,
// from when it was made or the warehouse begins. What is not over yet, or not active, is not told.
func TestSimIdle(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	h.fleets(h.account, "HFa trucks -")
	h.sims(h.account, "HSa awake active HFa 2026-01-01", "HSb - active HFa 2026-01-01", "HSc never active - 2026-01-01", "HSd new active HFz 2026-03-07 12:00",
		"HSe off inactive HFa 2026-01-01", "HSf gone active HFa 2026-01-01", "HSg newer active HFa 2026-03-09 05:00", "HSh back active HFa -", "HSi midnight active HFa 2026-03-07")
	h.exec(`UPDATE simusage.sim SET gone_at = now() WHERE sid = 'HSf'`)
	old := h.feed("hour/sim")[0]
	h.load(old, "2026-03-05", true, "00 HSa - 1 1", "23 HSb - 1 1")
	h.load(old, "2026-03-06", true, "23 HSb - 1 1")
	now := h.stream("hour/sim@country")
	h.load(now, "2026-03-07", true, "00 HSa DE 1 1")
	h.load(now, "2026-03-08", false, "00 HSa DE 1 1")
	h.load(now, "2026-03-09", false, "00 HSa DE 1 1", "00 HSa FR 1 1", "00 HSb FR 0 0")
	h.load(now, "2026-03-10", false, "00 HSh DE 1 1")
	h.setFeeds(now)
	emea := h.emea()
	h.sims(emea, "HSa other active HFa 2025-01-01")
	days := MustStream(t, h.Store, emea, "day/sim")
	h.setFeeds(days)
	h.load(days, "2026-02-01", true, "03 HSa - 1 1")
	h.load(days, "2026-03-01", false)
	equal(t, "idle", h.rows(`SELECT account_sid, sim_sid, sim_name, fleet_sid, fleet_name, last_used_on, idle_days FROM usage.sim_idle ORDER BY 1, 2`),
		accountSID+" HSb - HFa trucks 2026-03-06 3", accountSID+" HSc never - - - 5", accountSID+" HSd new HFz - - 2",
		accountSID+" HSh back HFa trucks - 5", accountSID+" HSi midnight HFa trucks - 3",
		otherSID+" HSa other HFa - 2026-02-04 33")
}

// The month's days so far, and a line drawn through them. SIMs are counted where they are today.
func TestFleetMonthToDate(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	h.fleets(h.account, "HFa trucks 1", "HFb - -", "HFc empty 5", "HFd gone 5")
	h.exec(`UPDATE simusage.fleet SET gone_at = now() WHERE sid = 'HFd'`)
	h.sims(h.account, "HSa over active HFa -", "HSb - active HFa -", "HSc silent active HFa -", "HSd moved active HFb -", "HSe alone active - -", "HSf gone active HFa -")
	h.exec(`UPDATE simusage.sim SET gone_at = now() WHERE sid = 'HSf'`)
	st := h.feed("hour/sim")[0]
	h.load(st, "2026-02-28", true, "00 HSa - 7000000 0 7 USD")
	h.load(st, "2026-03-01", true, "00 HSa - 900000 0 0.9 USD", "01 HSb - 10 10 0.5 EUR", "00 HSd - 5 5 0.1 USD", "00 HSe - 1 0")
	h.load(st, "2026-03-02", true, "00 HSa - 100000 1 0.1 USD", "00 HSb - 200000 0 0.2 USD", "00 HSz - 2 0", "00 - - 3 0")
	// The 3rd is a hole. The 4th is read only in part.
	h.load(st, "2026-03-10", false, "00 HSa - 500 500")
	const query = `SELECT fleet_sid, fleet_name, month, to_char(complete_until AT TIME ZONE 'UTC', 'MM-DD HH24'), sims, sims_with_usage, data_total, projected_total, data_total_billed, billed_unit,
		data_limit, sims_over_limit, sims_projected_over, top_sim_sid, top_sim_name, top_sim_total, top_sim_share FROM usage.fleet_month_to_date WHERE account_sid = $1 ORDER BY 1, billed_unit`
	equal(t, "March", h.rows(query, accountSID),
		" - 2026-03-01 03-03 00 1 2 6 93 0 - - 0 0 HSz - 2 -",
		"HFa trucks 2026-03-01 03-03 00 3 2 20 310 0.5 EUR 1000000 1 2 HSa over 1000001 1.0000",
		"HFa trucks 2026-03-01 03-03 00 3 2 1200001 18600016 1.2 USD 1000000 1 2 HSa over 1000001 1.0000",
		"HFb - 2026-03-01 03-03 00 1 1 10 155 0.1 USD - 0 0 HSd moved 10 -",
		"HFc empty 2026-03-01 03-03 00 0 0 0 0 0 - 5000000 0 0 - - - -")
	equal(t, "the sum", h.rows(`SELECT sum(data_total) = (SELECT sum(data_total) FROM usage.sim_daily WHERE day BETWEEN '2026-03-01' AND '2026-03-02') FROM usage.fleet_month_to_date`), "t")

	emea := h.emea()
	st = MustStream(t, h.Store, emea, "hour/sim")
	h.setFeeds(st)
	h.load(st, "2026-02-28", true, "00 HSa - 10 0")
	h.load(st, "2026-02-27", true, "00 HSa - 20 0")
	equal(t, "two days of February", h.rows(`SELECT month, data_total, projected_total FROM usage.fleet_month_to_date WHERE account_sid = $1`, otherSID), "2026-02-01 30 420")
	h.load(st, "2026-03-01", true)
	equal(t, "a silent first day", h.rows(`SELECT fleet_sid, month, data_total, top_sim_sid FROM usage.fleet_month_to_date WHERE account_sid = $1`, otherSID))
	h.fleets(emea, "HFa trucks 1")
	h.load(st, "2026-03-01", true, "00 HSa - 10 0")
	equal(t, "a month just begun", h.rows(`SELECT fleet_sid, month, data_total, projected_total FROM usage.fleet_month_to_date WHERE account_sid = $1 ORDER BY 1`, otherSID),
		" 2026-03-01 10 310", "HFa 2026-03-01 0 0")
}

// Money by country; by network from the month on that the networks know as far back as the countries.
func TestRoamingCost(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	country := h.feed("hour/country")[0]
	h.load(country, "2026-02-27", true, "00 - DE 1000000 0 0.1 USD")
	h.load(country, "2026-03-05", true, "00 - DE 4000000 0 0.1 USD", "01 - FR 2000000 0 0.30 USD", "02 - FR 1000000 0 0.5 EUR", "03 - - 1000000 0")
	h.load(country, "2026-03-06", false, "00 - DE 2000000 0", "01 - US 0 0")
	const query = `SELECT month, iso_country, country_name, network_sid, network_name, data_total, data_total_billed, billed_unit, cost_per_mb, data_share, cost_share
		FROM usage.roaming_cost WHERE account_sid = $1 ORDER BY month, iso_country, network_sid, billed_unit DESC`
	february := "2026-02-01 DE Germany - - 1000000 0.1 USD 0.1000 1.0000 1.0000"
	byCountry := []string{february,
		"2026-03-01  - - - 1000000 0 - - 0.1000 -",
		"2026-03-01 DE Germany - - 6000000 0.1 USD 0.0250 0.6000 0.2500",
		"2026-03-01 FR France - - 2000000 0.30 USD 0.1500 0.2000 0.7500", "2026-03-01 FR France - - 1000000 0.5 EUR 0.5000 0.1000 1.0000",
		"2026-03-01 US United States - - 0 0 - - 0.0000 -"}
	equal(t, "by country", h.rows(query, accountSID), byCountry...)
	h.rollUp(country, 2)
	equal(t, "by country, with the months rolled up", h.rows(query, accountSID), byCountry...)

	network := h.stream("hour/network")
	h.setFeeds(country, network)
	h.exec(`INSERT INTO simusage.network (sid, name, iso_country) VALUES ('HWa', 'Telekom', 'DE')`)
	h.load(network, "2026-03-06", false, "00 HWa - 2000000 0")
	equal(t, "networks that begin later", h.rows(query, accountSID), byCountry...)
	h.load(network, "2026-03-05", true, "00 HWa - 4000000 0 0.1 USD", "00 HWb - 4000000 0 0.3 USD")
	equal(t, "by network", h.rows(query, accountSID), february,
		"2026-03-01 DE Germany HWa Telekom 6000000 0.1 USD 0.0250 0.6000 0.2500",
		"2026-03-01 - - HWb - 4000000 0.3 USD 0.0750 0.4000 0.7500")

	emea := h.emea()
	months := MustStream(t, h.Store, emea, "all/country")
	h.setFeeds(months)
	h.load(months, "2026-02-01", true, "00 - SE 500000 500000 2 SEK")
	equal(t, "asked by month", h.rows(query, otherSID), "2026-02-01 SE Sweden - - 1000000 2 SEK 2.0000 1.0000 1.0000")
}

// Bytes without money are told when they were looked at late enough, and no longer when the money has come.
func TestUnbilled(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	h.sims(h.account, "HSa truck active - -", "HSb - active - -")
	st := h.feed("hour/sim@country")[0]
	h.load(st, "2026-03-07", false, "00 HSa DE 1 1", "00 HSa FR 2 2", "01 HSa DE 8 8 0.1 USD", "00 HSb DE 0 0", "02 HSb DE 4 0", "02 HSc DE 5 0 0 USD")
	h.load(st, "2026-03-08", false, "00 HSa DE 7 0", "01 HSa DE 7 0 0.3 EUR")
	h.load(st, "2026-03-09", false, "00 HSa DE 9 9")
	h.load(st, "2026-03-10", false, "00 HSa DE 9 9")
	emea := h.emea()
	days := MustStream(t, h.Store, emea, "day/sim")
	h.setFeeds(days)
	h.load(days, "2026-02-01", true, "00 HSa - 1 0", "27 HSa - 3 0")
	const query = `SELECT account_sid, sim_sid, sim_name, day, data_total, hours_late FROM usage.unbilled ORDER BY 1, day, 2`
	equal(t, "unbilled", h.rows(query), accountSID+" HSa truck 2026-03-07 6 36", accountSID+" HSb - 2026-03-07 4 36", accountSID+" HSa truck 2026-03-08 7 12",
		otherSID+" HSa - 2026-02-01 1 852", otherSID+" HSa - 2026-02-28 3 204")
	h.load(st, "2026-03-07", true, "00 HSa DE 1 1 0.1 USD", "00 HSa FR 2 2 0.1 USD", "01 HSa DE 8 8 0.1 USD", "02 HSb DE 4 0")
	h.load(days, "2026-02-01", true, "00 HSa - 1 0 1 USD", "27 HSa - 3 0 1 USD")
	equal(t, "billed", h.rows(query), accountSID+" HSb - 2026-03-07 4 36", accountSID+" HSa truck 2026-03-08 7 12")
	// Read last when its money could not be there yet: nothing is known.
	h.exec(`UPDATE simusage.slice SET checked_at = '2026-03-08 06:00Z' WHERE window_start = '2026-03-07 00:00Z'`)
	equal(t, "not looked at since", h.rows(query), accountSID+" HSa truck 2026-03-08 7 12")
}

// megabytes are records of a day, "HSa=5 HSb=2.5": upload in megabytes of the first hour.
func megabytes(day string) (records []string) {
	for _, text := range strings.Fields(day) {
		sim, mb, _ := strings.Cut(text, "=")
		var n float64
		fmt.Sscan(mb, &n)
		records = append(records, fmt.Sprintf("00 %s - %d 0", sim, int64(n*1e6)))
	}
	return records
}

// Days out of the ordinary, and days that only look like it. The 28 days before are all days: those without usage too, those
// that were never loaded not.
func TestSimAnomaly(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	h.sims(h.account, "HSa steady active - 2026-01-01", "HSb small active - 2026-01-01", "HSc - active - 2026-01-01", "HSd restless active - 2026-01-01",
		"HSe young active - 2026-02-25 10:00", "HSf rare active - 2026-01-01")
	st := h.feed("hour/sim")[0]
	first := at("2026-02-08")
	for d := first; d.Before(at("2026-03-08")); d = d.AddDate(0, 0, 1) {
		day, n := "HSa=5 HSb=1", int(d.Sub(first).Hours())/24
		if n == 3 {
			continue // a hole
		}
		if n%2 == 1 {
			day += " HSd=20"
		}
		if n >= 13 {
			day += " HSg=2" // not listed; seen first on the 21st
		}
		if n >= 25 {
			day += " HSe=1"
		}
		if n == 20 {
			day += " HSf=9"
		}
		h.load(st, d.Format("2006-01-02"), true, megabytes(day)...)
	}
	h.load(st, "2026-03-08", false, append(megabytes("HSb=9.5 HSc=20 HSd=45 HSe=100 HSf=8 HSg=12"), "05 HSa - 10000000 0 1 USD", "06 HSa - 6000000 0 1 EUR")...)
	h.load(st, "2026-03-09", false, megabytes("HSa=15 HSd=60 HSg=1")...)
	h.load(st, "2026-03-10", false, megabytes("HSa=90")...) // under way
	const query = `SELECT sim_sid, sim_name, day, data_total, normal_total, times_normal, score, days_used FROM usage.sim_anomaly WHERE account_sid = $1 ORDER BY day, sim_sid`
	equal(t, "anomalies", h.rows(query, accountSID),
		"HSa steady 2026-03-08 16000000 5000000 3.2000 - 27",
		"HSc - 2026-03-08 20000000 0 - - 0",
		"HSg - 2026-03-08 12000000 2000000 6.0000 - 15",
		"HSd restless 2026-03-09 60000000 11296296 5.3115 4.1164 14")
	equal(t, "one day", h.rows(`SELECT sim_sid FROM usage.sim_anomaly WHERE day = '2026-03-09'`), "HSd")

	emea := h.emea()
	days := MustStream(t, h.Store, emea, "day/sim")
	h.setFeeds(days)
	h.load(days, "2026-02-01", true, "00 HSa - 1000000 0", "13 HSb - 90000000 0", "14 HSa - 90000000 0")
	equal(t, "the first fortnight is nobody's normal", h.rows(query, otherSID), "HSa - 2026-02-15 90000000 71429 1260.0000 349.1838 1")
}

// Who asks for a day of sim_anomaly reads that day and the 28 before, and no partition beside.
func TestSimAnomalyReadsNoMoreThanItMust(t *testing.T) {
	plainOnly(t, "the view is another one")
	t.Parallel()
	h := newWarehouse(t)
	st := h.feed("hour/sim")[0]
	for d := at("2026-01-30"); d.Before(at("2026-03-10")); d = d.AddDate(0, 0, 1) {
		h.load(st, d.Format("2006-01-02"), true, megabytes("HSa=20 HSb=1")...)
	}
	h.load(st, "2026-03-09", true, megabytes("HSa=20 HSb=1 HSc=30")...)
	if err := h.ensurePartitions(t.Context(), extract.Day, extract.Window{Start: at("2026-04-01"), End: at("2026-04-02")}); err != nil {
		t.Fatal(err)
	}
	h.exec(`ANALYZE`)
	looks := 0
	for _, line := range h.rows(`EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT * FROM usage.sim_anomaly WHERE day = '2026-03-09'`) {
		if !strings.Contains(line, "Scan") || strings.Contains(line, "never executed") {
			continue
		}
		for _, month := range []string{"2026_01", "2026_04"} {
			if strings.Contains(line, "usage_daily_"+month) {
				t.Errorf("reads %s", line)
			}
		}
		if _, loops, found := strings.Cut(line, "loops="); found && strings.Contains(line, "usage_daily_2026_02") {
			n, err := strconv.Atoi(strings.TrimSuffix(loops, ")"))
			if err != nil {
				t.Fatal(err)
			}
			looks += n
		}
	}
	// Of the two SIMs with more than 10 MB, the nearest days are one look for each; all 28 are one more for the one that is not at its ease.
	if looks != 3 {
		t.Errorf("looks %d times at the days before, want 3", looks)
	}
}

// Where billing never comes, every day is asked for its own facts, also while nobody has made statistics: compared each with
// each, days and facts would take minutes.
func TestUnbilledForHalfAYear(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.feed("hour/sim")[0]
	if err := h.ensurePartitions(t.Context(), extract.Hour, extract.Window{Start: at("2025-09-01"), End: at("2026-03-01")}); err != nil {
		t.Fatal(err)
	}
	h.exec(`INSERT INTO simusage.series (stream_id, sim_sid, fleet_sid, network_sid, iso_country) SELECT $1, 'HS' || n, '', '', '' FROM generate_series(1, 100) n`, st.ID)
	h.exec(`INSERT INTO simusage.slice (stream_id, window_start, window_end, published_at, checked_at, covered_from, covered_until, settled)
		SELECT $1, day, day + interval '1 day', now(), day + interval '4 days', day, day + interval '1 day', true
		FROM generate_series('2025-09-01'::timestamptz, '2026-02-28', interval '1 day') day`, st.ID)
	h.exec(`INSERT INTO simusage.usage_daily (period_start, series_id, data_upload, data_download, data_total, changed_at, stream_id, billed_unit_id)
		SELECT window_start::date, series.id, 1, 1, 2, now(), slice.stream_id, 0 FROM simusage.slice, simusage.series`)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var rows, late int
	if err := h.conn.QueryRow(ctx, `SELECT count(*), min(hours_late) FROM usage.unbilled`).Scan(&rows, &late); err != nil || rows != 181*100 || late != 48 {
		t.Errorf("%d rows, %d hours late, %v", rows, late, err)
	}
}
