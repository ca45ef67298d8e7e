package load

import (
	"slices"
	"time"

	"simusage/extract"
)

// Fleet is a fleet that is only thought of: every SIM uses data every hour, in one country and one network at a time. A
// real one has less. Each country has a network, and a thousand SIMs are a fleet.
type Fleet struct{ SIMs, Countries int64 }

// Size is what a stream of a fleet comes to.
type Size struct {
	// Stored are the rows of a day that readers see, and Bytes what a month of 30 days of them takes on disk, with roll-ups and
	// indexes.
	Stored, Bytes int64
	// Slice is how many rows the largest slice has, which are published in one transaction.
	Slice int64
	// First is the first load of a window. Daily is what a day of syncs costs: whatever is not settled is read once every refresh.
	First, Daily Estimate
}

// What a row takes on disk with its index, in bytes, measured (README, "How fast").
const (
	factBytes   = 116
	rollupBytes = 118
)

// Size says what a stream comes to, from nothing but arithmetic: the slices, walked together as Lease would have them, at pageSize
// records a page. now is the end of the window, and the moment at which it is looked at what is not settled yet.
func (f Fleet) Size(st extract.Stream, window extract.Window, pageSize int, settle, refresh time.Duration) Size {
	now := window.End
	all := f.slices(st, window)
	open := slices.Clone(all)
	for i, g := range open { // they were read before
		open[i].lists = cutLists(st, st.Ask(g.window, now), g.rows, g.lists, listRows)
	}
	all[len(all)-1].alone = true // nothing is known yet
	size := Size{First: cost(st, now.Add(-settle), all, pageSize)}
	for len(open) > 0 && !open[0].window.End.After(now.Add(-settle)) {
		open = open[1:]
	}
	for _, g := range all {
		size.Slice = max(size.Slice, g.rows)
	}
	size.Daily = cost(st, now.Add(-settle), open, pageSize)
	size.Daily.times(max(1, int64(24*time.Hour/refresh)))
	keys := f.keys(st)
	switch st.Granularity {
	case extract.Hour:
		size.Stored, size.Bytes = 24*keys, 30*24*keys*factBytes+31*keys*rollupBytes // hours; days and the month
	case extract.Day:
		size.Stored, size.Bytes = keys, 31*keys*rollupBytes // days and the month
	default:
		size.Stored, size.Bytes = keys/30, keys*rollupBytes // the month
	}
	return size
}

// keys is how many rows a bucket of the stream has.
func (f Fleet) keys(st extract.Stream) int64 {
	most := int64(1)
	for _, d := range []extract.Dimension{st.Group, st.FanOut} {
		if d != "" {
			most = max(most, f.values(d, st.Fixed))
		}
	}
	return most
}

// values is how many values a dimension has, where it is not fixed.
func (f Fleet) values(d extract.Dimension, fixed extract.Filter) int64 {
	switch {
	case d == extract.Total || fixed.Get(d) != "" || fixed.Sim != "":
		return 1
	case d == extract.Sim:
		return f.SIMs
	case d == extract.Fleet:
		return (f.SIMs + 999) / 1000
	}
	return min(f.Countries, f.SIMs)
}

// slices are the slices of a window, with the rows and lists that the fleet's have.
func (f Fleet) slices(st extract.Stream, window extract.Window) []guessed {
	lists := int64(1)
	if st.FanOut != "" {
		lists += f.values(st.FanOut, st.Fixed) // and the one that discovers them
	}
	var all []guessed
	for _, w := range st.Slices(window) {
		buckets := int64(1)
		ask := st.Ask(w, window.End)
		switch st.Granularity {
		case extract.Hour:
			buckets = int64(ask.End.Sub(ask.Start) / time.Hour)
		case extract.Day:
			buckets = int64(ask.End.Sub(ask.Start) / (24 * time.Hour))
		}
		all = append(all, guessed{neighbour: neighbour{window: w, rows: buckets * f.keys(st)}, lists: lists})
	}
	return all
}
