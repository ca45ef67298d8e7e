package fakeapi

import (
	"cmp"
	"iter"
	"net/http"
	"slices"
	"time"
)

// usageRow is one record of an answer. Only the dimension of the group differs between the records of a list; the
// filters are the same in all.
type usageRow struct {
	start            int64 // of the bucket, in seconds since 1970
	key              string
	upload, download int64
	billed           Money
	unit             string
	mixed            bool   // two units: neither is told
	tie              uint64 // the place among the records of the bucket
}

// usageList is a whole answer, newest bucket first, and for how long it stays the same: while the world has this
// version and the clock is in [from, until), no event appears, goes or is billed.
type usageList struct {
	rows        []usageRow
	version     uint64
	from, until time.Time
}

// usageRecords answers GET /v1/UsageRecords.
func (s *Server) usageRecords(w http.ResponseWriter, r *http.Request) {
	l, refused := s.open(listing{path: r.URL.Path, key: "usage_records", names: usageParameters(), max: s.opts.MaxPageSize}, r)
	if refused != nil {
		refused.write(w)
		return
	}
	q, refused := s.readUsageQuery(l.query, l.at.start)
	if refused != nil {
		refused.write(w)
		return
	}
	at, key := s.now(), cacheKey{query: q}
	if s.opts.Snapshot {
		at, key.moment = l.at.start, l.at.start
	}
	list := s.usage(key, at)
	record := s.recordEncoder(q)
	s.send(w, &l, len(list.rows), func(b []byte, i int) []byte { return record(b, &list.rows[i]) })
}

// usage is the list of a question as it is at a time, from the cache when that is still true.
func (s *Server) usage(key cacheKey, at time.Time) *usageList {
	if list := s.lists.get(key, s.world.currentVersion(), at); list != nil {
		return list
	}
	list := s.aggregate(key.query, at)
	s.lists.put(key, list)
	return list
}

// aggregate sums the events of a question into records, bucket by bucket from the newest to the oldest. Within a
// bucket the order is that of a hash: stable, and good for nothing, as the documents promise.
func (s *Server) aggregate(q usageQuery, at time.Time) *usageList {
	w := s.world
	w.mu.RLock()
	defer w.mu.RUnlock()
	list := &usageList{version: w.version, from: at, until: at.AddDate(1000, 0, 0)}
	sums := map[string]*usageRow{}
	for bucket, hours := range q.buckets() {
		clear(sums)
		if s.opts.EmptyBuckets && q.group == "" {
			sums[""] = &usageRow{}
		}
		for hour := hours.first; hour < hours.end; hour++ {
			for i := range w.hours[hour] {
				e := &w.hours[hour][i]
				if !q.matches(e) {
					continue
				}
				list.narrow(e, at)
				key := q.key(e)
				if !e.visible(at) || (key == "" && q.group != "" && s.opts.DropUnattributed) {
					continue
				}
				if sums[key] == nil {
					sums[key] = &usageRow{}
				}
				sums[key].add(e, at)
			}
		}
		first := len(list.rows)
		for key, sum := range sums {
			sum.start, sum.key, sum.tie = bucket, key, tie(key, s.opts.TieSeed)
			list.rows = append(list.rows, *sum)
		}
		slices.SortFunc(list.rows[first:], func(a, b usageRow) int {
			return cmp.Or(cmp.Compare(a.tie, b.tie), cmp.Compare(a.key, b.key))
		})
	}
	return list
}

// hourRange is a half-open range of hours since 1970.
type hourRange struct{ first, end int64 }

// buckets are the periods of the records, newest first: the second in which each begins, and its hours that lie in
// the window. A bucket that the window cuts keeps its whole period, but sums only what lies in the window.
func (q usageQuery) buckets() iter.Seq2[int64, hourRange] {
	window := hourRange{hourOf(q.start.Add(time.Hour - 1)), hourOf(q.end.Add(time.Hour - 1))}
	return func(yield func(int64, hourRange) bool) {
		width := map[string]int64{"hour": 1, "day": 24}[q.granularity]
		if width == 0 {
			yield(q.start.Unix(), window)
			return
		}
		for first := (window.end - 1) / width * width; first+width > window.first; first -= width {
			hours := hourRange{max(first, window.first), min(first+width, window.end)}
			if !yield(first*3600, hours) {
				return
			}
		}
	}
}

// matches says whether an event passes the filters.
func (q *usageQuery) matches(e *Event) bool {
	return (q.sim == "" || q.sim == e.Sim) && (q.fleet == "" || q.fleet == e.Fleet) &&
		(q.network == "" || q.network == e.Network) && (q.country == "" || q.country == e.Country)
}

// key is the event's value of the dimension that is grouped by.
func (q *usageQuery) key(e *Event) string {
	switch q.group {
	case "sim":
		return e.Sim
	case "fleet":
		return e.Fleet
	case "network":
		return e.Network
	case "isoCountry":
		return e.Country
	}
	return ""
}

// add counts an event that is visible.
func (u *usageRow) add(e *Event, at time.Time) {
	u.upload += e.Upload
	u.download += e.Download
	if !e.billed(at) {
		return
	}
	u.billed += e.Billed
	u.mixed = u.mixed || u.unit != "" && u.unit != e.Unit
	u.unit = e.Unit
}

// narrow ends the list's life where the event next changes.
func (l *usageList) narrow(e *Event, at time.Time) {
	for _, t := range [...]time.Time{e.VisibleAt, e.BilledAt, e.GoneAt} {
		if t.After(at) && t.Before(l.until) {
			l.until = t
		}
	}
}

// tie is a hash of a record's key (FNV-1a).
func tie(key string, seed uint64) uint64 {
	h := 14695981039346656037 ^ seed
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	return h
}
