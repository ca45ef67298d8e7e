package extract

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// page decodes a body as the answer to q, on a page of 10 unless q says otherwise.
func decodePage(q Query, body string) (*Page[Record], error) {
	d := newDecoder()
	d.body.WriteString(body)
	limit := q.PageSize
	if limit == 0 {
		limit = 10
	}
	return d.decode(question{Query: q, limit: limit})
}

// envelope puts records into an answer.
func envelope(records ...string) string {
	return `{"usage_records":[` + strings.Join(records, ",") + `],"meta":{"key":"usage_records","next_page_url":null}}`
}

// fields is a good record of the hour 2026-03-01 05h, changed: each change is a field and its JSON, or a field alone that
// is left out.
func fields(changes ...string) string {
	order := []string{"account_sid", "sim_sid", "fleet_sid", "network_sid", "iso_country", "period", "data_upload", "data_download", "data_total", "data_total_billed", "billed_unit"}
	values := map[string]string{
		"account_sid": `"AC1"`, "sim_sid": "null", "fleet_sid": "null", "network_sid": "null", "iso_country": "null",
		"period":      `{"start_time":"2026-03-01T05:00:00Z","end_time":"2026-03-01T06:00:00Z"}`,
		"data_upload": "1", "data_download": "2", "data_total": "3", "data_total_billed": `"0.03"`, "billed_unit": `"USD"`,
	}
	for _, change := range changes {
		name, value, _ := strings.Cut(change, "=")
		if _, known := values[name]; !known {
			order = append(order, name)
		}
		values[name] = value
	}
	var list []string
	for _, name := range order {
		if values[name] != "" {
			list = append(list, fmt.Sprintf("%q:%s", name, values[name]))
		}
	}
	return "{" + strings.Join(list, ",") + "}"
}

func hourly(tb testing.TB) Query {
	return Query{Granularity: Hour, Group: Total, Window: span(tb, "03-01 00h..03-01 24h")}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	page, err := decodePage(hourly(t), envelope(fields(), fields(
		`sim_sid=null`, `data_total="9007199254740993"`, `data_upload="9007199254740992"`, `data_download=1`,
		`data_total_billed=0.10`, `billed_unit=null`, `account_sid=null`, `unknown={"a":[1,null,{"b":"c"}]}`,
		`period={"end_time":"2026-03-01T08:00:00+02:00","start_time":"2026-03-01T05:00:00.000Z","zone":"UTC"}`,
	)))
	if err != nil {
		t.Fatal(err)
	}
	hour := at(t, "03-01 05h")
	want := []Record{
		{AccountSID: "AC1", Start: hour, Upload: 1, Download: 2, Total: 3, Billed: "0.03", Unit: "USD"},
		{Start: hour, Upload: 9007199254740992, Download: 1, Total: 9007199254740993, Billed: "0.10"},
	}
	if len(page.Records) != len(want) || len(page.Rejected) != 0 || page.Next != "" || page.Mismatched != 0 {
		t.Fatalf("page is %+v", page)
	}
	for i := range want {
		if page.Records[i] != want[i] {
			t.Errorf("record %d is %+v, want %+v", i, page.Records[i], want[i])
		}
	}
}

func TestPromise6ExactBytes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, `"0"`: 0, "1": 1, "9007199254740991": 1<<53 - 1, "9007199254740992": 1 << 53, "9007199254740993": 1<<53 + 1,
		`"9007199254740993"`: 1<<53 + 1, "9223372036854775807": math.MaxInt64, `"9223372036854775807"`: math.MaxInt64,
	} {
		page, err := decodePage(hourly(t), envelope(fields("data_total="+text)))
		if err != nil || len(page.Records) != 1 || page.Records[0].Total != want {
			t.Errorf("data_total %s: %+v, %v; want %d", text, page, err, want)
		}
	}
	for _, text := range []string{
		"9223372036854775808", `"9223372036854775808"`, "18446744073709551616", "99999999999999999999", "1e3", `"1e3"`, "1.0", `"1.5"`, "0.5",
		"-1", "-0", `"-1"`, `"+1"`, `""`, `" 1"`, `"1 "`, `"0x10"`, `"1_000"`, `"007"`, `"NaN"`, "true", "[1]", "{}", `"١"`,
	} {
		page, err := decodePage(hourly(t), envelope(fields("data_total="+text)))
		if err != nil || len(page.Rejected) != 1 || page.Rejected[0].Reason != "data_total is no whole number of bytes" {
			t.Errorf("data_total %s: %+v, %v; want it rejected", text, page, err)
		}
	}
}

func TestPromise6ExactMoney(t *testing.T) {
	t.Parallel()
	long := "0." + strings.Repeat("1", 62)
	for text, want := range map[string]string{
		`"0.03"`: "0.03", "0.03": "0.03", `"0"`: "0", "0": "0", "0.10": "0.10", "1.2345678901234567890123456789": "1.2345678901234567890123456789",
		"-0.5": "-0.5", `"-0.5"`: "-0.5", "1e2": "1e2", `"1E+2"`: "1E+2", "1e-100": "1e-100", "12e0100": "12e0100", "null": "",
		"12345678901234567890.5": "12345678901234567890.5", `"` + long + `"`: long, `"\u0030.5"`: "0.5",
	} {
		page, err := decodePage(hourly(t), envelope(fields("data_total_billed="+text)))
		if err != nil || len(page.Records) != 1 || page.Records[0].Billed != want {
			t.Errorf("data_total_billed %s: %+v, %v; want %q", text, page, err, want)
		}
	}
	for _, text := range []string{
		`""`, `"."`, `".5"`, `"5."`, `"00.5"`, `"+1"`, `"1e"`, `"1e+"`, "1e101", "1e-101", `"1e99999999999999999999"`, `"NaN"`, `"Infinity"`,
		`"1,5"`, `"1 "`, `" 1"`, `"0x1"`, `"--1"`, `"1.2.3"`, `"` + long + `1"`, "true", "[]", `{"amount":"1"}`, `"$1"`, `"1e1e1"`, `"-"`,
	} {
		page, err := decodePage(hourly(t), envelope(fields("data_total_billed="+text)))
		if err != nil || len(page.Rejected) != 1 || page.Rejected[0].Reason != "data_total_billed is no decimal number" {
			t.Errorf("data_total_billed %s: %+v, %v; want it rejected", text, page, err)
		}
	}
}

func TestRejected(t *testing.T) {
	t.Parallel()
	const outside = "bucket outside what was asked"
	period := func(start, end string) string {
		return fmt.Sprintf(`period={"start_time":%s,"end_time":%s}`, start, end)
	}
	for _, test := range []struct{ name, row, reason string }{
		{"null", "null", "not an object"},
		{"a list", "[1]", "not an object"},
		{"a number", "7", "not an object"},
		{"no fields", "{}", "no data_total"},
		{"total null", fields("data_total=null"), "no data_total"},
		{"total missing", fields("data_total"), "no data_total"},
		{"upload null", fields("data_upload=null"), "no data_upload"},
		{"download missing", fields("data_download"), "no data_download"},
		{"upload negative", fields("data_upload=-1"), "data_upload is no whole number of bytes"},
		{"period null", fields("period=null"), "no period that can be read"},
		{"period missing", fields("period"), "no period that can be read"},
		{"period text", fields(`period="2026-03-01"`), "no period that can be read"},
		{"no start", fields(`period={"end_time":"2026-03-01T06:00:00Z"}`), "no period that can be read"},
		{"no end", fields(`period={"start_time":"2026-03-01T05:00:00Z"}`), "no period that can be read"},
		{"end null", fields(period(`"2026-03-01T05:00:00Z"`, "null")), "no period that can be read"},
		{"start number", fields(period("1772341200", `"2026-03-01T06:00:00Z"`)), "no period that can be read"},
		{"start odd", fields(period(`"yesterday"`, `"2026-03-01T06:00:00Z"`)), "no period that can be read"},
		{"no such day", fields(period(`"2026-02-30T05:00:00Z"`, `"2026-02-30T06:00:00Z"`)), "no period that can be read"},
		{"a day wide", fields(period(`"2026-03-01T00:00:00Z"`, `"2026-03-02T00:00:00Z"`)), outside},
		{"not aligned", fields(period(`"2026-03-01T05:30:00Z"`, `"2026-03-01T06:30:00Z"`)), outside},
		{"the day before", fields(period(`"2026-02-28T23:00:00Z"`, `"2026-03-01T00:00:00Z"`)), outside},
		{"the day after", fields(period(`"2026-03-02T00:00:00Z"`, `"2026-03-02T01:00:00Z"`)), outside},
		{"backwards", fields(period(`"2026-03-01T06:00:00Z"`, `"2026-03-01T05:00:00Z"`)), outside},
		{"account a number", fields("account_sid=7"), "account_sid is no SID"},
		{"SIM too long", fields(`sim_sid="` + strings.Repeat("H", 65) + `"`), "sim_sid is no SID"},
		{"fleet with a space", fields(`fleet_sid="a b"`), "fleet_sid is no SID"},
		{"network with a NUL", fields(`network_sid="a\u0000"`), "network_sid is no SID"},
		{"country an object", fields("iso_country={}"), "iso_country is no country code"},
		{"country not ASCII", fields(`iso_country="ÄÖ"`), "iso_country is no country code"},
		{"unit a number", fields("billed_unit=7"), "billed_unit is no currency"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			page, err := decodePage(hourly(t), envelope(fields(), "  "+test.row+" ", fields("data_total=4")))
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Records) != 2 || len(page.Rejected) != 1 || page.Mismatched != 1 {
				t.Fatalf("%d records, %d rejected, %d mismatched; want 2, 1, 1", len(page.Records), len(page.Rejected), page.Mismatched)
			}
			if got := page.Rejected[0]; got.Reason != test.reason || got.Raw != test.row {
				t.Errorf("rejected %q as %q, want %q as %q", got.Raw, got.Reason, test.row, test.reason)
			}
		})
	}
}

func TestRejectedRawIsCapped(t *testing.T) {
	t.Parallel()
	row := fields("data_total=null", `note="`+strings.Repeat("ä", 8<<10)+`"`)
	page, err := decodePage(hourly(t), envelope(fields(), row))
	if err != nil {
		t.Fatal(err)
	}
	raw := page.Rejected[0].Raw
	if len(raw) > 8<<10 || len(raw) < 8<<10-4 || !utf8.ValidString(raw) || !strings.HasPrefix(row, raw) {
		t.Errorf("raw text of %d bytes, valid %t", len(raw), utf8.ValidString(raw))
	}
}

func TestDecodeCountry(t *testing.T) {
	t.Parallel()
	q := hourly(t)
	q.Group = Country
	page, err := decodePage(q, envelope(fields(`iso_country="de"`), fields(`iso_country="US"`), fields()))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"DE", "US", ""} {
		if got := page.Records[i].Get(Country); got != want {
			t.Errorf("country %q, want %q", got, want)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	good := envelope(fields())
	for _, test := range []struct {
		name, body string
		answer     bool // the API's mistake, not a broken transfer
		want       string
	}{
		{"nothing", "", false, "not whole JSON"},
		{"HTML", "<html></html>", false, "not whole JSON"},
		{"two answers", good + good, false, "not whole JSON"},
		{"a record to set aside whose text is no JSON", envelope(fields("data_total=null", `note="\x"`)), false, "not whole JSON"},
		{"deep nesting", envelope(fields("note=" + strings.Repeat("[", 1<<20))), false, "not whole JSON"},
		{"a list", "[]", true, "no JSON object"},
		{"null", "null", true, "no JSON object"},
		{"no list", `{"meta":{}}`, true, "usage_records"},
		{"another list", `{"sims":[],"meta":{}}`, true, "usage_records"},
		{"list null", `{"usage_records":null,"meta":{}}`, true, "usage_records"},
		{"no meta", `{"usage_records":[]}`, true, "meta"},
		{"meta a list", `{"usage_records":[],"meta":[]}`, true, "meta"},
		{"next a number", `{"usage_records":[],"meta":{"next_page_url":7}}`, true, "next_page_url"},
		{"its own next", `{"usage_records":[],"meta":{"next_page_url":"https://x/1","url":"https://x/1"}}`, true, "its own next"},
		{"too many records", envelope(strings.Split(strings.Repeat(fields()+"\n", 11), "\n")[:11]...), true, "PageSize"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			page, err := decodePage(hourly(t), test.body)
			if err == nil || errors.Is(err, ErrAnswer) != test.answer || !strings.Contains(err.Error(), test.want) {
				t.Errorf("page %v, error %v; want one about %s", page, err, test.want)
			}
		})
	}
}

// What nobody reads need not be JSON to the letter.
func TestDecodeUnreadFields(t *testing.T) {
	t.Parallel()
	for _, note := range []string{"note=01", `note="\x"`, "note=\"a\nb\""} {
		page, err := decodePage(hourly(t), envelope(fields(note)))
		if err != nil || len(page.Records) != 1 || page.Records[0].Total != 3 {
			t.Errorf("%s: page %v, error %v", note, page, err)
		}
	}
}

// TestCutBodyIsNeverAPage cuts an answer after each of its bytes.
func TestCutBodyIsNeverAPage(t *testing.T) {
	t.Parallel()
	body := envelope(fields(), fields(), fields("data_total=null"))
	for i := range len(body) {
		if page, err := decodePage(hourly(t), body[:i]); err == nil {
			t.Fatalf("cut after %d of %d bytes is a page of %d records", i, len(body), len(page.Records))
		}
	}
}

// FuzzDecode holds the decoder against encoding/json, which reads the same body more slowly and more generally.
func FuzzDecode(f *testing.F) {
	for _, body := range []string{
		envelope(), envelope(fields()), envelope(fields("data_total=null"), "7", fields(`iso_country="de"`)),
		`{"usage_records":[{"period":{"start_time":"2026-03-01T05:00:00Z","end_time":"2026-03-01T06:00:00Z"},"data_total":1e400,"data_upload":"1","data_download":-0}],"meta":{"next_page_url":"\u002f"}}`,
		`{"usage_records":[{"\u0070eriod":"\ud800","a":"\\\""}],"meta":{}} `, "[[[", `{"a":nan}`, `{"a":-}`, "{\"a\":\"\x00\"}",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		q := Query{Granularity: Hour, Group: Total, Window: span(t, "03-01 00h..03-01 24h")}
		d := newDecoder()
		d.body.Write(body)
		page, err := d.decode(question{Query: q, limit: 100})
		if err != nil {
			return
		}
		if !json.Valid(body) {
			t.Fatalf("accepted what is not JSON: %q", body)
		}
		for i := range page.Records {
			checkRecord(t, q, &page.Records[i])
		}
		for _, r := range page.Rejected {
			if r.Reason == "" || len(r.Raw) > mostRaw || !utf8.ValidString(r.Raw) {
				t.Fatalf("rejected %q with %d bytes", r.Reason, len(r.Raw))
			}
		}
	})
}

func checkRecord(t *testing.T, q Query, r *Record) {
	t.Helper()
	if r.Upload < 0 || r.Download < 0 || r.Total < 0 || !q.Window.Contains(r.Start) || r.Start.Location() != time.UTC {
		t.Fatalf("record %+v", r)
	}
	if r.Billed != "" && !json.Valid([]byte(r.Billed)) || len(r.Billed) > longestAmount {
		t.Fatalf("amount %q", r.Billed)
	}
	for _, name := range []string{r.AccountSID, r.SimSID, r.FleetSID, r.NetworkSID, r.IsoCountry, r.Unit} {
		if len(name) > longestSID || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' }) {
			t.Fatalf("name %q", name)
		}
	}
}

// bigPage is a page of 1000 records of SIMs in a country, as the vendor writes it.
func bigPage() string {
	rows := make([]string, 1000)
	for i := range rows {
		hour := 23 - i/50
		rows[i] = fmt.Sprintf(`{"period":{"start_time":"2026-03-01T%02d:00:00Z","end_time":"%s"},"account_sid":"AC0123456789abcdef0123456789abcdef",`+
			`"data_upload":%d,"data_download":%d,"data_total":%d,"data_total_billed":"0.%06d","billed_unit":"USD",`+
			`"sim_sid":"HS%032x","fleet_sid":null,"network_sid":null,"iso_country":"DE"}`,
			hour, time.Date(2026, 3, 1, hour+1, 0, 0, 0, time.UTC).Format(time.RFC3339), 1000*i, 500*i, 1500*i, i, i)
	}
	return envelope(rows...)
}

func bigQuestion(tb testing.TB) question {
	return question{Query: Query{Granularity: Hour, Group: Sim, Filter: Filter{Country: "DE"}, Window: span(tb, "03-01 00h..03-01 24h")}, limit: 1000}
}

func TestDecodeAllocatesNothingPerRecord(t *testing.T) {
	d, q := newDecoder(), bigQuestion(t)
	d.body.WriteString(bigPage())
	allocs := testing.AllocsPerRun(10, func() {
		if page, err := d.decode(q); err != nil || len(page.Records) != 1000 || page.Mismatched != 0 {
			t.Fatalf("page %v, error %v", page, err)
		}
	})
	if allocs > 10 {
		t.Errorf("%.0f allocations for a page of 1000 records", allocs)
	}
}

func BenchmarkDecode(b *testing.B) {
	d, q := newDecoder(), bigQuestion(b)
	d.body.WriteString(bigPage())
	b.SetBytes(int64(d.body.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.decode(q); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/record")
}
