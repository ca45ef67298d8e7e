package deploy

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// request is what a query is asked with in Grafana: the time range, and what is chosen for each variable; nil is All.
type request struct {
	from, to                time.Time
	account, fleet, country []string
}

var (
	variableUse = regexp.MustCompile(`\$\{(\w+):sqlstring\}`)
	macroUse    = regexp.MustCompile(`\$(\w+)\(([^)]*)\)`)
)

// sql is the query as Postgres gets it: first the browser puts in the variables, then the server the macros. Time macros
// are literals in UTC without a type.
func (r request) sql(t *testing.T, text string) string {
	t.Helper()
	chosen := map[string][]string{"account": r.account, "fleet": r.fleet, "country": r.country}
	text = variableUse.ReplaceAllStringFunc(text, func(use string) string {
		values, known := chosen[variableUse.FindStringSubmatch(use)[1]]
		if !known {
			t.Errorf("no variable for %s", use)
		}
		if values == nil {
			return `'all'`
		}
		var quoted []string
		for _, v := range values {
			quoted = append(quoted, `'`+strings.ReplaceAll(v, `'`, `''`)+`'`)
		}
		return strings.Join(quoted, ",")
	})
	literal := func(at time.Time) string { return `'` + at.UTC().Format(time.RFC3339Nano) + `'` }
	text = macroUse.ReplaceAllStringFunc(text, func(use string) string {
		parts := macroUse.FindStringSubmatch(use)
		switch parts[1] {
		case "__timeFilter":
			return parts[2] + " BETWEEN " + literal(r.from) + " AND " + literal(r.to)
		case "__timeFrom":
			return literal(r.from)
		case "__timeTo":
			return literal(r.to)
		}
		t.Errorf("no macro for %s", use)
		return use
	})
	if strings.Contains(text, "$") {
		t.Errorf("something is left for Grafana to put in:\n%s", text)
	}
	return text
}

// asked are all queries of the dashboard, by the title of their panel or the name of their variable.
func asked(t *testing.T) map[string]string {
	t.Helper()
	d := readDashboard(t)
	queries := map[string]string{}
	for _, v := range d.Templating["list"] {
		if v.Type == "query" {
			queries["variable "+v.Name] = v.Query
		}
	}
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			queries[p.Title] = q.RawSQL
		}
	}
	return queries
}

// Each query answers a reader, whatever is chosen, with what its panel is made for.
func TestDashboardQueries(t *testing.T) {
	t.Parallel()
	conn := connect(t, filled(t), true)
	for what, request := range map[string]request{
		"all":      {},
		"one each": {account: []string{world.AccountSID()}, fleet: []string{world.Fleets()[0].SID}, country: []string{"DE"}},
		"several":  {account: []string{world.AccountSID(), "AC'"}, fleet: []string{world.Fleets()[0].SID, `'); DROP TABLE x; --`}, country: []string{"DE", "FR"}},
	} {
		request.from, request.to = daysBefore(30), time.Now()
		for name, query := range asked(t) {
			a := ask(t, conn, request.sql(t, query))
			if len(a.rows) == 0 {
				t.Errorf("%s, %s: no rows", name, what)
			}
			if strings.HasPrefix(name, "variable ") && !slices.Equal(a.columns, []string{"__value", "__text"}) {
				t.Errorf("%s: columns %v", name, a.columns)
			}
		}
		for _, p := range readDashboard(t).Panels {
			if p.Type != "row" {
				checkAnswer(t, p, ask(t, conn, request.sql(t, p.Targets[0].RawSQL)))
			}
		}
	}
}

// checkAnswer holds the columns of an answer against what Grafana makes of them.
func checkAnswer(t *testing.T, p panel, a answer) {
	t.Helper()
	if slices.Contains(a.kinds, "other") {
		t.Errorf("%s: columns %v of kinds %v, which Grafana cannot show", p.Title, a.columns, a.kinds)
	}
	switch p.Type {
	case "stat":
		if len(a.rows) != 1 || !slices.Equal(a.kinds, []string{"number"}) {
			t.Errorf("%s: %d rows of %v, want one number", p.Title, len(a.rows), a.kinds)
		}
	case "timeseries":
		// A long series is sorted by time, and named by a text column "metric" if it is the only other one.
		if a.columns[0] != "time" || a.kinds[0] != "time" || slices.Contains(a.kinds[2:], "text") || (a.kinds[1] == "text" && (a.columns[1] != "metric" || len(a.columns) != 3)) {
			t.Errorf("%s: columns %v of kinds %v are no time series", p.Title, a.columns, a.kinds)
		}
		if !slices.IsSortedFunc(a.rows, func(x, y []any) int { return x[0].(time.Time).Compare(y[0].(time.Time)) }) {
			t.Errorf("%s: not sorted by time", p.Title)
		}
	}
	for _, o := range p.FieldConfig.Overrides {
		if o.Matcher["id"] != "byName" || !slices.Contains(a.columns, o.Matcher["options"]) {
			t.Errorf("%s: nothing to override by %v among %v", p.Title, o.Matcher, a.columns)
		}
	}
}

// What the panels for trouble show is the trouble that the world has, and what the panels for usage show is all of it.
func TestDashboardAnswers(t *testing.T) {
	t.Parallel()
	conn := connect(t, filled(t), true)
	queries := asked(t)
	all := request{from: daysBefore(30), to: time.Now()}
	column := func(r request, panel, name string) []any {
		t.Helper()
		return ask(t, conn, r.sql(t, queries[panel])).column(t, name)
	}
	for panel, want := range map[string]float64{"Holes": 0, "Slices that do not agree": 0} {
		if got := ask(t, conn, all.sql(t, queries[panel])).rows[0][0]; got != want {
			t.Errorf("%s: %v, want %v", panel, got, want)
		}
	}
	if explained := ask(t, conn, `SELECT count(*) FROM usage.reconciliation WHERE NOT reconciled`).rows[0][0].(float64); explained == 0 {
		t.Error("no slice differs from its total with the difference shown without a name: nothing to tell apart")
	}
	if got := ask(t, conn, all.sql(t, queries["Unbilled"])).rows[0][0].(float64); got <= 0 {
		t.Errorf("unbilled: %v bytes", got)
	}
	elsewhere := all
	elsewhere.fleet = []string{world.Fleets()[1].SID}
	for panel, sim := range map[string]string{"Out of the ordinary": odd, "Idle SIMs": silent, "Top SIMs": odd} {
		if got := column(all, panel, "SIM"); !slices.Contains(got, any(sim)) {
			t.Errorf("%s: %v, want %s among them", panel, got, sim)
		}
		if got := column(elsewhere, panel, "SIM"); slices.Contains(got, any(sim)) {
			t.Errorf("%s of another fleet: %v, which has %s", panel, got, sim)
		}
	}
	sum := func(values []any) (total float64) {
		for _, v := range values {
			total += v.(float64)
		}
		return total
	}
	want := sum(ask(t, conn, all.sql(t, `SELECT sum(data_total) AS bytes FROM usage.total_daily WHERE $__timeFilter(day)`)).column(t, "bytes"))
	if got := sum(column(all, "Usage by day and country", "bytes")); got != want {
		t.Errorf("usage by day: %v bytes, the total says %v", got, want)
	}
	if got := sum(column(all, "Usage by hour", "upload")) + sum(column(all, "Usage by hour", "download")); got != want {
		t.Errorf("usage by hour: %v bytes, the total says %v", got, want)
	}
	// What the SIMs of each fleet used in each country is all that is known of both.
	want = sum(ask(t, conn, all.sql(t, `SELECT sum(data_total) AS bytes FROM usage.sim_country_daily WHERE $__timeFilter(day) AND sim_sid <> ''`)).column(t, "bytes"))
	all.fleet = []string{}
	for _, f := range world.Fleets() {
		all.fleet = append(all.fleet, f.SID)
	}
	if got := sum(column(all, "Usage by day and country", "bytes")); got != want {
		t.Errorf("usage by day of all fleets, one by one: %v bytes, want %v", got, want)
	}
}

// partition is the name of a table of facts of one month.
var partition = regexp.MustCompile(`^usage_(hourly|daily)_(\d{4}_\d{2})$`)

// What is asked with a time range reads no month outside of it, but for the four weeks that a day is compared with, and no
// hour where days will do.
func TestDashboardReadsItsMonthsOnly(t *testing.T) {
	t.Parallel()
	conn := connect(t, filled(t), true)
	month := daysBefore(1).AddDate(0, 0, 1-daysBefore(1).Day())
	found := map[string]bool{}
	for name, query := range asked(t) {
		if !strings.Contains(query, "$__time") {
			continue
		}
		for what, r := range map[string]request{"all": {}, "one fleet": {fleet: []string{world.Fleets()[0].SID}}, "one country": {country: []string{"DE"}}} {
			r.from, r.to = month, time.Now()
			first := r.from
			if strings.Contains(query, "usage.sim_anomaly") {
				first = first.AddDate(0, 0, -28)
			}
			for table := range readTables(t, conn, r.sql(t, query)) {
				parts := partition.FindStringSubmatch(table)
				if parts == nil {
					continue
				}
				found[parts[1]] = true
				if parts[2] < first.Format("2006_01") || parts[2] > r.to.UTC().Format("2006_01") {
					t.Errorf("%s, %s: reads %s, asked from %s", name, what, table, r.from.Format(time.DateOnly))
				}
				if parts[1] == "hourly" && !strings.Contains(query, "_hourly") {
					t.Errorf("%s, %s: reads %s", name, what, table)
				}
			}
		}
	}
	if !found["hourly"] || !found["daily"] {
		t.Errorf("facts that were read: %v", found)
	}
}

// readTables runs a query and says which tables it has read.
func readTables(t *testing.T, conn *pgx.Conn, query string) map[string]bool {
	t.Helper()
	var plan []struct{ Plan node }
	if err := conn.QueryRow(t.Context(), `EXPLAIN (ANALYZE, FORMAT JSON) `+query).Scan(&plan); err != nil {
		t.Fatalf("%v\n%s", err, query)
	}
	tables := map[string]bool{}
	plan[0].Plan.read(tables)
	return tables
}

// node is a node of a plan.
type node struct {
	Relation string  `json:"Relation Name"`
	Loops    float64 `json:"Actual Loops"`
	Plans    []node
}

func (n node) read(tables map[string]bool) {
	if n.Relation != "" && n.Loops > 0 {
		tables[n.Relation] = true
	}
	for _, child := range n.Plans {
		child.read(tables)
	}
}

// In a warehouse that is there and empty, every query answers, with nothing.
func TestDashboardOfNothing(t *testing.T) {
	t.Parallel()
	conn := connect(t, empty(t), true)
	for _, query := range slices.Sorted(maps.Values(asked(t))) {
		ask(t, conn, request{from: daysBefore(30), to: time.Now()}.sql(t, query))
	}
}
