package main

import (
	"testing"
	"time"
)

// FuzzMoment: what is read as a time is one that can be written and read again as the same.
func FuzzMoment(f *testing.F) {
	for _, seed := range []string{"2026-01-31", "2026-01-31T06:00:00Z", "2026-01-31T06:00:00+02:00", "2026-02-30", "yesterday", "0000-01-01", "9999-12-31T23:59:59.999999999-23:59", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, err := parseMoment(text)
		if err != nil {
			if !at.IsZero() {
				t.Errorf("%q: %v with an error", text, at)
			}
			return
		}
		if at.Location() != time.UTC {
			t.Errorf("%q is in %v", text, at.Location())
		}
		if at.Nanosecond() != 0 || at.Year() < 0 || at.Year() > 9999 {
			return // written in whole seconds, in years of four digits
		}
		if again, err := parseMoment(day(at)); err != nil || !again.Equal(at) {
			t.Errorf("%q is %v, and %q is %v, %v", text, at, day(at), again, err)
		}
	})
}

// FuzzSpan: what is read as a duration is within bounds.
func FuzzSpan(f *testing.F) {
	for _, seed := range []string{"90m", "72h", "30d", "-1d", "-0d", "106751d", "36500d", "36501d", "9223372036854775807d", "1e3h", "+5d", "0", "", "d", "2562047h47m16.854775807s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parseSpan(text)
		if d < 0 || d > longest || err != nil && d != 0 {
			t.Errorf("%q: %v, %v", text, d, err)
		}
	})
}
