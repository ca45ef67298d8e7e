package deploy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/jackc/pgx/v5"
)

// The parts of Grafana's provisioned alert rules that ours use.
type (
	ruleFile struct {
		APIVersion int `json:"apiVersion"`
		Groups     []struct {
			OrgID    int    `json:"orgId"`
			Name     string `json:"name"`
			Folder   string `json:"folder"`
			Interval string `json:"interval"`
			Rules    []rule `json:"rules"`
		} `json:"groups"`
	}
	rule struct {
		UID          string            `json:"uid"`
		Title        string            `json:"title"`
		Condition    string            `json:"condition"`
		Data         []ruleData        `json:"data"`
		For          string            `json:"for"`
		NoDataState  string            `json:"noDataState"`
		ExecErrState string            `json:"execErrState"`
		DashboardUID string            `json:"dashboardUid"`
		PanelID      int               `json:"panelId"`
		Labels       map[string]string `json:"labels"`
		Annotations  map[string]string `json:"annotations"`
	}
	ruleData struct {
		RefID             string `json:"refId"`
		DatasourceUID     string `json:"datasourceUid"`
		RelativeTimeRange struct {
			From int `json:"from"`
			To   int `json:"to"`
		} `json:"relativeTimeRange"`
		Model struct {
			RefID      string `json:"refId"`
			EditorMode string `json:"editorMode"`
			Format     string `json:"format"`
			RawQuery   bool   `json:"rawQuery"`
			RawSQL     string `json:"rawSql"`
			Type       string `json:"type"`
			Expression string `json:"expression"`
			Reducer    string `json:"reducer"`
			Conditions []struct {
				Evaluator struct {
					Type   string    `json:"type"`
					Params []float64 `json:"params"`
				} `json:"evaluator"`
			} `json:"conditions"`
		} `json:"model"`
	}
)

func readRules(t *testing.T) []rule {
	t.Helper()
	file := strict[ruleFile](t, "grafana/provisioning/alerting/simusage.yaml")
	if file.APIVersion != 1 || len(file.Groups) != 1 || file.Groups[0].Interval != "5m" || file.Groups[0].Folder == "" {
		t.Fatalf("version %d, %d groups", file.APIVersion, len(file.Groups))
	}
	return file.Groups[0].Rules
}

// Each rule is a query, its last value and a threshold; belongs to a panel; and says what is wrong and which command of
// the program mends it.
func TestAlertRules(t *testing.T) {
	ids := map[string]bool{}
	commands := regexp.MustCompile("`simusage ([a-z]+)[^`]*`")
	readme := read(t, "grafana/README.md")
	for _, r := range readRules(t) {
		if r.UID == "" || len(r.UID) > 40 || ids[r.UID] || r.Labels["severity"] == "" || r.ExecErrState != "Error" || !slices.Contains([]string{"OK", "Alerting"}, r.NoDataState) {
			t.Errorf("%s: %+v", r.UID, r)
		}
		ids[r.UID] = true
		if wait, err := time.ParseDuration(r.For); err != nil || wait < 5*time.Minute {
			t.Errorf("%s: for %s: %v", r.UID, r.For, err)
		}
		if len(r.Data) != 3 {
			t.Fatalf("%s: %d steps, want a query, a reduction and a threshold", r.UID, len(r.Data))
		}
		query, last, threshold := r.Data[0], r.Data[1], r.Data[2]
		if query.RefID != "A" || query.Model.RefID != "A" || query.DatasourceUID != "simusage" || query.Model.Format != "time_series" || !query.Model.RawQuery {
			t.Errorf("%s: query %+v", r.UID, query)
		}
		if last.RefID != "B" || last.Model.RefID != "B" || last.DatasourceUID != "__expr__" || last.Model.Type != "reduce" || last.Model.Reducer != "last" || last.Model.Expression != "A" {
			t.Errorf("%s: reduction %+v", r.UID, last)
		}
		if threshold.RefID != "C" || threshold.Model.RefID != "C" || threshold.DatasourceUID != "__expr__" || threshold.Model.Type != "threshold" || threshold.Model.Expression != "B" || r.Condition != "C" {
			t.Errorf("%s: threshold %+v", r.UID, threshold)
		}
		if !slices.ContainsFunc(readDashboard(t).Panels, func(p panel) bool { return p.ID == r.PanelID && p.Type != "row" }) || r.DashboardUID != readDashboard(t).UID {
			t.Errorf("%s: no panel %d of %s", r.UID, r.PanelID, r.DashboardUID)
		}
		named := commands.FindAllStringSubmatch(r.Annotations["description"], -1)
		if len(named) == 0 || r.Annotations["summary"] == "" {
			t.Errorf("%s: says not what to do: %v", r.UID, r.Annotations)
		}
		for _, c := range named {
			if !strings.Contains(programSource(t), `"`+c[1]+`"`) {
				t.Errorf("%s: the program has no command %s", r.UID, c[1])
			}
		}
		if !strings.Contains(readme, r.Title) {
			t.Errorf("grafana/README.md does not explain %q", r.Title)
		}
	}
}

// value is a value as Grafana's templates see it.
type value struct{ Value float64 }

func (v value) String() string { return fmt.Sprint(v.Value) }

// firing evaluates a rule as Grafana does, and returns the summary of each instance that fires; all says how many there are.
func firing(t *testing.T, conn *pgx.Conn, r rule) (summaries []string, all int) {
	t.Helper()
	now, span := time.Now(), r.Data[0].RelativeTimeRange
	back := func(seconds int) time.Time { return now.Add(-time.Duration(seconds) * time.Second) }
	a := ask(t, conn, request{from: back(span.From), to: back(span.To)}.sql(t, r.Data[0].Model.RawSQL))
	if a.columns[0] != "time" || a.kinds[0] != "time" {
		t.Errorf("%s: columns %v are no time series", r.UID, a.columns)
	}
	number := slices.Index(a.kinds, "number")
	if slices.Contains(a.kinds[number+1:], "number") || slices.Contains(a.kinds, "other") || slices.Contains(a.kinds[1:], "time") {
		t.Fatalf("%s: %v are not one number and its labels", r.UID, a.kinds)
	}
	seen := map[string]bool{}
	for _, row := range a.rows {
		labels := map[string]string{}
		for i, name := range a.columns {
			if a.kinds[i] == "text" {
				labels[name] = row[i].(string)
			}
		}
		if key := fmt.Sprint(labels); seen[key] {
			t.Errorf("%s: two rows for %s", r.UID, key)
		} else {
			seen[key] = true
		}
		got, e := row[number].(float64), r.Data[2].Model.Conditions[0].Evaluator
		if (e.Type == "gt" && got > e.Params[0]) || (e.Type == "lt" && got < e.Params[0]) {
			summaries = append(summaries, expand(t, r.Annotations["summary"], labels, got))
		}
		expand(t, r.Annotations["description"], labels, got)
	}
	return summaries, len(a.rows)
}

// expand fills in an annotation. A dollar sign would be taken for a variable of the environment when the file is read.
func expand(t *testing.T, text string, labels map[string]string, b float64) string {
	t.Helper()
	if strings.Contains(text, "$") {
		t.Errorf("annotation with a dollar sign: %s", text)
	}
	parsed, err := template.New("annotation").Option("missingkey=error").Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := parsed.Execute(&out, map[string]any{"Labels": labels, "Values": map[string]value{"B": {b}}}); err != nil {
		t.Error(err)
	}
	return out.String()
}

// Nothing fires after a sync, and of each trouble there is an alert.
func TestAlertsFire(t *testing.T) {
	t.Parallel()
	for trouble, c := range map[string]struct {
		sql  string
		want []string // the rules that fire, and how their summary begins
	}{
		"none":                    {},
		"no sync since yesterday": {`DELETE FROM simusage.slice WHERE window_end > now() - interval '1 day'`, []string{"simusage-freshness: hour/"}},
		"a slice that says too little": {`UPDATE simusage.slice_sum SET data_total = data_total - 7 WHERE slice_id = (SELECT slice.id FROM simusage.slice JOIN simusage.stream ON stream.id = stream_id
			WHERE stream.name = 'hour/sim@country' AND row_count > 0 AND remainder IS NULL AND window_end < now() - interval '6 days' ORDER BY window_start LIMIT 1)`,
			[]string{"simusage-reconciliation: 1 slices of hour/sim@country"}},
		"a slice of yesterday that says too little": {`UPDATE simusage.slice_sum SET data_total = data_total - 7 WHERE slice_id = (SELECT slice.id FROM simusage.slice JOIN simusage.stream ON stream.id = stream_id
			WHERE stream.name = 'hour/sim@country' AND row_count > 0 AND window_end < now() ORDER BY window_start DESC LIMIT 1)`, nil},
		"a day without money": {`UPDATE simusage.usage_daily SET billed_unit_id = 0, data_total_billed = 0 WHERE period_start = (now() AT TIME ZONE 'UTC')::date - 10`,
			[]string{"simusage-unbilled: "}},
		"a hole at the wall": {`INSERT INTO simusage.slice (stream_id, window_start, window_end)
			SELECT id, d AT TIME ZONE 'UTC', (d + interval '1 day') AT TIME ZONE 'UTC' FROM simusage.stream,
				LATERAL (SELECT ((now() AT TIME ZONE 'UTC')::date - 539 + 9)::timestamp) AS wall(d) WHERE name = 'hour/total'`,
			[]string{"simusage-freshness: hour/total", "simusage-wall: The API forgets the oldest hole of hour/total of " + world.AccountSID() + " in 9 days"}},
	} {
		t.Run(trouble, func(t *testing.T) {
			t.Parallel()
			url := filled(t)
			execute(t, connect(t, url, false), c.sql)
			conn := connect(t, url, true)
			want := slices.Clone(c.want)
			for _, r := range readRules(t) {
				summaries, all := firing(t, conn, r)
				if all == 0 {
					t.Errorf("%s: no data, in trouble or not", r.UID)
				}
				if len(summaries) == 0 {
					continue
				}
				i := slices.IndexFunc(want, func(w string) bool { return strings.HasPrefix(r.UID+": "+summaries[0], w) })
				if i < 0 {
					t.Errorf("%s fires: %s", r.UID, summaries)
					continue
				}
				want = slices.Delete(want, i, i+1)
			}
			if len(want) > 0 {
				t.Errorf("does not fire: %v", want)
			}
		})
	}
}

// In a warehouse that was never filled there is no data: that alone is what freshness tells.
func TestAlertsOfNothing(t *testing.T) {
	t.Parallel()
	conn := connect(t, empty(t), true)
	for _, r := range readRules(t) {
		if _, all := firing(t, conn, r); all != 0 {
			t.Errorf("%s: %d rows", r.UID, all)
		}
		if alerting := r.NoDataState == "Alerting"; alerting != (r.UID == "simusage-freshness") {
			t.Errorf("%s: without data it is %s", r.UID, r.NoDataState)
		}
	}
}
