package extract

import "time"

// The oldest usage that the API still answers for moves with every midnight, and so does the newest bucket that
// is finished. Were slices counted from now, an interrupted slice would never be found again by the next run, and
// two runs would cut the same day differently and publish halves of each other. Slices are therefore cut on the
// calendar, whole, and only what is asked of a slice depends on now.

// Slices are the calendar slices of the stream that overlap w, oldest first and not clipped to it: UTC days for
// hourly buckets, UTC months for daily buckets and for one bucket of the whole. Both stay within what the API
// takes in one question, also grouped by SIM (31 days).
func (s Stream) Slices(w Window) []Window {
	if w.Empty() {
		return nil
	}
	var slices []Window
	for start := s.sliceStart(w.Start); start.Before(w.End); {
		end := s.sliceEnd(start)
		slices = append(slices, Window{Start: start, End: end})
		start = end
	}
	return slices
}

func (s Stream) sliceStart(t time.Time) time.Time {
	t = t.UTC()
	if s.Granularity == Hour {
		return midnight(t)
	}
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

func (s Stream) sliceEnd(start time.Time) time.Time {
	if s.Granularity == Hour {
		return start.AddDate(0, 0, 1)
	}
	return start.AddDate(0, 1, 0)
}

// Wall is the oldest time that may be asked for. The API refuses a StartTime older than 18 months before today
// 00:00Z, and does not say whether a month is a calendar month or thirty days. Of all readings the latest counts, which is
// thirty days, plus one day because the wall moves while a run lasts: a slice that is refused loses its whole
// stream, a few days at the far end are lost anyway within a week. (Views know it from sql/base/slice_remembered.sql.)
func Wall(now time.Time) time.Time {
	return midnight(now).AddDate(0, 0, 1-18*30)
}

// Finished is the end of the last finished bucket: the hour for hourly buckets, the UTC day for the others. What
// lies behind it is never asked for, so a bucket that is still filling is never taken for a whole one, and EndTime
// is never in the future.
func (s Stream) Finished(now time.Time) time.Time {
	if s.Granularity == Hour {
		return now.UTC().Truncate(time.Hour)
	}
	return midnight(now)
}

// Ask is the part of a slice that can be asked for now: not behind the wall, not in an unfinished bucket. It is
// empty when nothing can be asked. One bucket of the whole has the slice's start as its name, so such a slice that
// the wall cuts cannot be asked at all: what came back would be another bucket.
func (s Stream) Ask(slice Window, now time.Time) Window {
	wall := Wall(now)
	if s.Granularity == All && slice.Start.Before(wall) {
		return Window{}
	}
	w := slice.Intersect(Window{Start: wall, End: s.Finished(now)})
	if w.Empty() {
		return Window{}
	}
	return w
}

// Cut is a window of the stream in at most n windows of whole buckets, oldest first and as even as can be, so that a bucket
// lies in exactly one. One bucket of the whole cannot be cut: what came back would be other buckets.
func (s Stream) Cut(w Window, n int) []Window {
	bucket := time.Hour
	switch s.Granularity {
	case All:
		return []Window{w}
	case Day:
		bucket = 24 * time.Hour
	}
	buckets := int(w.End.Sub(w.Start) / bucket)
	cuts := make([]Window, max(1, min(n, buckets)))
	for i := range cuts {
		cuts[i] = Window{Start: w.Start.Add(time.Duration(i*buckets/len(cuts)) * bucket), End: w.End}
		if i > 0 {
			cuts[i-1].End = cuts[i].Start
		}
	}
	return cuts
}

// Longest is the longest window that one question of the stream may cover, and 0 where slices cannot be asked for
// together: one bucket of two months is neither the one month nor the other. The API takes 31 days by hour and by SIM,
// also where SIMs are what a fan-out has to discover, and three months by day; as nobody says how long such a month is, we
// stay ten days below three of thirty.
func (s Stream) Longest() time.Duration {
	const day = 24 * time.Hour
	switch {
	case s.Granularity == All:
		return 0
	case s.Granularity == Hour || s.Group == Sim || s.FanOut == Sim:
		return 31 * day
	}
	return 80 * day
}

func midnight(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
}
