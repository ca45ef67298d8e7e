package deploy

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write dbt/sources.yml anew")

// keys are the columns that make a row of each view one of its kind; one with a "?" may be NULL. Two views have none: what
// they tell of may happen twice.
var keys = map[string]string{
	"country":             "iso_country",
	"drift":               "account resource field kind",
	"feeds":               "account family grain valid_from",
	"fleet":               "account_sid fleet_sid",
	"fleet_month_to_date": "account_sid fleet_sid billed_unit?",
	"freshness":           "account stream",
	"network":             "network_sid",
	"reconciliation":      "account stream window_start",
	"rejected":            "",
	"restatements":        "",
	"roaming_cost":        "account_sid month iso_country? network_sid? billed_unit?",
	"runs":                "run",
	"sim":                 "account_sid sim_sid",
	"sim_anomaly":         "account_sid sim_sid day",
	"sim_history":         "account_sid sim_sid valid_from",
	"sim_idle":            "account_sid sim_sid",
	"unbilled":            "account_sid sim_sid day",
}

// families are the views of usage: their key is what they are by, the time, and the currency.
var families = map[string]string{"total": "", "country": "iso_country ", "sim": "sim_sid ", "sim_country": "sim_sid iso_country ",
	"fleet": "fleet_sid ", "network": "network_sid "}

// recent keeps the tests of views with many rows from reading all of them: what is older was tested when it was new.
var recent = map[string]string{"hour": "hour >= now() - interval '3 days'", "day": "day >= current_date - 35"}

// loaded says for some views how dbt sees that they are fresh: when their newest row was loaded, among which rows to look,
// and the hours after which it warns and fails.
var loaded = map[string]struct {
	at, among   string
	warn, error int
}{
	"country_hourly": {"hour", "hour >= now() - interval '3 days'", 6, 24},
	"freshness":      {"last_success_at", "", 3, 24},
	"runs":           {"finished_at", "exit_code = 0 and command = 'sync'", 3, 24},
	"sim_hourly":     {"hour", "hour >= now() - interval '3 days'", 6, 24},
	"total_hourly":   {"hour", "hour >= now() - interval '3 days'", 6, 24},
}

// accepted are the columns that have few values.
var accepted = map[string]string{
	"drift.kind":   "new missing",
	"feeds.family": "total country sim sim_country fleet network",
	"feeds.grain":  "hour day month",
	"runs.outcome": "done partly failed stopped refused running killed",
}

// view is what the database says of a view of schema usage.
type view struct {
	name, comment string
	columns       []struct{ name, comment string }
}

// catalogue reads the views and their comments.
func catalogue(t *testing.T, conn *pgx.Conn) []view {
	t.Helper()
	var views []view
	for _, row := range ask(t, conn, `SELECT c.relname::text, obj_description(c.oid, 'pg_class'), a.attname::text, col_description(c.oid, a.attnum)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
		WHERE c.relnamespace = 'usage'::regnamespace AND c.relkind = 'v' ORDER BY c.relname, a.attnum`).rows {
		name := row[0].(string)
		if len(views) == 0 || views[len(views)-1].name != name {
			views = append(views, view{name: name, comment: row[1].(string)})
		}
		v := &views[len(views)-1]
		v.columns = append(v.columns, struct{ name, comment string }{row[2].(string), row[3].(string)})
	}
	return views
}

// key is the key of a view, which parts of it may be NULL, and the column of its time.
func (v view) key(t *testing.T) (columns []string, nullable map[string]bool, time string) {
	text, known := keys[v.name]
	for family, by := range families {
		for grain, column := range map[string]string{"hourly": "hour", "daily": "day", "monthly": "month"} {
			if v.name == family+"_"+grain {
				text, known = "account_sid "+by+column+" billed_unit?", true
			}
		}
	}
	if !known {
		t.Errorf("usage.%s: say in keys what makes its rows unique", v.name)
	}
	nullable = map[string]bool{}
	for _, c := range strings.Fields(text) {
		name, some := strings.CutSuffix(c, "?")
		columns, nullable[name] = append(columns, name), some
		if recent[name] != "" {
			time = name
		}
	}
	return columns, nullable, time
}

// sources is dbt/sources.yml as it should be: everything that the database says, and the tests that follow from the keys.
func sources(t *testing.T, views []view) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(`# The views of schema usage as sources of dbt. Descriptions are the comments of the views; go test ./deploy -update writes it.
version: 2
sources:
  - name: usage
    schema: usage
    description: "Data usage of Super SIM cards, kept equal to the API by simusage. Times are UTC, data is bytes."
    tables:
`)
	for _, v := range views {
		key, nullable, time := v.key(t)
		where := ""
		if time != "" {
			where = fmt.Sprintf("config: {where: %q}", recent[time])
		}
		fmt.Fprintf(&b, "      - name: %s\n        description: %q\n", v.name, v.comment)
		if l, some := loaded[v.name]; some {
			among := ""
			if l.among != "" {
				among = fmt.Sprintf(", filter: %q", l.among)
			}
			fmt.Fprintf(&b, "        config:\n          loaded_at_field: %s\n          freshness: {warn_after: {count: %d, period: hour}, error_after: {count: %d, period: hour}%s}\n", l.at, l.warn, l.error, among)
		}
		if len(key) > 1 {
			fmt.Fprintf(&b, "        data_tests:\n          - unique:\n              name: %s_key\n              arguments: {column_name: %q}\n", v.name, "jsonb_build_array("+strings.Join(key, ", ")+")")
			if where != "" {
				fmt.Fprintf(&b, "              %s\n", where)
			}
		}
		b.WriteString("        columns:\n")
		for _, c := range v.columns {
			fmt.Fprintf(&b, "          - name: %s\n            description: %q\n", c.name, c.comment)
			var tests []string
			if slices.Contains(key, c.name) && !nullable[c.name] {
				test := "not_null"
				if where != "" {
					test += ": {" + where + "}"
				}
				tests = append(tests, test)
			}
			if len(key) == 1 && key[0] == c.name {
				tests = append(tests, "unique")
			}
			if values := accepted[v.name+"."+c.name]; values != "" {
				tests = append(tests, "accepted_values: {arguments: {values: ["+strings.Join(strings.Fields(values), ", ")+"]}}")
			}
			if len(tests) > 0 {
				fmt.Fprintf(&b, "            data_tests:\n              - %s\n", strings.Join(tests, "\n              - "))
			}
		}
	}
	return b.String()
}

// The parts of dbt's property files that ours uses.
type (
	sourceFile struct {
		Version int `json:"version"`
		Sources []struct {
			Name        string        `json:"name"`
			Schema      string        `json:"schema"`
			Description string        `json:"description"`
			Tables      []sourceTable `json:"tables"`
		} `json:"sources"`
	}
	sourceTable struct {
		Name        string `json:"name"`
		Description string `json:"description"`
		Config      struct {
			LoadedAtField string `json:"loaded_at_field"`
			Freshness     struct {
				WarnAfter  period `json:"warn_after"`
				ErrorAfter period `json:"error_after"`
				Filter     string `json:"filter"`
			} `json:"freshness"`
		} `json:"config"`
		DataTests []dataTest `json:"data_tests"`
		Columns   []struct {
			Name        string `json:"name"`
			Description string `json:"description"`
			DataTests   []any  `json:"data_tests"`
		} `json:"columns"`
	}
	period struct {
		Count  int    `json:"count"`
		Period string `json:"period"`
	}
	dataTest struct {
		Unique *testUse `json:"unique"`
	}
	testUse struct {
		Name      string `json:"name"`
		Arguments struct {
			ColumnName string   `json:"column_name"`
			Values     []string `json:"values"`
		} `json:"arguments"`
		Config struct {
			Where string `json:"where"`
		} `json:"config"`
	}
)

func readSources(t *testing.T) []sourceTable {
	t.Helper()
	file := strict[sourceFile](t, "dbt/sources.yml")
	if file.Version != 2 || len(file.Sources) != 1 || file.Sources[0].Schema != "usage" || file.Sources[0].Name != "usage" {
		t.Fatalf("version %d, %d sources", file.Version, len(file.Sources))
	}
	return file.Sources[0].Tables
}

// dbt/sources.yml has every view and column that exists and no other, with their comments.
func TestSources(t *testing.T) {
	t.Parallel()
	conn := connect(t, empty(t), true)
	want := sources(t, catalogue(t, conn))
	if *update {
		if err := os.WriteFile("dbt/sources.yml", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, "dbt/sources.yml") != want {
		t.Error("dbt/sources.yml is not what the views say; go test ./deploy -update writes it anew")
	}
	there := map[string]bool{}
	for _, row := range ask(t, conn, `SELECT table_name::text || '.' || column_name::text FROM information_schema.columns WHERE table_schema = 'usage'`).rows {
		there[row[0].(string)] = true
	}
	for _, table := range readSources(t) {
		if table.Description == "" {
			t.Errorf("%s has no description", table.Name)
		}
		for _, c := range table.Columns {
			name := table.Name + "." + c.Name
			if !there[name] || c.Description == "" {
				t.Errorf("%s: exists: %v, description %q", name, there[name], c.Description)
			}
			delete(there, name)
		}
	}
	if len(there) > 0 {
		t.Errorf("dbt/sources.yml lacks %v", slices.Sorted(maps.Keys(there)))
	}
}

// The tests that dbt would run, as the queries that it makes of them, find nothing in a warehouse that a sync has filled.
func TestSourcesHold(t *testing.T) {
	t.Parallel()
	conn := connect(t, filled(t), true)
	tests := 0
	check := func(what, table, where, failures string) {
		t.Helper()
		tests++
		model := "usage." + table
		if where != "" {
			model = "(SELECT * FROM " + model + " WHERE " + where + ") dbt_subquery"
		}
		if rows := ask(t, conn, strings.ReplaceAll(failures, "{model}", model)).rows; len(rows) > 0 {
			t.Errorf("%s: %d failures, first %v", what, len(rows), rows[0])
		}
	}
	unique := `SELECT (%[1]s)::text, count(*) FROM {model} WHERE (%[1]s) IS NOT NULL GROUP BY %[1]s HAVING count(*) > 1`
	for _, table := range readSources(t) {
		for _, test := range table.DataTests {
			check(test.Unique.Name, table.Name, test.Unique.Config.Where, fmt.Sprintf(unique, test.Unique.Arguments.ColumnName))
		}
		for _, c := range table.Columns {
			for _, test := range c.DataTests {
				name, use := builtIn(t, test)
				sql := map[string]string{
					"unique":          fmt.Sprintf(unique, c.Name),
					"not_null":        `SELECT 'null' FROM {model} WHERE ` + c.Name + ` IS NULL`,
					"accepted_values": `SELECT ` + c.Name + `::text FROM {model} WHERE ` + c.Name + ` NOT IN ('` + strings.Join(use.Arguments.Values, `', '`) + `')`,
				}[name]
				if sql == "" {
					t.Fatalf("%s.%s: dbt has no test %s of its own", table.Name, c.Name, name)
				}
				check(name+" "+table.Name+"."+c.Name, table.Name, use.Config.Where, sql)
			}
		}
		f := table.Config
		if f.LoadedAtField == "" {
			continue
		}
		if f.Freshness.WarnAfter.Count <= 0 || f.Freshness.WarnAfter.Count >= f.Freshness.ErrorAfter.Count {
			t.Errorf("%s: freshness %+v", table.Name, f.Freshness)
		}
		where := ""
		if f.Freshness.Filter != "" {
			where = " WHERE " + f.Freshness.Filter
		}
		age := ask(t, conn, `SELECT extract(epoch FROM current_timestamp - max(`+f.LoadedAtField+`)) / 3600 FROM usage.`+table.Name+where).rows[0][0]
		if hours, some := age.(float64); !some || hours >= float64(f.Freshness.WarnAfter.Count) {
			t.Errorf("%s: %v hours old after a sync", table.Name, age)
		}
	}
	if tests < 100 {
		t.Errorf("%d tests", tests)
	}
}

// builtIn is a test of a column: its name alone, or with what it is given.
func builtIn(t *testing.T, test any) (string, testUse) {
	t.Helper()
	if name, plain := test.(string); plain {
		return name, testUse{}
	}
	text, err := yaml.Marshal(test)
	if err != nil {
		t.Fatal(err)
	}
	var uses map[string]testUse
	if err := yaml.UnmarshalStrict(text, &uses); err != nil || len(uses) != 1 {
		t.Fatalf("%s: %v", text, err)
	}
	for name, use := range uses {
		return name, use
	}
	return "", testUse{}
}
