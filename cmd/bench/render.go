package main

import (
	"fmt"
	"strconv"
	"time"
)

// record is a usage record in the vendor's shape; what is empty is null.
type record struct {
	start, end                   time.Time
	account, sim, fleet, country string
	usage                        usage
}

// Where in a record the texts lie that change from answer to answer: it begins with them, for that reason.
const (
	dateLength = len("2006-01-02")
	timeLength = len("2006-01-02T15:04:05Z")

	beforeStart   = `{"period":{"start_time":"`
	beforeEnd     = `","end_time":"`
	beforeAccount = `"},"account_sid":"`

	startAt   = len(beforeStart)
	endAt     = startAt + timeLength + len(beforeEnd)
	accountAt = endAt + timeLength + len(beforeAccount)
)

func appendRecord(b []byte, r *record) []byte {
	b = r.start.UTC().AppendFormat(append(b, beforeStart...), time.RFC3339)
	b = r.end.UTC().AppendFormat(append(b, beforeEnd...), time.RFC3339)
	b = append(append(b, beforeAccount...), r.account...)
	b = strconv.AppendInt(append(b, `","data_upload":`...), r.usage.upload, 10)
	b = strconv.AppendInt(append(b, `,"data_download":`...), r.usage.download, 10)
	b = strconv.AppendInt(append(b, `,"data_total":`...), r.usage.upload+r.usage.download, 10)
	b = append(append(append(b, `,"data_total_billed":"`...), money(r.usage.billed)...), `","billed_unit":"USD","sim_sid":`...)
	b = append(appendText(b, r.sim), `,"fleet_sid":`...)
	b = append(appendText(b, r.fleet), `,"network_sid":null,"iso_country":`...)
	return append(appendText(b, r.country), '}')
}

func appendText(b []byte, text string) []byte {
	if text == "" {
		return append(b, "null"...)
	}
	return append(append(append(b, '"'), text...), '"')
}

// money is an amount in ten-thousandths as decimal text.
func money(n int64) string { return fmt.Sprintf("%d.%04d", n/10_000, n%10_000) }

// day is all records by SIM of one day and country, the newest hour first, as text with a comma behind each. They are all
// of one length, so that each is found by counting.
type day struct {
	text   []byte
	width  int // of a record with its comma
	inHour int // records in an hour
}

// newDay makes the records of a country, or of everywhere as the API says them when it is asked for no country.
func newDay(f fleet, where int, c change) *day {
	r := record{account: accountSID(0)}
	if where != everywhere {
		r.country = country(where)
	}
	first, until := f.block(where)
	d := &day{inHour: until - first}
	for hour := 23; hour >= 0; hour-- {
		r.start = time.Date(2000, 1, 1, hour, 0, 0, 0, time.UTC)
		r.end = r.start.Add(time.Hour)
		for sim := first; sim < until; sim++ {
			r.sim, r.usage = simSID(sim), f.use(sim, hour, c)
			d.text = append(appendRecord(d.text, &r), ',')
			if d.width == 0 {
				d.width = len(d.text)
				d.text = append(make([]byte, 0, 24*d.inHour*d.width), d.text...)
			}
		}
	}
	return d
}

// append appends some records of an hour, dated and under an account.
func (d *day) append(b []byte, hour time.Time, from, count int, account string) []byte {
	at := ((23-hour.Hour())*d.inHour + from) * d.width
	first := len(b)
	b = append(b, d.text[at:at+count*d.width]...)
	start, end := hour.Format(time.DateOnly), hour.Add(time.Hour).Format(time.DateOnly)
	for r := b[first:]; len(r) > 0; r = r[d.width:] {
		copy(r[startAt:startAt+dateLength], start)
		copy(r[endAt:endAt+dateLength], end)
		copy(r[accountAt:accountAt+len(account)], account)
	}
	return b
}
