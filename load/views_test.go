package load

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"simusage/extract"
)

// seedViews fills a warehouse with one of everything that a view can show: two accounts, settled and unsettled slices, a
// hole, two currencies, usage that is not billed yet, a difference to the total, a restatement, runs that ended and did not.
func seedViews(t *testing.T, h *warehouse) {
	t.Helper()
	main := h.feed("hour/total", "hour/country", "hour/sim@country", "hour/fleet", "hour/network", "all/total")
	total, country, sims, fleet, network, month := main[0], main[1], main[2], main[3], main[4], main[5]
	h.load(total, "2026-03-05", true, "00 - - 111 222 0.35 USD", "23 - - 7 8 0.15 USD")
	h.load(country, "2026-03-05", true, "00 - DE 101 202 0.30 USD", "00 - FR 10 20 0.05 USD", "23 - DE 7 8 0.15 USD")
	h.load(sims, "2026-03-05", true, "00 HSa DE 100 200 0.20 USD", "00 HSb DE 1 2 0.10 USD", "00 HSa FR 10 20 0.05 USD", "23 HSb DE 7 8 0.15 USD")
	h.load(sims, "2026-03-05", true, "00 HSa DE 100 200 0.20 USD", "00 HSb DE 1 2 0.10 USD", "00 HSa FR 10 20 0.05 USD", "23 HSb DE 7 8 0.14 USD", "22 HSc XX 0 0")
	h.load(fleet, "2026-03-05", true, "00 HFa - 111 222 0.35 USD", "23 - - 7 8 0.15 USD") // a SIM of no fleet
	h.load(network, "2026-03-05", true, "00 HWa - 111 222 0.35 USD", "23 HWb - 7 8 0.15 USD")
	// Today, to the last full hour: not billed yet, and one SIM is missing from the breakdown.
	h.load(total, "2026-03-10", false, "11 - - 30 60")
	h.load(country, "2026-03-10", false, "11 - DE 30 60")
	h.load(sims, "2026-03-10", false, "11 HSa DE 20 40")
	h.load(month, "2026-02-01", true, "00 - - 1000 2000 3.5 USD")
	// Days that nobody has read yet, and a slice that failed.
	if err := h.Plan(t.Context(), due(total, "2026-03-05", "2026-03-11")); err != nil {
		t.Fatal(err)
	}
	if err := h.Plan(t.Context(), due(sims, "2026-03-09", "2026-03-11")); err != nil {
		t.Fatal(err)
	}

	emea, err := h.Account(t.Context(), "emea", otherSID, noon)
	if err != nil {
		t.Fatal(err)
	}
	days, plain := MustStream(t, h.Store, emea, "day/sim"), MustStream(t, h.Store, emea, "hour/country")
	h.setFeeds(days, plain)
	h.load(days, "2026-02-01", true, "27 HSa - 1 2 0.5 EUR", "27 HSz - 5 5", "26 HSz - 9007199254740993 0 0.1 EUR")
	h.load(days, "2026-03-01", false, "00 HSa - 4 4 0.25 EUR", "08 HSa - 8 8 0.75 USD", "08 HSz - 16 16")
	h.load(plain, "2026-03-09", false, "00 - DE 1 1 0.01 EUR", "00 - - 3 3", "01 - DE 1 1 0.02 USD")

	for _, command := range []string{"sync", "backfill"} {
		id, err := h.StartRun(t.Context(), RunStart{Command: command, Arguments: "--from 2026-03-01", Host: "pod-1", Version: "v1", PID: 7})
		if err != nil {
			t.Fatal(err)
		}
		if command == "sync" {
			err = h.FinishRun(t.Context(), Run{ID: id, Slices: 2, Unchanged: 1, Failed: 3, LeftDue: 4, Pages: 5, Rows: 6, Inserted: 7, Updated: 8, Deleted: 9, Rejected: 10,
				Requests: 11, Retries: 12, Throttled: 13, Outcome: "partly", ExitCode: 3, Error: "something\x00 \xff"})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	h.exec(`UPDATE simusage.run SET seen_at = now() - interval '6 minutes' WHERE command = 'backfill'`)
}

// seedAside sets records aside: in a slice that is published, in one that is published and being read again, in a
// fan-out, and in a first walk that is under way. Some of the pages have fields that are new or missing.
func seedAside(t *testing.T, h *warehouse) {
	t.Helper()
	aside := func(w *Walk, l *List, reason string, drift ...extract.Drift) {
		t.Helper()
		p := h.page(w, "")
		if w.Discovers(l) {
			p = h.page(w, "", "00 - DE 0 0")
		}
		p.Rejected, p.Drift = []extract.Rejected{{Reason: reason, Raw: `{"data_total":-1}`}}, drift
		if err := w.Stage(t.Context(), l, p); err != nil {
			t.Fatal(err)
		}
	}
	total, sims := h.stream("hour/total"), h.stream("hour/sim@country")
	apn, key := extract.Drift{Resource: "usage_records", Field: "apn"}, extract.Drift{Resource: "meta", Field: "key", Missing: true}
	w := h.walk(h.Store, total, "2026-03-04")
	aside(w, w.Lists[0], "data_total is no whole number of bytes", apn, key)
	h.publish(w, true)
	w = h.lease(h.Store, total, "2026-03-04")
	if err := w.Begin(t.Context(), w.Window, noon.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	aside(w, w.Lists[0], "data_total is no whole number of bytes", apn)
	w = h.walk(h.Store, sims, "2026-03-04")
	aside(w, w.Lists[0], "no period that can be read")
	aside(w, w.Lists[1], "bucket outside what was asked")
	h.publish(w, true)
	w = h.walk(h.Store, total, "2026-03-09")
	aside(w, w.Lists[0], "no period that can be read")
	emea, err := h.Account(t.Context(), "emea", otherSID, noon)
	if err != nil {
		t.Fatal(err)
	}
	w = h.walk(h.Store, MustStream(t, h.Store, emea, "hour/country"), "2026-03-09")
	aside(w, w.Lists[0], "not an object", apn) // the published walk of this slice had nothing to set aside
}

// seedNames adds what the lists of the API say, and a fortnight of an account in which SIMs go wild and fall silent.
func seedNames(t *testing.T, h *warehouse) {
	t.Helper()
	h.fleets(h.account, "HFa trucks 1", "HFb meters -")
	h.sims(h.account, "HSa truck-1 active HFa 2026-01-01", "HSb - inactive HFb 2026-01-01")
	h.exec(`UPDATE simusage.sim SET iccid = '89883070000000000001', updated_at = '2026-03-01Z', gone_at = '2026-03-09Z' WHERE sid = 'HSb'`)
	h.exec(`UPDATE simusage.fleet SET gone_at = '2026-03-09Z' WHERE sid = 'HFb'`)
	h.exec(`INSERT INTO simusage.sim_history (account_id, sid, valid_from, valid_to, unique_name, status, fleet_sid) VALUES
		($1, 'HSa', '2026-01-01Z', '2026-03-02 12:00Z', NULL, 'new', NULL), ($1, 'HSa', '2026-03-02 12:00Z', 'infinity', 'truck-1', 'active', 'HFa')`, h.account.ID)
	h.exec(`INSERT INTO simusage.network (sid, name, iso_country, identifiers) VALUES ('HWa', 'Telekom', 'DE', '[{"mcc": "262", "mnc": "01"}]')`)
	wild, err := h.Account(t.Context(), "wild", "AC0000000000000000000000000000000c", noon)
	if err != nil {
		t.Fatal(err)
	}
	h.fleets(wild, "HFw cameras 50")
	h.sims(wild, "HSw cam-1 active HFw 2026-01-01", "HSx silent active HFw 2026-01-01")
	st := MustStream(t, h.Store, wild, "hour/sim")
	h.setFeeds(st)
	for d := at("2026-02-23"); d.Before(at("2026-03-09")); d = d.AddDate(0, 0, 1) {
		h.load(st, d.Format(time.DateOnly), true, "00 HSw - 1000000 1000000 0.02 USD")
	}
	h.load(st, "2026-03-09", false, "00 HSw - 40000000 2000000 0.42 USD")
}

// Each view over the same small warehouse, as committed. Whatever a reader's time zone is, days and hours are UTC.
func TestViews(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	seedViews(t, h)
	seedNames(t, h)
	seedAside(t, h)
	moving := map[string]bool{"last_success_at": true, "days_until_wall": true, "restated_at": true, "started_at": true, "finished_at": true,
		"seen_at": true, "first_seen_at": true, "last_seen_at": true} // follow the clock on the wall
	views := h.rows(`SELECT relname FROM pg_class WHERE relnamespace = 'usage'::regnamespace AND relkind = 'v' ORDER BY 1`)
	for _, view := range views {
		t.Run(view, func(t *testing.T) {
			var columns, names []string
			for _, line := range h.rows(`SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 ORDER BY attnum`, "usage."+view) {
				name, kind, _ := strings.Cut(line, " ")
				column := name
				switch {
				case moving[name]:
					column = fmt.Sprintf(`CASE WHEN %s IS NOT NULL THEN '(some)' END`, name)
				case strings.HasPrefix(kind, "timestamp"):
					column = fmt.Sprintf(`CASE WHEN isfinite(%[1]s) THEN to_char(%[1]s AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI') ELSE %[1]s::text END`, name)
				}
				columns, names = append(columns, fmt.Sprintf(`coalesce((%s)::text, '-')`, column)), append(names, name)
			}
			query := fmt.Sprintf(`SELECT concat_ws(' | ', %s) COLLATE "C" FROM usage.%s ORDER BY 1`, strings.Join(columns, ", "), view)
			got := append([]string{strings.Join(names, " | ")}, h.rows(query)...)
			golden(t, filepath.Join("testdata", "views", view+".golden"), got)
			if len(got) == 1 {
				t.Error("there is nothing in it to compare")
			}
			for _, zone := range []string{"America/Sao_Paulo", "Pacific/Kiritimati"} {
				h.exec(`SET timezone = '` + zone + `'`)
				equal(t, "read in "+zone, h.rows(query), got[1:]...)
			}
			h.exec(`SET timezone = 'UTC'`)
		})
	}
	committed, err := filepath.Glob("testdata/views/*.golden")
	if err != nil || len(committed) != len(views) {
		t.Errorf("%d views, %d listings of views, %v", len(views), len(committed), err)
	}
	// The same bytes, whichever view adds them up.
	for _, family := range []string{"total", "country", "sim", "sim_country", "fleet", "network"} {
		equal(t, family, h.rows(fmt.Sprintf(`SELECT (SELECT sum(data_total) FROM usage.%[1]s_hourly h WHERE account_sid = $1) = (SELECT sum(data_total) FROM usage.%[1]s_daily WHERE account_sid = $1),
			(SELECT sum(data_total) FROM usage.%[1]s_daily WHERE account_sid = $1) = (SELECT sum(data_total) FROM usage.%[1]s_monthly WHERE account_sid = $1)`, family), accountSID), "t t")
	}
}

// A hole counts down to the wall of extract, and is lost behind it: it is told and holds up nothing else.
func TestFreshnessCountsDaysUntilTheWall(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	hourly, monthly := h.stream("hour/sim"), h.stream("all/total")
	now, err := time.Parse(time.DateOnly, h.rows(`SELECT (now() AT TIME ZONE 'UTC')::date::text`)[0]) // a test at midnight would have two
	if err != nil {
		t.Fatal(err)
	}
	wall := extract.Wall(now)
	for _, c := range []struct {
		stream int16
		days   int // from the wall to the start of the slice
		month  bool
		want   string // holes, days until the wall, lost, where it is complete from the slice's start
	}{
		{hourly.ID, 40, false, "1 40 0 f"},
		{hourly.ID, 0, false, "1 0 0 f"},
		{hourly.ID, -1, false, "0 - 1 t"},
		{hourly.ID, -10, true, "1 -10 0 f"}, // the rest of the month can be asked for
		{monthly.ID, 0, true, "1 0 0 f"},
		{monthly.ID, -1, true, "0 - 1 t"}, // one bucket is whole or not at all
	} {
		start := wall.AddDate(0, 0, c.days)
		end := start.AddDate(0, 0, 1)
		if c.month {
			end = start.AddDate(0, 1, 0)
		}
		h.exec(`DELETE FROM simusage.slice`)
		h.exec(`INSERT INTO simusage.slice (stream_id, window_start, window_end) VALUES ($1, $2, $3)`, c.stream, start, end)
		equal(t, fmt.Sprint(c), h.rows(`SELECT holes, days_until_wall, lost, complete_until = $1 AND settled_until = $1 FROM usage.freshness`, end), c.want)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	if st, err := h.Status(t.Context()); err != nil || len(st.Streams) != 0 || st.LastRun != nil {
		t.Errorf("status of an empty warehouse: %+v, %v", st, err)
	}
	seedViews(t, h)
	w := h.lease(h.Store, h.stream("hour/total"), "2026-03-06")
	if err := w.Fail(t.Context(), fmt.Errorf("page 3: it rains")); err != nil {
		t.Fatal(err)
	}
	h.lease(h.Store, h.stream("hour/total"), "2026-03-07")
	status, err := h.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range status.Streams {
		got = append(got, fmt.Sprint(s.Account, " ", s.Stream, " complete ", s.CompleteUntil.UTC().Format("01-02 15h"), " settled ", s.SettledUntil.UTC().Format("01-02"),
			" holes ", s.Holes, " walking ", s.Walking, " reconciled ", s.Reconciled, " not ", s.Unreconciled))
	}
	equal(t, "streams", got,
		" all/total complete 03-01 00h settled 03-01 holes 0 walking 0 reconciled 0 not 0",
		" hour/country complete 03-10 12h settled 03-10 holes 0 walking 0 reconciled 2 not 0",
		" hour/fleet complete 03-06 00h settled 03-06 holes 0 walking 0 reconciled 1 not 0",
		" hour/network complete 03-06 00h settled 03-06 holes 0 walking 0 reconciled 1 not 0",
		" hour/sim@country complete 03-09 00h settled 03-09 holes 1 walking 0 reconciled 1 not 1",
		" hour/total complete 03-06 00h settled 03-06 holes 4 walking 1 reconciled 0 not 0",
		"emea day/sim complete 03-10 00h settled 03-01 holes 0 walking 0 reconciled 0 not 0",
		"emea hour/country complete 03-10 00h settled 03-09 holes 0 walking 0 reconciled 0 not 0")
	if len(status.Failures) != 1 || status.Failures[0].Error != "page 3: it rains" || status.Failures[0].Times != 1 {
		t.Errorf("failures: %+v", status.Failures)
	}
	if r := status.LastRun; r == nil || r.Command != "backfill" || r.Outcome != "killed" || time.Since(r.StartedAt) > time.Hour {
		t.Errorf("last run: %+v", r)
	}
	if len(status.RejectedByReason) != 0 || status.Rejected != 0 || len(status.Drift) != 0 {
		t.Errorf("%+v are set aside, drift is %+v", status.RejectedByReason, status.Drift)
	}
	seedAside(t, h)
	h.exec(`UPDATE simusage.account SET names_at = $1 WHERE name = ''`, noon)
	if status, err = h.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	got = []string{fmt.Sprint(status.Rejected, " set aside: ", status.RejectedByReason)}
	for _, a := range status.Accounts {
		got = append(got, fmt.Sprintf("%q of %s: names at %v", a.Account, *a.AccountSID, a.NamesAt))
	}
	for _, d := range status.Drift {
		got = append(got, fmt.Sprintf("%q %s %s.%s", d.Account, d.Kind, d.Resource, d.Field))
	}
	equal(t, "answers", got,
		"4 set aside: map[bucket outside what was asked:1 data_total is no whole number of bytes:1 no period that can be read:2]",
		`"" of `+accountSID+`: names at 2026-03-10 12:07:00 +0000 UTC`, `"emea" of `+otherSID+`: names at <nil>`,
		`"" missing meta.key`, `"" new usage_records.apn`, `"emea" new usage_records.apn`)
}
