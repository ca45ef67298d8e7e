package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parseMoment reads 2026-01-31 (midnight UTC) or RFC 3339.
func parseMoment(text string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t, err = time.Parse(time.RFC3339, text)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no date such as 2026-01-31 or 2026-01-31T06:00:00Z", text)
	}
	return t.UTC(), nil
}

// longest bounds durations; beyond it a mistake is more likely than an intention.
const longest = 100 * 365 * 24 * time.Hour

// parseSpan reads a duration: Go's, or a number of days such as 30d.
func parseSpan(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n int
		if n, err = strconv.Atoi(days); err == nil && max(n, -n) <= int(longest/24/time.Hour) {
			d = time.Duration(n) * 24 * time.Hour
		} else {
			err = strconv.ErrRange
		}
	}
	switch {
	case err != nil || d > longest:
		return 0, fmt.Errorf("%q is no duration such as 90m, 72h or 30d", text)
	case d < 0:
		return 0, fmt.Errorf("%q is negative", text)
	}
	return d, nil
}

// day is a time as people write it: just the date at midnight.
func day(t time.Time) string {
	if t.Equal(t.UTC().Truncate(24 * time.Hour)) {
		return t.UTC().Format(time.DateOnly)
	}
	return t.UTC().Format(time.RFC3339)
}
