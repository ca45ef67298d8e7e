package extract

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// at reads short notation: "03-31 24h", "2025-09-01 00h", "03-02 10:59". The year is 2026 when it is not given, and 24h
// is the next midnight.
func at(tb testing.TB, text string) time.Time {
	tb.Helper()
	if strings.Count(text, "-") == 1 {
		text = "2026-" + text
	}
	for _, layout := range []string{"2006-01-02 15h", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t
		}
	}
	day, ok := strings.CutSuffix(text, " 24h")
	t, err := time.Parse("2006-01-02", day)
	if err != nil || !ok {
		tb.Fatalf("time %q cannot be read", text)
	}
	return t.AddDate(0, 0, 1)
}

// span reads "03-01 00h..03-31 24h"; "" is the empty window.
func span(tb testing.TB, text string) Window {
	tb.Helper()
	if text == "" {
		return Window{}
	}
	start, end, ok := strings.Cut(text, "..")
	if !ok {
		tb.Fatalf("window %q cannot be read", text)
	}
	return Window{Start: at(tb, start), End: at(tb, end)}
}

func mustStream(tb testing.TB, text string) Stream {
	tb.Helper()
	s, err := ParseStream(text)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestPromise1Slices(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		stream, window string
		want           []string
	}{
		{"hour/total", "03-01 00h..03-02 24h", []string{"03-01 00h..03-01 24h", "03-02 00h..03-02 24h"}},
		{"hour/total", "03-01 23h..03-02 01h", []string{"03-01 00h..03-01 24h", "03-02 00h..03-02 24h"}},
		{"hour/total", "03-01 05h..03-01 06h", []string{"03-01 00h..03-01 24h"}},
		{"hour/total", "2025-12-31 23:59..01-01 00:01", []string{"2025-12-31 00h..2025-12-31 24h", "01-01 00h..01-01 24h"}},
		{"hour/sim@country", "02-28 00h..03-01 24h", []string{"02-28 00h..02-28 24h", "03-01 00h..03-01 24h"}},
		{"hour/sim@country", "2024-02-28 12h..2024-03-01 12h", []string{"2024-02-28 00h..2024-02-28 24h", "2024-02-29 00h..2024-02-29 24h", "2024-03-01 00h..2024-03-01 24h"}},
		{"day/sim@fleet", "03-01 00h..03-31 24h", []string{"03-01 00h..03-31 24h"}},
		{"day/sim@fleet", "03-31 23h..04-01 01h", []string{"03-01 00h..03-31 24h", "04-01 00h..04-30 24h"}},
		{"day/total", "2025-12-15 00h..02-01 00h", []string{"2025-12-01 00h..2025-12-31 24h", "01-01 00h..01-31 24h"}},
		{"all/country", "02-10 00h..02-11 00h", []string{"02-01 00h..02-28 24h"}},
		{"hour/total", "03-02 00h..03-02 00h", nil},
		{"day/total", "03-02 00h..03-01 00h", nil},
	} {
		t.Run(test.stream+" "+test.window, func(t *testing.T) {
			t.Parallel()
			got := mustStream(t, test.stream).Slices(span(t, test.window))
			if len(got) != len(test.want) {
				t.Fatalf("%d slices %v, want %d", len(got), got, len(test.want))
			}
			for i, want := range test.want {
				if got[i] != span(t, want) {
					t.Errorf("slice %d is %s, want %s", i, got[i], want)
				}
			}
		})
	}
}

func TestPromise1SlicesAreUTC(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("east", 9*3600)
	w := Window{Start: time.Date(2026, 3, 1, 3, 0, 0, 0, east), End: time.Date(2026, 3, 1, 5, 0, 0, 0, east)}
	got := mustStream(t, "hour/total").Slices(w)
	if len(got) != 1 || got[0] != span(t, "02-28 00h..02-28 24h") {
		t.Errorf("slices of %s are %v", w, got)
	}
}

func TestPromise1Wall(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ now, want string }{
		// 540 days are less than 18 calendar months, so they decide.
		{"2026-07-15 10h", "2025-01-22 00h"},
		{"2026-07-15 23:59", "2025-01-22 00h"},
		{"2026-07-16 00h", "2025-01-23 00h"},
		{"2026-08-31 12h", "2025-03-10 00h"}, // 31 February 2025 does not exist
		{"2025-08-31 12h", "2024-03-10 00h"}, // nor in a leap year
		{"2024-02-29 12h", "2022-09-08 00h"},
	} {
		if got := Wall(at(t, test.now)); got != at(t, test.want) {
			t.Errorf("wall on %s is %s, want %s", test.now, got, test.want)
		}
	}
}

func TestPromise1Ask(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, stream, now, slice, want string }{
		{"a past day", "hour/total", "03-10 12:34", "03-01 00h..03-01 24h", "03-01 00h..03-01 24h"},
		{"today, to the last finished hour", "hour/total", "03-10 12:34", "03-10 00h..03-10 24h", "03-10 00h..03-10 12h"},
		{"today, on the hour", "hour/total", "03-10 12h", "03-10 00h..03-10 24h", "03-10 00h..03-10 12h"},
		{"today, before one o'clock", "hour/total", "03-10 00:59", "03-10 00h..03-10 24h", ""},
		{"tomorrow", "hour/total", "03-10 12:34", "03-11 00h..03-11 24h", ""},
		{"this month, without today", "day/total", "03-10 12:34", "03-01 00h..03-31 24h", "03-01 00h..03-09 24h"},
		{"this month, on its first day", "day/total", "03-01 12:34", "03-01 00h..03-31 24h", ""},
		{"one bucket of this month", "all/total", "03-10 12:34", "03-01 00h..03-31 24h", "03-01 00h..03-09 24h"},
		{"a month at the wall", "day/total", "2026-07-15 10h", "2025-01-01 00h..2025-01-31 24h", "2025-01-22 00h..2025-01-31 24h"},
		{"one bucket of a month at the wall", "all/total", "2026-07-15 10h", "2025-01-01 00h..2025-01-31 24h", ""},
		{"one bucket of the month behind", "all/total", "2026-07-15 10h", "2025-02-01 00h..2025-02-28 24h", "2025-02-01 00h..2025-02-28 24h"},
		{"a day at the wall", "hour/total", "2026-07-15 10h", "2025-01-22 00h..2025-01-22 24h", "2025-01-22 00h..2025-01-22 24h"},
		{"a day beyond the wall", "hour/total", "2026-07-15 10h", "2025-01-21 00h..2025-01-21 24h", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := mustStream(t, test.stream).Ask(span(t, test.slice), at(t, test.now))
			if got != span(t, test.want) {
				t.Errorf("asks %s, want %s", got, test.want)
			}
		})
	}
}

// Slices that go together stay below the limits of one question in every reading of a month, at any time of the year; and
// what goes together is worth it.
func TestPromise1Longest(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		stream string
		most   int // slices
	}{
		{"hour/total", 31}, {"hour/sim@country", 31}, {"hour/country@sim", 31}, {"day/sim", 1}, {"day/sim@fleet", 1}, {"day/country@sim", 1},
		{"day/total", 2}, {"day/network@country", 2}, {"all/total", 0}, {"all/sim", 0},
	} {
		s := mustStream(t, test.stream)
		slices := s.Slices(span(t, "2023-01-01 00h..2027-01-01 00h"))
		most := 0
		for i, first := range slices {
			for n, last := range slices[i:] {
				whole := Window{Start: first.Start, End: last.End}
				if whole.End.Sub(whole.Start) > s.Longest() {
					break
				}
				most = max(most, n+1)
				// Ninety days are three months in one reading; the shortest three of the calendar are 89.
				for _, days := range []int{89, 90} {
					if limit := whole.End.AddDate(0, 0, -days); whole.Start.Before(limit) {
						t.Fatalf("%s asks for %s", s, whole)
					}
				}
				if days := whole.End.Sub(whole.Start).Hours() / 24; days > 31 && (s.Granularity == Hour || s.Group == Sim || s.FanOut == Sim) {
					t.Fatalf("%s asks for %v days", s, days)
				}
			}
		}
		if most != test.most {
			t.Errorf("%s: %d slices go together, want %d", s, most, test.most)
		}
	}
}

// FuzzPromise1Tiling is promise 1 for any stream, window and time: the slices cover the window with no gap and no
// overlap, and what is asked of them is all that can be asked, within the limits of the API in every reading of them.
func FuzzPromise1Tiling(f *testing.F) {
	f.Add(uint8(0), int64(1772323200), int64(1774915200), int64(1775000000))
	f.Add(uint8(1), int64(1725000000), int64(1774915200), int64(1775000000))
	f.Add(uint8(2), int64(1725000000), int64(1774915200), int64(1788134400))
	f.Add(uint8(5), int64(1709164800), int64(1709337600), int64(1756641600)) // a leap day; 31 August
	f.Fuzz(func(t *testing.T, kind uint8, start, end, now int64) {
		const (
			first = 1262304000 // 2010
			last  = 4102444800 // 2100
			most  = 4 * 366 * 86400
		)
		if start < first || end > last || now < first || now > last || end-start > most {
			return
		}
		granularities := []Granularity{Hour, Day, All}
		groups := []Dimension{Total, Sim}
		s := Stream{Granularity: granularities[int(kind)%3], Group: groups[int(kind)/3%2]}
		w := Window{Start: time.Unix(start, 0).UTC(), End: time.Unix(end, 0).UTC()}
		checkTiling(t, s, w, time.Unix(now, 0).UTC())
	})
}

func checkTiling(t *testing.T, s Stream, w Window, now time.Time) {
	t.Helper()
	slices := s.Slices(w)
	if w.Empty() {
		if len(slices) != 0 {
			t.Fatalf("%d slices of an empty window", len(slices))
		}
		return
	}
	if first, last := slices[0], slices[len(slices)-1]; !first.Contains(w.Start) || last.End.Before(w.End) || !last.Start.Before(w.End) {
		t.Fatalf("slices %s to %s do not cover %s tightly", first, last, w)
	}
	askable := w.Intersect(Window{Start: Wall(now), End: s.Finished(now)})
	var asked time.Duration
	for i, slice := range slices {
		if i > 0 && slice.Start != slices[i-1].End {
			t.Fatalf("gap or overlap: %s after %s", slice, slices[i-1])
		}
		again := s.Slices(Window{Start: slice.Start.Add(time.Minute), End: slice.Start.Add(2 * time.Minute)})
		if len(again) != 1 || again[0] != slice {
			t.Fatalf("slice %s is found again as %v", slice, again)
		}
		ask := s.Ask(slice, now)
		if ask.Empty() {
			continue
		}
		checkLimits(t, s, ask, now)
		if part := ask.Intersect(w); !part.Empty() {
			asked += part.End.Sub(part.Start)
		}
	}
	if s.Granularity != All && !askable.Empty() && asked != askable.End.Sub(askable.Start) {
		t.Fatalf("%s of %s can be asked, %s are", askable.End.Sub(askable.Start), askable, asked)
	}
}

// checkLimits holds a question against the API's documented limits, in both readings of a month.
func checkLimits(t *testing.T, s Stream, ask Window, now time.Time) {
	t.Helper()
	const day = 24 * time.Hour
	width := ask.End.Sub(ask.Start)
	today := now.UTC().Truncate(day)
	switch {
	case width > 31*day:
		t.Fatalf("%s is longer than 31 days", ask)
	case s.Granularity != Hour && (ask.Start != ask.Start.Truncate(day) || ask.End != ask.End.Truncate(day)):
		t.Fatalf("%s is not of whole days", ask)
	case ask.Start != ask.Start.Truncate(time.Hour) || ask.End != ask.End.Truncate(time.Hour):
		t.Fatalf("%s is not of whole hours", ask)
	case !ask.Start.After(today.AddDate(0, -18, 0)) || !ask.Start.After(today.Add(-540*day)):
		t.Fatalf("%s is beyond the wall on %s", ask, now)
	case ask.End.After(now):
		t.Fatalf("%s is in the future of %s", ask, now)
	}
}

// Pieces cover a window exactly, in whole buckets, none of them empty, and as even as can be.
func TestPromise1Cut(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		stream, window string
		n              int
		want           string // how many buckets each piece has
	}{
		{"hour/sim", "03-01 00h..03-01 24h", 1, "24"},
		{"hour/sim", "03-01 00h..03-01 24h", 0, "24"},
		{"hour/sim", "03-01 00h..03-01 24h", 2, "12 12"},
		{"hour/sim@country", "03-01 00h..03-01 24h", 5, "4 5 5 5 5"},
		{"hour/sim", "03-01 00h..03-01 03h", 9, "1 1 1"},
		{"hour/sim", "03-01 23h..03-01 24h", 9, "1"},
		{"hour/sim", "", 9, "0"},
		{"day/sim", "2026-02-01 00h..2026-02-28 24h", 3, "9 9 10"},
		{"day/sim", "03-01 00h..03-02 24h", 99, "1 1"},
		{"all/sim", "03-01 00h..03-31 24h", 99, "744"},
	} {
		s, w := mustStream(t, test.stream), span(t, test.window)
		bucket := time.Hour
		if s.Granularity == Day {
			bucket = 24 * time.Hour
		}
		var got []string
		until := w.Start
		for _, piece := range s.Cut(w, test.n) {
			if !piece.Start.Equal(until) {
				t.Errorf("%s of %s: a piece begins at %s, the one before ends at %s", test.stream, w, piece.Start, until)
			}
			until = piece.End
			got = append(got, strconv.Itoa(int(piece.End.Sub(piece.Start)/bucket)))
		}
		if !until.Equal(w.End) || strings.Join(got, " ") != test.want {
			t.Errorf("%s of %s in %d is %s until %s, want %s", test.stream, w, test.n, got, until, test.want)
		}
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	w := span(t, "03-01 00h..03-02 00h")
	for text, want := range map[string]bool{"02-28 23:59": false, "03-01 00h": true, "03-01 23:59": true, "03-02 00h": false} {
		if w.Contains(at(t, text)) != want {
			t.Errorf("%s contains %s: %t, want %t", w, text, !want, want)
		}
	}
	if got := w.Intersect(span(t, "03-01 12h..03-03 00h")); got != span(t, "03-01 12h..03-02 00h") {
		t.Errorf("intersection is %s", got)
	}
	if got := w.Intersect(span(t, "03-05 00h..03-06 00h")); !got.Empty() {
		t.Errorf("intersection is %s, want none", got)
	}
	if got := w.String(); got != "2026-03-01T00:00Z..2026-03-02T00:00Z" {
		t.Errorf("window prints as %s", got)
	}
}
