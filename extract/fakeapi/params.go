package fakeapi

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// usageQuery is a question for usage, read and checked: filters are SIDs, the window is set. Equal questions are
// equal values, which makes it the key of the computed lists.
type usageQuery struct {
	sim, fleet, network, country string // empty: not narrowed
	group                        string
	granularity                  string
	start, end                   time.Time
}

// usageParameters are the parameters of /v1/UsageRecords in the vendors' order, without those of paging.
func usageParameters() []string {
	return []string{"Sim", "Fleet", "Network", "IsoCountry", "Group", "Granularity", "StartTime", "EndTime"}
}

// readUsageQuery reads the parameters and holds the question against the documented limits. A window that is not
// given ends at now.
func (s *Server) readUsageQuery(v url.Values, now time.Time) (usageQuery, *refusal) {
	q := usageQuery{group: v.Get("Group"), granularity: v.Get("Granularity"), network: v.Get("Network"), country: strings.ToUpper(v.Get("IsoCountry"))}
	if q.granularity == "" {
		q.granularity = "all"
	}
	switch {
	case !slices.Contains([]string{"", "sim", "fleet", "network", "isoCountry"}, q.group):
		return q, invalid("Group must be one of sim, fleet, network, isoCountry")
	case !slices.Contains([]string{"hour", "day", "all"}, q.granularity):
		return q, invalid("Granularity must be one of hour, day, all")
	case q.network != "" && !isSID(q.network, "HW"):
		return q, invalid("Network must be the SID of a Network")
	case q.country != "" && !(len(q.country) == 2 && strings.Trim(q.country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""):
		return q, invalid("IsoCountry must be an alpha-2 country code")
	}
	for _, pair := range s.opts.RefusePairs {
		group, filter, _ := strings.Cut(pair, "+")
		if group == q.group && v.Get(filter) != "" {
			return q, invalid("Group " + group + " cannot be combined with " + filter)
		}
	}
	q.sim, q.fleet = s.world.simSID(v.Get("Sim")), s.world.fleetSID(v.Get("Fleet"))
	if refused := q.readWindow(v, now, s.opts.FixedMonths); refused != nil {
		return q, refused
	}
	return q, s.checkWindow(q, v, now)
}

func (q *usageQuery) readWindow(v url.Values, now time.Time, fixed bool) *refusal {
	q.end = now.Truncate(time.Second)
	for _, p := range []struct {
		name string
		into *time.Time
	}{{"EndTime", &q.end}, {"StartTime", &q.start}} {
		text := v.Get(p.name)
		if text == "" {
			continue
		}
		t, ok := parseTime(text)
		if !ok {
			return invalid(p.name + " must be a date and time in ISO 8601")
		}
		*p.into = t
	}
	if q.start.IsZero() {
		q.start = addMonths(q.end, -1, fixed)
	}
	if !q.start.Before(q.end) {
		return invalid("StartTime must be before EndTime")
	}
	return nil
}

// checkWindow applies the limits that depend on how the usage is asked for. Only times that were given must be
// aligned: the default end is now.
func (s *Server) checkWindow(q usageQuery, v url.Values, now time.Time) *refusal {
	fixed := s.opts.FixedMonths
	longest := q.end.Add(-31 * 24 * time.Hour)
	floor := addMonths(now.Truncate(24*time.Hour), -18, fixed)
	unaligned := v.Get("StartTime") != "" && !aligned(q.start, q.granularity) || v.Get("EndTime") != "" && !aligned(q.end, q.granularity)
	switch {
	case s.opts.RefuseFuture && q.end.After(now):
		return invalid("EndTime must not be in the future")
	case s.opts.RefuseUnaligned && unaligned && q.granularity == "day":
		return &refusal{http.StatusBadRequest, 83601, "StartTime and EndTime must be aligned to UTC days"}
	case s.opts.RefuseUnaligned && unaligned && q.granularity == "hour":
		return &refusal{http.StatusBadRequest, 83602, "StartTime and EndTime must be aligned to UTC hours"}
	case q.start.Before(floor):
		return &refusal{http.StatusBadRequest, 83605, "StartTime must not be more than 18 months ago"}
	case q.group == "sim" && q.start.Before(longest):
		return &refusal{http.StatusBadRequest, 83603, "The time range must not exceed 31 days when grouping by sim"}
	}
	switch q.granularity {
	case "day":
		longest = addMonths(q.end, -3, fixed)
	case "all":
		longest = addMonths(q.end, -18, fixed)
	}
	if q.start.Before(longest) {
		return &refusal{http.StatusBadRequest, 83604, fmt.Sprintf("The time range is too long for granularity %s", q.granularity)}
	}
	return nil
}

func invalid(message string) *refusal {
	return &refusal{http.StatusBadRequest, 83600, message}
}

// isSID says whether text is two given letters and 32 hexadecimal digits.
func isSID(text, prefix string) bool {
	digits, ok := strings.CutPrefix(text, prefix)
	return ok && len(digits) == 32 && strings.Trim(digits, "0123456789abcdefABCDEF") == ""
}

// aligned says whether t is the start of a bucket in UTC.
func aligned(t time.Time, granularity string) bool {
	width := map[string]time.Duration{"hour": time.Hour, "day": 24 * time.Hour, "all": 1}[granularity]
	return t.Equal(t.Truncate(width))
}

// addMonths goes n months from t: calendar months, or of 30 days.
func addMonths(t time.Time, n int, fixed bool) time.Time {
	if fixed {
		return t.AddDate(0, 0, 30*n)
	}
	return t.AddDate(0, n, 0)
}

// parseTime reads the forms of ISO 8601 that people send; one without a zone is UTC.
func parseTime(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// simSID is the SID of the SIM that a filter names by SID or unique name. A name that nothing has is returned as it
// is: no usage has it, and the answer is an empty list.
func (w *World) simSID(name string) string {
	w.mu.RLock()
	defer w.mu.RUnlock()
	i := slices.IndexFunc(w.sims, func(s Sim) bool { return name != "" && s.UniqueName == name })
	if i < 0 {
		return name
	}
	return w.sims[i].SID
}

// fleetSID is the same for fleets.
func (w *World) fleetSID(name string) string {
	w.mu.RLock()
	defer w.mu.RUnlock()
	i := slices.IndexFunc(w.fleets, func(f Fleet) bool { return name != "" && f.UniqueName == name })
	if i < 0 {
		return name
	}
	return w.fleets[i].SID
}
