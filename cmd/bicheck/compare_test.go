package main

import (
	"strings"
	"testing"
)

// sample is a small truth, and a client that sees just that.
func sample() (truth, client, seen) {
	t := truth{
		views: map[string]string{"sim_daily": "Usage by SIM and day."},
		columns: []column{
			column{view: "sim_daily", name: "sim_sid", kind: "character varying(34)", comment: "SID of the SIM."}.sized(),
			{view: "sim_daily", name: "data_total", kind: "bigint", comment: "Bytes."},
		},
		questions: []question{{name: "sim_daily", columns: []string{"sim_sid", "data_total"}, rows: [][]string{{"HS1", "9007199254740993"}, {"HS2", null}}},
			{name: byMonth, rows: [][]string{{"2026-10-01", "DE", "12"}, {"2026-11-01", "FR", "27021598257932110"}}, columns: []string{"month", "iso_country", "bytes"}}},
		refused:  []question{{name: "read the machine room", sql: "SELECT 1 FROM simusage.sim"}},
		imported: question{columns: []string{"sim_name", "data_total"}, rows: [][]string{{"a\tb", "12"}}},
	}
	c := client{types: map[string]string{"character varying": "VARCHAR", "bigint": "BIGINT"}, calc: true}
	s, err := understand(strings.NewReader(`driver,Sample 1.0
view,sim_daily,Usage by SIM and day.
column,sim_daily,sim_sid,VARCHAR,34,SID of the SIM.
column,sim_daily,data_total,BIGINT,19,Bytes.
answer,sim_daily,HS1,9007199254740993
answer,sim_daily,HS2,\N
answer,countries by month,2026-10-01,DE,12
answer,countries by month,2026-11-01,FR,27021598257932110
refused,read the machine room,42501,permission denied for schema simusage
cell,sim_name,data_total
cell,"a` + "\x01" + `b",12
pivot,iso_country,46296,46327
pivot,DE,12,
pivot,FR,,27021598257932100
`))
	if err != nil {
		panic(err)
	}
	return t, c, s
}

func TestNothingDiffers(t *testing.T) {
	t.Parallel()
	want, c, got := sample()
	if lines := c.compare(got, want); len(lines) > 0 {
		t.Errorf("%q", lines)
	}
	if got.driver != "Sample 1.0" {
		t.Errorf("driver %q", got.driver)
	}
}

// Whatever a client sees otherwise is told, with the view and the column.
func TestEveryDifferenceIsTold(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		spoil func(*seen)
		want  string
	}{
		{func(s *seen) { delete(s.views, "sim_daily") }, "usage.sim_daily: not in the list of views"},
		{func(s *seen) { s.views["sim_daily"] = "" }, `usage.sim_daily: the comment is "", want "Usage by SIM and day."`},
		{func(s *seen) { delete(s.columns, "sim_daily.data_total") }, "usage.sim_daily.data_total: not in the list of columns"},
		{func(s *seen) {
			s.columns["sim_daily.data_total"] = column{kind: "DOUBLE", comment: "Bytes."}
		}, "usage.sim_daily.data_total: bigint is called DOUBLE, want BIGINT (1 columns)"},
		{func(s *seen) {
			s.columns["sim_daily.data_total"] = column{kind: "BIGINT"}
		}, `usage.sim_daily.data_total: the comment is "", want "Bytes."`},
		{func(s *seen) {
			s.columns["sim_daily.sim_sid"] = column{kind: "VARCHAR", size: "8190", comment: "SID of the SIM."}
		}, "usage.sim_daily.sim_sid: 8190 characters wide, want 34"},
		{func(s *seen) { s.answers["sim_daily"][0][1] = "9007199254740992" },
			`sim_daily: column data_total differs in 1 of 2 rows; row 1 is "9007199254740992", want "9007199254740993"`},
		{func(s *seen) { s.answers["sim_daily"][1][1] = "" }, `sim_daily: column data_total differs in 1 of 2 rows; row 2 is "", want "\\N"`},
		{func(s *seen) { s.answers["sim_daily"] = s.answers["sim_daily"][:1] }, "sim_daily: 1 rows, want 2"},
		{func(s *seen) { s.failed["sim_daily"] = "bad value" }, "sim_daily: cannot be read: bad value"},
		{func(s *seen) { clear(s.refused) }, `SELECT 1 FROM simusage.sim: not refused for want of a right, but ""`},
		{func(s *seen) { s.cells[1][1] = "13" }, `Calc, usage.sim_country_monthly: column data_total differs in 1 of 1 rows; row 1 is "13", want "12"`},
		{func(s *seen) { s.cells = nil }, "Calc: it has imported nothing"},
		{func(s *seen) { s.pivot[1][1] = "13" }, `Calc: the pivot table has "13" for DE in 2026-10-01, want 12`},
		{func(s *seen) { s.pivot[2][2] = "27021598257930000" }, `Calc: the pivot table has "27021598257930000" for FR in 2026-11-01, want 27021598257932110`},
	} {
		want, c, got := sample()
		test.spoil(&got)
		if lines := c.compare(got, want); len(lines) != 1 || lines[0] != test.want {
			t.Errorf("%q, want %q", lines, test.want)
		}
	}
}

// psql's own tables of \d+ are understood as descriptions of columns.
func TestPsqlDescribes(t *testing.T) {
	t.Parallel()
	got, err := understand(strings.NewReader("described,views\nusage,sim_daily,view,postgres,permanent,0 bytes,Usage.\ndescribed,\n" +
		"described,sim_daily\nsim_sid,character varying(34),,,,extended,SID.\ndescribed,\nanswer,x,1\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := column{"sim_daily", "sim_sid", "character varying", "34", "SID."}
	if got.views["sim_daily"] != "Usage." || got.columns["sim_daily.sim_sid"] != want || got.rows() != 1 {
		t.Errorf("%+v", got)
	}
}

// Every way to connect stands in deploy/BI.md, in the form that the check finds it in.
func TestManualSaysHowToConnect(t *testing.T) {
	t.Parallel()
	m, err := readManual("../../deploy/BI.md", "127.0.0.1", "6543", "/there/ca.crt")
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{m.psql, m.jdbc, m.odbc, m.office} {
		if !strings.Contains(how, "127.0.0.1") || !strings.Contains(how, "6543") || !strings.Contains(how, "verify-full") || !strings.Contains(how, "/there/ca.crt") {
			t.Errorf("%s does not lead to the server, or trusts any", how)
		}
	}
	if strings.Contains(m.office, "sdbc:") {
		t.Errorf("%s: the wizard of Base adds the prefix, and a second one is an error", m.office)
	}
	for _, what := range []string{m.roles, m.odbc} {
		if !strings.Contains(what, "secret;=1") {
			t.Errorf("%s: the password is not in its place", what)
		}
	}
}
