package load

import (
	"path"
	"regexp"
	"strings"
	"testing"
)

// promised are the columns that dashboards may rely on, of each view in this order. More may come between and after them.
var promised = map[string]string{
	"sim_{grain}":         "account_sid sim_sid sim_name {period} {measures}",
	"country_{grain}":     "account_sid iso_country country_name {period} {measures}",
	"sim_country_{grain}": "account_sid sim_sid sim_name iso_country country_name {period} {measures}",
	"fleet_{grain}":       "account_sid fleet_sid fleet_name {period} {measures}",
	"network_{grain}":     "account_sid network_sid network_name iso_country {period} {measures}",
	"total_{grain}":       "account_sid {period} {measures}",
	"freshness":           "account_sid stream settled_until complete_until newest_period holes oldest_hole days_until_wall last_success_at lost",
	"reconciliation":      "account_sid stream window_start data_total total_total difference reconciled",
	"restatements":        "account_sid restated_at period_start old_data_total old_data_total_billed new_data_total new_data_total_billed",
	"runs":                "started_at finished_at outcome slices pages rows requests retries",
	"sim":                 "account_sid sim_sid sim_name status fleet_sid fleet_name",
	"fleet":               "account_sid fleet_sid fleet_name data_limit",
	"network":             "network_sid network_name iso_country country_name",
	"country":             "iso_country country_name",
	"sim_idle":            "account_sid sim_sid sim_name fleet_sid fleet_name last_used_on idle_days",
	"sim_anomaly":         "account_sid sim_sid sim_name day data_total normal_total times_normal score days_used",
	"fleet_month_to_date": "account_sid fleet_sid fleet_name month complete_until sims sims_with_usage data_total projected_total data_total_billed billed_unit data_limit sims_over_limit sims_projected_over top_sim_sid top_sim_name top_sim_total top_sim_share",
	"roaming_cost":        "account_sid month iso_country country_name network_sid network_name data_total data_total_billed billed_unit cost_per_mb data_share cost_share",
	"unbilled":            "account_sid sim_sid sim_name day data_total hours_late",
}

const measures = "data_upload data_download data_total data_total_billed billed_unit settled"

// The columns that are promised are there, in order. (All columns of all views, with types and comments, are committed in
// testdata/schema.txt.)
func TestPromisedColumns(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	for view, columns := range promised {
		for grain, period := range map[string]string{"hourly": "hour", "daily": "day", "monthly": "month"} {
			fill := strings.NewReplacer("{grain}", grain, "{period}", period, "{measures}", measures)
			name := fill.Replace(view)
			want := strings.Fields(fill.Replace(columns))
			for _, column := range h.rows(`SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 ORDER BY attnum`, "usage."+name) {
				if len(want) > 0 && column == want[0] {
					want = want[1:]
				}
			}
			if len(want) > 0 {
				t.Errorf("usage.%s has no %s, or not in this place", name, want[0])
			}
		}
	}
}

// A column's type follows from its name, so that clients see the same thing the same way in every view.
func TestColumnTypes(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	rules := []struct{ name, kind string }{ // the first that fits
		{`(_sid)$`, "character varying(34)"},
		{`^iso_country$`, "character varying(8)"},
		{`^(day|month|last_used_on)$`, "date"},
		{`^(hour|.*_at|.*_until|.*_from|valid_to|window_start|window_end|period_start|newest_period|oldest_hole)$`, "timestamp with time zone"},
		{`^billed_by_unit|total_billed_by_unit|identifiers|statuses|phase_seconds$`, "jsonb"},
		{`(_name|_unit|_metering)$|^(account|stream|family|grain|status|iccid|resource|field|kind|reason|raw|list_value|command|arguments|host|version|outcome|error)$`, "text"},
		{`billed$`, "numeric"},
		{`^(cost_per_mb|times_normal|score|waited_seconds|.*_share)$`, "numeric"},
		{`^(settled|reconciled|data_enabled)$`, "boolean"},
		{`^(data_limit|data_upload|data_download|.*_total|difference.*|total_upload|total_download|unattributed|.*_data_(upload|download))$`, "bigint"},
		{`^(run|rows.*|row_count|pages|rejected|requests|retries|throttled|holes|lost|sims.*)$`, "bigint"},
		{`^(pid|slices|unchanged|failed|left_due|days_until_wall|idle_days|days_used|hours_late)$`, "integer"},
		{`^exit_code$`, "smallint"},
	}
	columns := h.rows(`SELECT c.relname, a.attname, replace(format_type(a.atttypid, a.atttypmod), ' ', '_') FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
		WHERE c.relnamespace = 'usage'::regnamespace ORDER BY 1, a.attnum`)
	if len(columns) < 200 {
		t.Fatalf("%d columns", len(columns))
	}
	for _, line := range columns {
		f := strings.Fields(line)
		want := "nothing: give it a rule"
		for _, r := range rules {
			if regexp.MustCompile(r.name).MatchString(f[1]) {
				want = r.kind
				break
			}
		}
		if got := strings.ReplaceAll(f[2], "_", " "); got != want {
			t.Errorf("usage.%s.%s is %s, want %s", f[0], f[1], got, want)
		}
	}
}

// Everything in schema usage is a view, and each has a file of its own that begins with what it is.
func TestEachViewHasItsFile(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	files, _, err := viewFiles(false)
	if err != nil {
		t.Fatal(err)
	}
	var views []string
	for _, f := range files {
		if path.Dir(f.name) != "views" {
			continue
		}
		view, _ := f.view()
		views = append(views, view[1]+" v")
		if !strings.HasPrefix(f.text, "-- ") || !strings.Contains(f.text, "CREATE OR REPLACE VIEW usage."+view[1]+" AS\n") {
			t.Errorf("%s does not begin with what it is, or makes another view", f.name)
		}
	}
	equal(t, "views", h.rows(`SELECT relname, relkind FROM pg_class WHERE relnamespace = 'usage'::regnamespace ORDER BY relname COLLATE "C"`), views...)
}
