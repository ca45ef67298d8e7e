package pipeline

import (
	"testing"
	"time"

	"simusage/load"
)

func TestSince(t *testing.T) {
	account := load.Account{Created: at("2026-03-10 12:07")}
	now := at("2026-03-20 18:30")
	for _, c := range []struct {
		name  string
		since Since
		want  string
	}{
		{"nothing said: 30 days before the first run", Since{}, "2026-02-08"},
		{"a date", Since{At: at("2025-12-24")}, "2025-12-24"},
		{"a moment: its whole day", Since{At: at("2025-12-24 17:00")}, "2025-12-24"},
		{"a duration back from now", Since{Ago: 48 * time.Hour}, "2026-03-18"},
	} {
		if got := c.since.since(account, now); !got.Equal(at(c.want)) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestDueWindows(t *testing.T) {
	now := at("2026-03-20 18:30")
	job := &Job{Since: Since{At: at("2024-01-15")}, Settle: 72 * time.Hour, Refresh: time.Hour}
	streams := make([]load.Stream, 0, 3)
	for _, x := range parseStreams(t, "hour/total", "day/total", "all/total") {
		streams = append(streams, load.Stream{Stream: x})
	}
	due := job.due(now, Range{}, streams)
	for i, want := range []struct{ first, until, finished string }{
		{"2024-09-27", "2026-03-21", "2026-03-20 18:00"}, // the wall: 540 days and a day of margin
		{"2024-09-01", "2026-04-01", "2026-03-20"},
		{"2024-10-01", "2026-04-01", "2026-03-20"}, // a month that the wall cuts cannot be asked for
	} {
		s := due.Streams[i]
		if !s.Window.Start.Equal(at(want.first)) || !s.Window.End.Equal(at(want.until)) || !s.Finished.Equal(at(want.finished)) {
			t.Errorf("%s: %s, finished %s; want %+v", s.Stream.Stream, s.Window, s.Finished, want)
		}
	}
	// A schedule as long as the refresh interval finds its last run's slices old enough, though it began 3 seconds later.
	if last := now.Add(-time.Hour + 3*time.Second); !last.Before(due.RefreshBefore) {
		t.Errorf("slices read at %s would not be due at %s", last, now)
	}
}

func TestOutcomesHaveTheirExitCodes(t *testing.T) {
	for outcome, want := range map[Outcome]int{Done: 0, Failed: 1, Refused: 2, Partly: 3, Stopped: 75} {
		if got := outcome.ExitCode(); got != want {
			t.Errorf("%s: exit code %d, want %d", outcome, got, want)
		}
	}
}
