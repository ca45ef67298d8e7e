package extract

import "time"

// Window is a half-open range of time in UTC: Start belongs to it, End does not.
type Window struct {
	Start, End time.Time
}

// Empty says whether no time lies in the window.
func (w Window) Empty() bool { return !w.Start.Before(w.End) }

// Contains says whether t lies in the window.
func (w Window) Contains(t time.Time) bool { return !t.Before(w.Start) && t.Before(w.End) }

// Intersect is the time that lies in both windows; it may be empty.
func (w Window) Intersect(o Window) Window {
	if o.Start.After(w.Start) {
		w.Start = o.Start
	}
	if o.End.Before(w.End) {
		w.End = o.End
	}
	return w
}

// String is the window as its two bounds, to the minute.
func (w Window) String() string {
	const layout = "2006-01-02T15:04Z"
	return w.Start.UTC().Format(layout) + ".." + w.End.UTC().Format(layout)
}
