package extract

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Query is one question to the API: one list of usage records. This file is the only place where the API's eleven
// parameters are spelled, because a misspelt one is not refused but ignored, and the answer looks like usage.
type Query struct {
	Granularity Granularity
	Group       Dimension // Total, or empty: no breakdown
	Filter      Filter
	Window      Window

	// PageSize is how many records a page may have; 0 leaves it to the Client.
	PageSize int
}

// Query is the question for a window of the stream; value is the fan-out value, empty for a stream that has none.
func (s Stream) Query(w Window, value string) Query {
	return Query{Granularity: s.Granularity, Group: s.Group, Filter: s.Fixed.With(s.FanOut, value), Window: w}
}

// Discovery is the question that says which values of the fan-out dimension had usage in a window. Resources without
// usage are absent from a grouped answer, so nothing is asked in vain and nothing is missed.
func (s Stream) Discovery(w Window) Query {
	return Query{Granularity: All, Group: s.FanOut, Filter: s.Fixed, Window: w}
}

// Unnamed is the question for the usage that has no value of the fan-out dimension: no filter can ask for it, but it comes
// under a null key when the fan-out dimension is the group. All other records of the answer are in the lists of their
// values already.
func (s Stream) Unnamed(w Window) Query {
	return Query{Granularity: s.Granularity, Group: s.FanOut, Filter: s.Fixed, Window: w}
}

// check refuses a question that the API would answer from its defaults, or that cannot be put in whole hours.
func (q Query) check() error {
	whole := func(t time.Time) bool { return t.Equal(t.Truncate(time.Hour)) }
	switch {
	case q.Granularity != Hour && q.Granularity != Day && q.Granularity != All:
		return fmt.Errorf("ask: granularity %q is not one of hour, day, all", q.Granularity)
	case q.Window.Empty():
		return fmt.Errorf("ask: window %s is empty", q.Window)
	case !whole(q.Window.Start) || !whole(q.Window.End):
		return fmt.Errorf("ask: window %s is not of whole hours", q.Window)
	}
	return nil
}

// Encode is the query string, with the parameters in the vendor's order. The two others, Page and PageToken, only
// ever come from the API itself, in the address of a next page.
func (q Query) Encode() string {
	var b strings.Builder
	add := func(name, value string) {
		if value == "" {
			return
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(name + "=" + url.QueryEscape(value))
	}
	add("Sim", q.Filter.Sim)
	add("Fleet", q.Filter.Fleet)
	add("Network", q.Filter.Network)
	add("IsoCountry", q.Filter.Country)
	add("Group", q.Group.parameter())
	add("Granularity", string(q.Granularity))
	add("StartTime", stamp(q.Window.Start))
	add("EndTime", stamp(q.Window.End))
	if q.PageSize > 0 {
		add("PageSize", strconv.Itoa(q.PageSize))
	}
	return b.String()
}

// PageOf is the page number that a cursor leads to, counted from 0; 0 also for the empty cursor of a first page and
// for one that does not say. It is for messages: a position is never derived from it.
func PageOf(cursor string) int {
	n, _ := strconv.Atoi(parameterOf(cursor, "Page"))
	return max(n, 0)
}

// pageSizeOf is the page size that a cursor is bound to, 0 when it does not say.
func pageSizeOf(cursor string) int {
	n, _ := strconv.Atoi(parameterOf(cursor, "PageSize"))
	return max(n, 0)
}

func parameterOf(cursor, name string) string {
	_, query, _ := strings.Cut(cursor, "?")
	values, err := url.ParseQuery(query)
	if err != nil && values == nil {
		return ""
	}
	return values.Get(name)
}

// brief is a query string for messages: a page token is long and means nothing to a reader, so only its beginning
// is shown.
func brief(query string) string {
	const name, keep = "PageToken=", 8
	at := strings.Index(query, name)
	if at < 0 {
		return query
	}
	token := query[at+len(name):]
	end := strings.IndexByte(token, '&')
	if end < 0 {
		end = len(token)
	}
	if end <= keep {
		return query
	}
	return query[:at+len(name)] + token[:keep] + "…" + token[end:]
}

// parameter is the dimension as a value of Group; the field for the country is iso_country, the value is not.
func (d Dimension) parameter() string {
	switch d {
	case Sim, Fleet, Network:
		return string(d)
	case Country:
		return "isoCountry"
	}
	return ""
}

// filterName is the parameter that narrows a question to one value of the dimension.
func (d Dimension) filterName() string {
	switch d {
	case Sim:
		return "Sim"
	case Fleet:
		return "Fleet"
	case Network:
		return "Network"
	case Country:
		return "IsoCountry"
	}
	return ""
}

// stamp is a bound of a window as the API wants it: whole UTC hours, which every granularity accepts.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:00:00Z")
}
