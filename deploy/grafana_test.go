package deploy

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// The parts of Grafana's dashboards that ours uses. Grafana ignores what it does not know, so a misspelt field would go
// unnoticed; here it does not decode.
type (
	dashboard struct {
		UID           string                `json:"uid"`
		Title         string                `json:"title"`
		Description   string                `json:"description"`
		Timezone      string                `json:"timezone"`
		Refresh       string                `json:"refresh"`
		Tags          []string              `json:"tags"`
		SchemaVersion int                   `json:"schemaVersion"`
		Version       int                   `json:"version"`
		GraphTooltip  int                   `json:"graphTooltip"`
		Editable      bool                  `json:"editable"`
		Time          map[string]string     `json:"time"`
		Annotations   map[string][]any      `json:"annotations"`
		Links         []any                 `json:"links"`
		Templating    map[string][]variable `json:"templating"`
		Panels        []panel               `json:"panels"`
	}
	source struct {
		Type string `json:"type"`
		UID  string `json:"uid"`
	}
	variable struct {
		Type        string         `json:"type"`
		Name        string         `json:"name"`
		Label       string         `json:"label"`
		Description string         `json:"description"`
		Query       string         `json:"query"`
		Definition  string         `json:"definition"`
		Datasource  source         `json:"datasource"`
		Refresh     int            `json:"refresh"`
		Multi       bool           `json:"multi"`
		IncludeAll  bool           `json:"includeAll"`
		AllValue    string         `json:"allValue"`
		Current     map[string]any `json:"current"`
		Options     []any          `json:"options"`
		Regex       string         `json:"regex"`
		Sort        int            `json:"sort"`
		Hide        int            `json:"hide"`
		SkipURLSync bool           `json:"skipUrlSync"`
	}
	panel struct {
		ID          int     `json:"id"`
		Type        string  `json:"type"`
		Title       string  `json:"title"`
		Description string  `json:"description"`
		Datasource  source  `json:"datasource"`
		Collapsed   bool    `json:"collapsed"`
		Panels      []panel `json:"panels"`
		GridPos     struct {
			X int `json:"x"`
			Y int `json:"y"`
			W int `json:"w"`
			H int `json:"h"`
		} `json:"gridPos"`
		Targets     []target `json:"targets"`
		FieldConfig struct {
			Defaults struct {
				Unit       string   `json:"unit"`
				Mappings   any      `json:"mappings"`
				Min        *float64 `json:"min"`
				Thresholds any      `json:"thresholds"`
				Color      any      `json:"color"`
				Custom     any      `json:"custom"`
			} `json:"defaults"`
			Overrides []struct {
				Matcher    map[string]string `json:"matcher"`
				Properties []struct {
					ID    string `json:"id"`
					Value any    `json:"value"`
				} `json:"properties"`
			} `json:"overrides"`
		} `json:"fieldConfig"`
		Options map[string]any `json:"options"`
	}
	target struct {
		RefID      string `json:"refId"`
		Datasource source `json:"datasource"`
		EditorMode string `json:"editorMode"`
		Format     string `json:"format"`
		RawQuery   bool   `json:"rawQuery"`
		RawSQL     string `json:"rawSql"`
	}
)

// postgresSource is the data source of every panel: the plugin, and the one that is chosen at the top.
var postgresSource = source{Type: "grafana-postgresql-datasource", UID: "${datasource}"}

// readDashboard decodes the dashboard, and takes no field that the types above do not have.
func readDashboard(t *testing.T) dashboard {
	t.Helper()
	if found := regexp.MustCompile(`[a-z]+://|href`).FindString(read(t, "grafana/dashboards/simusage.json")); found != "" {
		t.Errorf("the dashboard leads outside: %s", found)
	}
	return strict[dashboard](t, "grafana/dashboards/simusage.json")
}

func TestDashboardLayout(t *testing.T) {
	d := readDashboard(t)
	if d.UID != "simusage" || d.Title == "" || d.Timezone != "utc" || d.Time["from"] == "" || d.Time["to"] != "now" {
		t.Errorf("dashboard %q %q, %s, from %s to %s", d.UID, d.Title, d.Timezone, d.Time["from"], d.Time["to"])
	}
	ids, titles := map[int]string{}, map[string]bool{}
	taken := map[[2]int]string{}
	for _, p := range d.Panels {
		if p.ID <= 0 || ids[p.ID] != "" || p.Title == "" || titles[p.Title] {
			t.Errorf("panel %d %q: the id or title is missing, or that of another panel", p.ID, p.Title)
		}
		ids[p.ID], titles[p.Title] = p.Title, true
		g := p.GridPos
		if g.X < 0 || g.Y < 0 || g.W <= 0 || g.H <= 0 || g.X+g.W > 24 {
			t.Errorf("%s: position %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other, full := taken[[2]int{x, y}]; full {
					t.Fatalf("%s lies over %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
	if first := d.Panels[0]; first.Type != "row" || !strings.Contains(first.Title, "trusted") {
		t.Errorf("the first row is %q, not trust", first.Title)
	}
}

func TestDashboardPanels(t *testing.T) {
	for _, p := range readDashboard(t).Panels {
		if p.Type == "row" {
			if len(p.Targets) > 0 || len(p.Panels) > 0 {
				t.Errorf("row %s holds something", p.Title)
			}
			continue
		}
		if !slices.Contains([]string{"stat", "table", "timeseries"}, p.Type) || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource != postgresSource {
			t.Errorf("%s: type %q, description %q, unit %q, data source %v", p.Title, p.Type, p.Description, p.FieldConfig.Defaults.Unit, p.Datasource)
		}
		if len(p.Targets) != 1 {
			t.Fatalf("%s: %d queries, want 1", p.Title, len(p.Targets))
		}
		q := p.Targets[0]
		format := map[bool]string{true: "time_series", false: "table"}[p.Type == "timeseries"]
		if q.RefID != "A" || !q.RawQuery || q.EditorMode != "code" || q.Format != format || q.Datasource != postgresSource {
			t.Errorf("%s: query %+v, want format %s", p.Title, q, format)
		}
	}
}

func TestDashboardVariables(t *testing.T) {
	var names []string
	for _, v := range readDashboard(t).Templating["list"] {
		names = append(names, v.Name)
		if v.Label == "" || v.Description == "" || v.Hide != 0 {
			t.Errorf("%s: label %q, description %q, hidden %d", v.Name, v.Label, v.Description, v.Hide)
		}
		if v.Type == "datasource" {
			if v.Query != postgresSource.Type || "${"+v.Name+"}" != postgresSource.UID {
				t.Errorf("%s: lists data sources of type %s", v.Name, v.Query)
			}
			continue
		}
		if v.Type != "query" || v.Datasource != postgresSource || v.Query != v.Definition || !v.Multi || !v.IncludeAll {
			t.Errorf("%s: %+v", v.Name, v)
		}
		// Grafana puts this in as it is, where chosen values are quoted; the queries look for it.
		if v.AllValue != `'all'` {
			t.Errorf("%s: All is %s", v.Name, v.AllValue)
		}
		if ranged := strings.Contains(v.Query, "$__time"); ranged != (v.Refresh == 2) {
			t.Errorf("%s: refresh %d, depends on the time range: %v", v.Name, v.Refresh, ranged)
		}
	}
	if want := []string{"datasource", "account", "fleet", "country"}; !slices.Equal(names, want) {
		t.Errorf("variables %v, want %v", names, want)
	}
}

// The data source that is provisioned has the name that the dashboard begins with and the password of nobody.
func TestDataSource(t *testing.T) {
	file := strict[struct {
		APIVersion  int `json:"apiVersion"`
		Datasources []struct {
			Name     string `json:"name"`
			UID      string `json:"uid"`
			Type     string `json:"type"`
			Access   string `json:"access"`
			URL      string `json:"url"`
			User     string `json:"user"`
			JSONData struct {
				Database        string `json:"database"`
				SSLMode         string `json:"sslmode"`
				PostgresVersion int    `json:"postgresVersion"`
				TimescaleDB     bool   `json:"timescaledb"`
				MaxOpenConns    int    `json:"maxOpenConns"`
				MaxIdleConns    int    `json:"maxIdleConns"`
				ConnMaxLifetime int    `json:"connMaxLifetime"`
			} `json:"jsonData"`
			SecureJSONData map[string]string `json:"secureJsonData"`
		} `json:"datasources"`
	}](t, "grafana/provisioning/datasources/simusage.yaml")
	if file.APIVersion != 1 || len(file.Datasources) != 1 {
		t.Fatalf("version %d, %d data sources", file.APIVersion, len(file.Datasources))
	}
	s := file.Datasources[0]
	if s.UID != readDashboard(t).Templating["list"][0].Current["value"] || s.Type != postgresSource.Type || s.Access != "proxy" {
		t.Errorf("data source %s of type %s by %s", s.UID, s.Type, s.Access)
	}
	for what, value := range map[string]string{"host": s.URL, "password": s.SecureJSONData["password"], "TLS": s.JSONData.SSLMode} {
		name := strings.Trim(value, "${}")
		if value != "${"+name+"}" {
			t.Errorf("%s: %q does not come from the environment", what, value)
		}
		if readme := read(t, "grafana/README.md"); !strings.Contains(readme, "`"+name+"`") {
			t.Errorf("grafana/README.md does not name %s", name)
		}
	}
	if roles := read(t, "ROLES.md"); !strings.Contains(roles, "CREATE ROLE "+s.User+" LOGIN IN ROLE usage_reader") {
		t.Errorf("ROLES.md makes no reader %s", s.User)
	}
	if roles := read(t, "ROLES.md"); !strings.Contains(roles, "CREATE DATABASE "+s.JSONData.Database+" ") {
		t.Errorf("ROLES.md makes no database %s", s.JSONData.Database)
	}
}

func TestDashboardProvider(t *testing.T) {
	file := strict[struct {
		APIVersion int `json:"apiVersion"`
		Providers  []struct {
			Name                  string            `json:"name"`
			OrgID                 int               `json:"orgId"`
			Folder                string            `json:"folder"`
			Type                  string            `json:"type"`
			DisableDeletion       bool              `json:"disableDeletion"`
			AllowUIUpdates        bool              `json:"allowUiUpdates"`
			UpdateIntervalSeconds int               `json:"updateIntervalSeconds"`
			Options               map[string]string `json:"options"`
		} `json:"providers"`
	}](t, "grafana/provisioning/dashboards/simusage.yaml")
	if file.APIVersion != 1 || len(file.Providers) != 1 || file.Providers[0].Type != "file" || file.Providers[0].Options["path"] != "${USAGE_DASHBOARDS}" {
		t.Errorf("%+v", file)
	}
	if readme := read(t, "grafana/README.md"); !strings.Contains(readme, "`USAGE_DASHBOARDS`") {
		t.Error("grafana/README.md does not name USAGE_DASHBOARDS")
	}
}

// strict decodes YAML or JSON, and takes no field that the type does not have, nor one in another case or twice.
func strict[T any](t *testing.T, file string) T {
	t.Helper()
	var v T
	text, err := yaml.YAMLToJSONStrict([]byte(read(t, file)))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	problems, err := json.UnmarshalStrict(text, &v)
	if err = errors.Join(append(problems, err)...); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return v
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
