package extract

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
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
			if got := texts(page.Drift); !slices.Equal(got, test.want) {
				t.Errorf("drift is %q, want %q", got, test.want)
			}
		})
	}
}

func texts(drift []Drift) []string {
	var list []string
	for _, f := range drift {
		list = append(list, f.String())
	}
	return list
}

// The lists of names are held against what is documented of them too, what is not stored of it included.
func TestDriftOfNames(t *testing.T) {
	t.Parallel()
	const sim = `{"sid":"HS1","account_sid":null,"unique_name":null,"status":null,"fleet_sid":null,"iccid":null,"date_created":null,"date_updated":null,"url":null,"links":null}`
	const fleet = `{"account_sid":null,"unique_name":null,"data_enabled":null,"data_limit":null,"data_metering":null,"date_created":null,"date_updated":null,` +
		`"sms_commands_enabled":null,"sms_commands_method":null,"sms_commands_url":null,"ip_commands_method":null,"ip_commands_url":null,` +
		`"network_access_profile_sid":null,"sid":"HF1","url":null}`
	const network = `{"friendly_name":null,"iso_country":null,"identifiers":[{"mcc":"310","mnc":"410"},{"mcc":"310","mnc":null}],"sid":"HW1","url":null}`
	for _, test := range []struct {
		name, list, old, new string
		want                 []string
	}{
		{"null is there", "sims", "", "", nil},
		{"null is there", "fleets", "", "", nil},
		{"null is there", "networks", "", "", nil},
		{"links of a kind that is new", "sims", `"links":null`, `"links":{"esim":"https://x/1"}`, nil},
		{"no identifiers", "networks", `"identifiers":[{"mcc":"310","mnc":"410"},{"mcc":"310","mnc":null}]`, `"identifiers":null`, nil},
		{"renamed", "sims", `"iccid"`, `"icc_id"`, []string{"new sims.icc_id", "missing sims.iccid"}},
		{"renamed, and not stored", "fleets", `"ip_commands_url"`, `"ip_url"`, []string{"new fleets.ip_url", "missing fleets.ip_commands_url"}},
		{"new in an identifier", "networks", `{"mcc":"310","mnc":"410"}`, `{"mcc":"310","mnc":"410","tac":"1"}`, []string{"new networks.identifiers.tac"}},
		{"missing from one identifier", "networks", `,"mnc":null`, ``, nil},
		{"missing from all identifiers", "networks", `"mnc"`, `"code"`, []string{"new networks.identifiers.code", "missing networks.identifiers.mnc"}},
		{"around the list", "sims", `"key":"usage_records"`, `"keys":7`, []string{"new meta.keys", "missing meta.key"}},
	} {
		t.Run(test.list+" "+test.name, func(t *testing.T) {
			t.Parallel()
			record := map[string]string{"sims": sim, "fleets": fleet, "networks": network}[test.list]
			body := strings.Replace(answer("", "", record, record), `"usage_records":[`, `"`+test.list+`":[`, 1)
			if test.old != "" {
				body = strings.ReplaceAll(body, test.old, test.new)
			}
			d := newDecoder()
			d.body.WriteString(body)
			var drift []Drift
			var err error
			switch test.list {
			case "sims":
				drift, err = driftOf(readNames[SimName](d, &simList, 2))
			case "fleets":
				drift, err = driftOf(readNames[FleetName](d, &fleetList, 2))
			case "networks":
				drift, err = driftOf(readNames[NetworkName](d, &networkList, 2))
			}
			if got := texts(drift); err != nil || !slices.Equal(got, test.want) {
				t.Errorf("drift is %q, want %q; error %v", got, test.want, err)
			}
		})
	}
}

func driftOf[T any](page *Page[T], err error) ([]Drift, error) {
	if err != nil {
		return nil, err
	}
	return page.Drift, nil
}

// What an answer that is refused has told goes along with the error, which outlives the page. An answer that is none of the
// API's tells nothing.
func TestDriftExplainsARefusal(t *testing.T) {
	t.Parallel()
	const names = "https://x/v1/Sims"
	for _, test := range []struct {
		name, body string
		sims       bool // the list of SIMs is asked for
		want       []string
	}{
		{"renamed", answer("", "", fields("sim_sid", `sim="HS1"`)), false, []string{"new usage_records.sim", "missing usage_records.sim_sid"}},
		{"missing from the record that is refused only", answer("", "", fields("billed_unit", `iso_country="DE"`), fields()), false, nil},
		{"as documented", answer("", "", fields()), false, nil},
		{"another list", strings.Replace(answer("", ""), "usage_records", "usages", 1), false, []string{"new answer.usages", "missing answer.usage_records"}},
		{"no meta", `{"usage_records":[]}`, false, []string{"missing answer.meta"}},
		{"the next page elsewhere", strings.Replace(answer(`,"count":1`, "", fields(`sim_sid="HS1"`)), "null", `"https://evil.example/"`, 1), false, []string{"new meta.count"}},
		{"nothing of the API's", `{"error":"not today"}`, false, nil},
		{"not JSON", `{"usage_records":[],"meta":{},`, false, nil},
		{"names without SIDs", strings.Replace(answer("", ""), `"usage_records":[`, `"sims":[{"id":"HS1","account_sid":null,"unique_name":null,"status":null,"fleet_sid":null,`+
			`"iccid":null,"date_created":null,"date_updated":null,"url":"`+names+`","links":null}`, 1), true, []string{"new sims.id", "missing sims.sid"}},
		{"names of another type", strings.Replace(answer(`,"count":1`, ""), `"usage_records":[`, `"sims":[7`, 1), true, []string{"new meta.count"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var turn atomic.Int32
			c, _ := hostile(t, func(w http.ResponseWriter, _ *http.Request) {
				body := test.body
				if turn.Add(1) > 1 {
					body = strings.Repeat("?", len(body))
				}
				_, _ = w.Write([]byte(body))
			})
			ask := func() (err error) {
				if !test.sims {
					_, _, err = collect(t.Context(), c, bySim(t), "")
					return err
				}
				for _, err = range c.Sims(t.Context()) {
					continue
				}
				return err
			}
			err := ask()
			if again := ask(); err == nil || again == nil {
				t.Fatalf("errors %v, %v", err, again)
			}
			var told []Drift
			if refused := (*DriftError)(nil); errors.As(err, &refused) {
				told = refused.Drift
			}
			if got := texts(told); !slices.Equal(got, test.want) {
				t.Errorf("drift is %q, want %q", got, test.want)
			}
			if want := "known: " + strings.Join(test.want, ", "); strings.Contains(err.Error(), "known: ") != (test.want != nil) || test.want != nil && !strings.HasSuffix(err.Error(), want) {
				t.Errorf("error %v, want one that ends with %q", err, want)
			}
		})
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
		t.Errorf("the next page has %q, %v", texts(page.Drift), err)
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
