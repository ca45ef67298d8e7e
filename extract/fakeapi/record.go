package fakeapi

import (
	"strconv"
	"time"
)

// recordEncoder appends the records of a question as JSON. It is written by hand because a walk of a million records
// should cost what the client under test costs, not what the simulation does.
func (s *Server) recordEncoder(q usageQuery) func(b []byte, u *usageRow) []byte {
	var period string // of the record before, which mostly is that of the next
	var start int64
	return func(b []byte, u *usageRow) []byte {
		if period == "" || start != u.start {
			start, period = u.start, q.period(u.start)
		}
		b = append(append(b, `{"period":`...), period...)
		b = appendText(append(b, `,"account_sid":`...), s.world.account)
		b = s.appendMeasures(b, u)
		for _, d := range [...]struct{ field, group, filter string }{
			{`,"sim_sid":`, "sim", q.sim}, {`,"fleet_sid":`, "fleet", q.fleet}, {`,"network_sid":`, "network", q.network}, {`,"iso_country":`, "isoCountry", q.country},
		} {
			value := d.filter
			if q.group == d.group {
				value = u.key
			}
			b = appendText(append(b, d.field...), value)
		}
		return append(b, '}')
	}
}

// period is the JSON of the bucket that begins at a second.
func (q *usageQuery) period(start int64) string {
	end := q.end
	if width := map[string]int64{"hour": 3600, "day": 86400}[q.granularity]; width > 0 {
		end = time.Unix(start+width, 0)
	}
	return `{"start_time":"` + stamp(time.Unix(start, 0)) + `","end_time":"` + stamp(end) + `"}`
}

// appendMeasures appends bytes and money.
func (s *Server) appendMeasures(b []byte, u *usageRow) []byte {
	b = strconv.AppendInt(append(b, `,"data_upload":`...), u.upload, 10)
	b = strconv.AppendInt(append(b, `,"data_download":`...), u.download, 10)
	b = strconv.AppendInt(append(b, `,"data_total":`...), u.upload+u.download, 10)
	amount, unit := u.billed, u.unit
	if u.mixed {
		amount, unit = 0, ""
	}
	b = append(b, `,"data_total_billed":`...)
	if s.opts.NumericBilled {
		b = amount.append(b)
	} else {
		b = append(amount.append(append(b, '"')), '"')
	}
	return appendText(append(b, `,"billed_unit":`...), unit)
}

// appendText appends a string, or null for the empty one. SIDs and codes are plain ASCII, which Go quotes as JSON does.
func appendText(b []byte, text string) []byte {
	if text == "" {
		return append(b, "null"...)
	}
	return strconv.AppendQuote(b, text)
}
