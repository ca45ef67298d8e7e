package pipeline

import (
	"log/slog"
	"maps"
	"slices"
	"time"

	"simusage/load"
)

// Outcome is how a run ended.
type Outcome string

// The outcomes. Their exit codes are a promise to schedulers.
const (
	Done    Outcome = "done"    // nothing is due any more
	Failed  Outcome = "failed"  // nothing was done
	Refused Outcome = "refused" // configuration or credentials: the same again would end the same
	Partly  Outcome = "partly"  // something was done, the rest is due
	Stopped Outcome = "stopped" // a signal or a deadline came first; progress is kept
)

// ExitCode is the outcome's exit code.
func (o Outcome) ExitCode() int {
	switch o {
	case Done:
		return 0
	case Refused:
		return 2
	case Partly:
		return 3
	case Stopped:
		return 75
	}
	return 1
}

// Summary is what a run did and how it ended.
type Summary struct {
	load.Run
	Outcome  Outcome
	Held     int // slices that are held back because they shrank
	Duration time.Duration
	// Problems are the errors of the run, each once.
	Problems []error
}

// LogValue is the summary as one line.
func (s Summary) LogValue() slog.Value {
	var phases []slog.Attr
	for _, name := range slices.Sorted(maps.Keys(s.Phases)) {
		phases = append(phases, slog.Duration(name, s.Phases[name].Round(time.Millisecond)))
	}
	return slog.GroupValue(
		slog.String("outcome", string(s.Outcome)), slog.Int64("run", s.ID), slog.Duration("took", s.Duration.Round(time.Millisecond)),
		slog.Int("slices", s.Slices), slog.Int("unchanged", s.Unchanged), slog.Int("failed", s.Failed), slog.Int("left_due", s.LeftDue), slog.Int("held", s.Held),
		slog.Int64("pages", s.Pages), slog.Int64("rows", s.Rows),
		slog.Int64("inserted", s.Inserted), slog.Int64("updated", s.Updated), slog.Int64("deleted", s.Deleted), slog.Int64("rejected", s.Rejected),
		slog.Int64("requests", s.Requests), slog.Int64("retries", s.Retries), slog.Int64("throttled", s.Throttled),
		slog.Any("statuses", s.Statuses), slog.Duration("waited", s.Waited.Round(time.Millisecond)), slog.Any("phases", slog.GroupValue(phases...)))
}
