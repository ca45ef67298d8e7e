package extract

import (
	"fmt"
	"strings"
)

// Granularity is the width of the buckets that the API sums usage into. Buckets are cut in UTC.
type Granularity string

// The granularities that the API knows. All is one bucket for the whole of the asked window.
const (
	Hour Granularity = "hour"
	Day  Granularity = "day"
	All  Granularity = "all"
)

// Dimension is what usage can be broken down by or narrowed to.
type Dimension string

// Total is the absence of a breakdown; the others are the four dimensions of the API.
const (
	Total   Dimension = "total"
	Sim     Dimension = "sim"
	Fleet   Dimension = "fleet"
	Network Dimension = "network"
	Country Dimension = "country"
)

// Filter narrows a question to one SIM, fleet, network or country; an empty field does not narrow.
// Sim and Fleet take a SID or a unique name, Network a SID, Country an ISO 3166 alpha-2 code.
type Filter struct {
	Sim, Fleet, Network, Country string
}

// Get is the filter's value for a dimension, empty when it does not narrow that dimension.
func (f Filter) Get(d Dimension) string {
	switch d {
	case Sim:
		return f.Sim
	case Fleet:
		return f.Fleet
	case Network:
		return f.Network
	case Country:
		return f.Country
	}
	return ""
}

// With is the filter narrowed further, to one value of a dimension.
func (f Filter) With(d Dimension, value string) Filter {
	switch d {
	case Sim:
		f.Sim = value
	case Fleet:
		f.Fleet = value
	case Network:
		f.Network = value
	case Country:
		f.Country = value
	}
	return f
}

// Stream is one thing that we keep asking the API for: a granularity, a group, at most one fan-out
// dimension (the group is then asked once for each value of it that had usage, because the API groups
// by one dimension only), and fixed filters that narrow the whole stream.
//
// Its text form is granularity/group[@fanout][:filter=value]…, for example hour/total, day/sim@fleet,
// hour/sim@country:fleet=HF…. A Stream is comparable; FanOut is empty when there is none.
type Stream struct {
	Granularity Granularity
	Group       Dimension
	FanOut      Dimension
	Fixed       Filter
}

// ParseStream reads a stream's text form.
func ParseStream(text string) (Stream, error) {
	shape, filters, filtered := strings.Cut(text, ":")
	granularity, rest, ok := strings.Cut(shape, "/")
	if !ok {
		return Stream{}, fmt.Errorf("stream %q: want granularity/group, for example hour/total or hour/sim@country", text)
	}
	group, fanOut, fans := strings.Cut(rest, "@")
	s := Stream{Granularity: Granularity(granularity), Group: Dimension(group), FanOut: Dimension(fanOut)}
	switch s.Granularity {
	case Hour, Day, All:
	default:
		return Stream{}, fmt.Errorf("stream %q: granularity %q is not one of hour, day, all", text, granularity)
	}
	if s.Group != Total && !s.Group.divides() {
		return Stream{}, fmt.Errorf("stream %q: group %q is not one of total, sim, fleet, network, country", text, group)
	}
	if fans && !s.FanOut.divides() {
		return Stream{}, fmt.Errorf("stream %q: fan-out %q is not one of sim, fleet, network, country", text, fanOut)
	}
	if fans && s.Group == Total {
		return Stream{}, fmt.Errorf("stream %q: a fan-out needs a group; total@%s says what %s/%s says", text, fanOut, granularity, fanOut)
	}
	if fans && s.FanOut == s.Group {
		return Stream{}, fmt.Errorf("stream %q: the fan-out repeats the group %q", text, group)
	}
	if !filtered {
		return s, nil
	}
	return s.narrowed(text, filters)
}

// narrowed is the stream with its fixed filters, filter=value[:filter=value]….
func (s Stream) narrowed(text, filters string) (Stream, error) {
	for _, part := range strings.Split(filters, ":") {
		name, value, _ := strings.Cut(part, "=")
		d := Dimension(name)
		switch {
		case !d.divides() || value == "":
			return Stream{}, fmt.Errorf("stream %q: filter %q: want sim=…, fleet=…, network=… or country=…", text, part)
		case d == s.Group || d == s.FanOut || s.Fixed.Get(d) != "":
			return Stream{}, fmt.Errorf("stream %q: filter %q: %s is used twice", text, part, d)
		case d == Network && !isSID("HW", value):
			return Stream{}, fmt.Errorf("stream %q: filter %q: a network is given by its SID, HW and 32 hexadecimal digits", text, part)
		case d == Country && !isAlpha2(value):
			return Stream{}, fmt.Errorf("stream %q: filter %q: a country is given by its two letters, for example DE", text, part)
		case d == Country:
			value = strings.ToUpper(value)
		}
		s.Fixed = s.Fixed.With(d, value)
	}
	return s, nil
}

// String is the stream's text form; ParseStream(s.String()) is s again.
func (s Stream) String() string {
	var b strings.Builder
	b.WriteString(string(s.Granularity) + "/" + string(s.Group))
	if s.FanOut != "" {
		b.WriteString("@" + string(s.FanOut))
	}
	for _, d := range divisions {
		if v := s.Fixed.Get(d); v != "" {
			b.WriteString(":" + string(d) + "=" + v)
		}
	}
	return b.String()
}

// Dimensions are what the stream breaks usage down by: none for a total, two for a fan-out. Fixed
// filters are not among them.
func (s Stream) Dimensions() []Dimension {
	var ds []Dimension
	for _, d := range divisions {
		if d == s.Group || d == s.FanOut {
			ds = append(ds, d)
		}
	}
	return ds
}

// divisions are the dimensions that can be grouped by or filtered on, in the order of the text form.
var divisions = []Dimension{Sim, Fleet, Network, Country}

func isAlpha2(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return len(s) == 2
}

func (d Dimension) divides() bool {
	switch d {
	case Sim, Fleet, Network, Country:
		return true
	}
	return false
}
