package main

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// question is what a request asks for.
type question struct {
	url        *url.URL
	account    string
	kind       string // total, country, fleet, discovery or sim
	country    int
	from, to   time.Time
	page, size int
}

// question understands the questions of the default streams and those of the script, for any whole hours.
func (a *api) question(r *http.Request) (question, error) {
	values := r.URL.Query()
	q := question{url: r.URL, country: everywhere}
	q.account, _, _ = r.BasicAuth()
	var err error
	if q.from, err = time.Parse(time.RFC3339, values.Get("StartTime")); err != nil {
		return q, err
	}
	if q.to, err = time.Parse(time.RFC3339, values.Get("EndTime")); err != nil {
		return q, err
	}
	if q.size, err = strconv.Atoi(cmp.Or(values.Get("PageSize"), "50")); err != nil || q.size < 1 || q.size > 1000 {
		return q, fmt.Errorf("PageSize %s", values.Get("PageSize"))
	}
	q.page, _ = strconv.Atoi(strings.TrimPrefix(values.Get("PageToken"), "PT")) // none is the first
	for n := range a.fleet.Countries {
		if country(n) == values.Get("IsoCountry") {
			q.country = n
		}
	}
	if values.Get("IsoCountry") != "" && q.country == everywhere {
		return q, fmt.Errorf("no usage in %q", values.Get("IsoCountry"))
	}
	kinds := map[string]string{"hour": "total", "hour isoCountry": "country", "hour fleet": "fleet", "all isoCountry": "discovery", "hour sim": "sim"}
	q.kind = kinds[strings.TrimSpace(values.Get("Granularity")+" "+values.Get("Group"))]
	if q.kind == "" || q.country != everywhere && q.kind != "sim" || len(q.account) != len(accountSID(0)) {
		return q, fmt.Errorf("not simulated: %s", r.URL.RawQuery)
	}
	return q, nil
}

// page is the answer, the newest hour first.
func (a *api) page(b []byte, q question, says saying) []byte {
	inHour := 1
	switch q.kind {
	case "country":
		inHour = a.fleet.Countries
	case "fleet":
		inHour = fleets
	case "sim":
		first, until := a.fleet.block(q.country)
		inHour = until - first
	}
	count := inHour * int(q.to.Sub(q.from)/time.Hour)
	if q.kind == "discovery" {
		count = a.fleet.Countries
	}
	i, last := min(q.page*q.size, count), min((q.page+1)*q.size, count)
	more := last < count
	b = append(b, `{"usage_records":[`...)
	for i < last {
		if q.kind == "discovery" {
			b = append(a.whole(b, q, i, says), ',')
			i++
			continue
		}
		hour := q.to.Add(-time.Duration(i/inHour+1) * time.Hour)
		from, n := i%inHour, min(inHour-i%inHour, last-i)
		if q.kind == "sim" {
			b = a.day(q.country, says.at(hour)).append(b, hour, from, n, q.account)
		} else {
			b = a.sumsOf(b, q, hour, from, n, says)
		}
		i += n
	}
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	return a.appendMeta(b, q.url, "usage_records", q.page, q.size, more)
}

// sumsOf appends some of the sums of an hour: of all, or of each country or fleet.
func (a *api) sumsOf(b []byte, q question, hour time.Time, from, n int, says saying) []byte {
	for i := from; i < from+n; i++ {
		r := record{start: hour, end: hour.Add(time.Hour), account: q.account, usage: a.sum(everywhere, hour, says)}
		switch q.kind {
		case "country":
			r.country, r.usage = country(i), a.sum(i, hour, says)
		case "fleet":
			r.fleet, r.usage = fleetSID(i), a.fleet.sumOf(i, hour.Hour(), says.at(hour))
		}
		b = append(appendRecord(b, &r), ',')
	}
	return b
}

// whole appends what a country used in the whole window.
func (a *api) whole(b []byte, q question, n int, says saying) []byte {
	r := record{start: q.from, end: q.to, account: q.account, country: country(n)}
	for hour := q.from; hour.Before(q.to); hour = hour.Add(time.Hour) {
		r.usage.add(a.sum(n, hour, says))
	}
	return appendRecord(b, &r)
}
