package extract

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// answer is a whole answer as the vendors write it, with records, and with more fields in meta and around it all.
func answer(meta, around string, records ...string) string {
	return `{"usage_records":[` + strings.Join(records, ",") + `],"meta":{"first_page_url":"https://x/0","key":"usage_records","next_page_url":null,` +
		`"page":0,"page_size":50,"previous_page_url":null,"url":"https://x/0"` + meta + `}` + around + `}`
}

func TestDrift(t *testing.T) {
	t.Parallel()
	period := `period={"start_time":"2026-03-01T05:00:00Z","end_time":"2026-03-01T06:00:00Z"`
	for _, test := range []struct {
		name, body string
		want       []string
	}{
		{"as documented", answer("", "", fields(), fields()), nil},
		{"no records", answer("", ""), nil},
		{"null is there", answer("", "", fields("billed_unit=null", "data_total_billed=null", "account_sid=null")), nil},
		{"missing from some", answer("", "", fields("billed_unit"), fields(), fields("sim_sid")), nil},
		{"missing from all", answer("", "", fields("billed_unit"), fields("billed_unit")), []string{"missing usage_records.billed_unit"}},
		{"missing from what is set aside", answer("", "", fields("data_total"), fields("data_total")), []string{"missing usage_records.data_total"}},
		{"no objects", answer("", "", "7", "null"), nil},
		{"period null", answer("", "", fields("period=null")), nil},
		{"half a period", answer("", "", fields(`period={"start_time":"2026-03-01T05:00:00Z"}`)), []string{"missing usage_records.period.end_time"}},
		{"renamed", answer("", "", fields("data_upload", "data_up=1"), fields("data_upload", "data_up=1")),
			[]string{"new usage_records.data_up", "missing usage_records.data_upload"}},
		{"new in one", answer("", "", fields(), fields("apn=null"), fields("apn=7", `zone={"a":1}`)),
			[]string{"new usage_records.apn", "new usage_records.zone"}},
		{"new in the period", answer("", "", fields(period+`,"zone":"UTC"}`)), []string{"new usage_records.period.zone"}},
		{"new in meta and around it", answer(`,"count":7`, `,"warnings":[]`, fields()), []string{"new answer.warnings", "new meta.count"}},
		{"meta with less", `{"usage_records":[],"meta":{"next_page_url":null}}`, []string{"missing meta.first_page_url", "missing meta.key",
			"missing meta.page", "missing meta.page_size", "missing meta.previous_page_url", "missing meta.url"}},
		{"the same name in two places", answer(`,"zone":1`, "", fields("zone=1")), []string{"new meta.zone", "new usage_records.zone"}},
		{"odd names", answer("", "", fields("ODD=1", "über grün=1", strings.Repeat("ä", 40)+"=1", "x"+strings.Repeat("ä", 40)+"=1")),
			[]string{"new usage_records.a?b?", "new usage_records.über grün", "new usage_records." + strings.Repeat("ä", 32),
				"new usage_records.x" + strings.Repeat("ä", 31)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			page, err := decodePage(hourly(t), strings.ReplaceAll(test.body, "ODD", `a\u007fb\u0085`))
			if err != nil {
				t.Fatal(err)
			}
			if got := drifts(page); !slices.Equal(got, test.want) {
				t.Errorf("drift is %q, want %q", got, test.want)
			}
		})
	}
}

func drifts(p *Page) []string {
	var list []string
	for _, f := range p.Drift {
		list = append(list, f.String())
	}
	return list
}

// A page that is refused because a field was renamed says so.
func TestDriftExplainsARefusal(t *testing.T) {
	t.Parallel()
	q := hourly(t)
	q.Group = Sim
	_, err := decodePage(q, answer("", "", fields("sim_sid", `sim="HS1"`)))
	if !errors.Is(err, ErrAnswer) || !strings.HasSuffix(err.Error(), "known: new usage_records.sim, missing usage_records.sim_sid") {
		t.Errorf("error %v", err)
	}
	if _, err = decodePage(q, answer("", "", fields())); !errors.Is(err, ErrAnswer) || strings.Contains(err.Error(), "known") {
		t.Errorf("error %v", err)
	}
}

// An API that makes up a new name for each record gets a bounded number of them through, and a decoder forgets them.
func TestDriftIsBounded(t *testing.T) {
	t.Parallel()
	var rows []string
	for i := range 1000 {
		rows = append(rows, fields(fmt.Sprintf("%s%d=1", strings.Repeat("n", i%100), i)))
	}
	d, q := newDecoder(), question{Query: hourly(t), limit: 1000}
	d.body.WriteString(answer("", "", rows...))
	page, err := d.decode(q)
	if err != nil || len(page.Records) != 1000 || len(page.Drift) != 100 {
		t.Fatalf("%v, %v", page, err)
	}
	for _, f := range page.Drift {
		if len(f.Field) > 64 || !utf8.ValidString(f.Field) {
			t.Errorf("field %q", f.Field)
		}
	}
	d.body.Reset()
	d.body.WriteString(answer("", "", fields()))
	if page, err = d.decode(q); err != nil || len(page.Drift) != 0 {
		t.Errorf("the next page has %q, %v", drifts(page), err)
	}
}

func TestDriftAllocatesNothingPerRecord(t *testing.T) {
	d, q := newDecoder(), bigQuestion(t)
	body := strings.ReplaceAll(bigPage(), `"fleet_sid":null,`, `"fleet":null,"apn":"iot",`)
	d.body.WriteString(body)
	allocs := testing.AllocsPerRun(10, func() {
		if page, err := d.decode(q); err != nil || len(page.Records) != 1000 {
			t.Fatalf("page %v, error %v", page, err)
		}
	})
	if allocs > 10 {
		t.Errorf("%.0f allocations for a page of 1000 records with two new fields each", allocs)
	}
}
