// Package pipeline is the job: it makes slices that are due not due any more.
//
// There is one mechanism. The plan lists the calendar slices of each stream; Postgres knows what was published when. A
// slice is due when it was never published, or was published before it settled and that is a while ago. The first load,
// a hole, a crash, late billing, a backfill are all just due slices. A run leases one after the other, or some neighbours
// together where the fleet is small, walks their lists page by page, publishes each, and ends when none is left. Whatever
// stops a run leaves slices due and nothing else.
//
// Parallelism is across slices, a few workers in each process, any number of processes, all taking from Postgres; and within a
// slice across its lists, as far as workers leave places in flight free (see lists).
package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"simusage/extract"
	"simusage/load"
)

// Job is what does the work.
type Job struct {
	Store    *load.Store
	Accounts []Account
	// Now is the time that everything about usage runs on.
	Now func() time.Time
	// Since says how far back sync keeps complete.
	Since Since
	// Settle is when a slice counts as settled after its end; Refresh how old an unsettled slice may get before it is due.
	Settle, Refresh time.Duration
	// Shrink is the share of a slice that may vanish at once; a slice that shrinks more is held back until a later pass
	// agrees.
	Shrink float64
	// Concurrency is how many slices are walked at once, and how many lists of them are at once.
	Concurrency int
	// ICCID says whether to store the ICCIDs of SIMs, which are personal data.
	ICCID bool
	Log   *slog.Logger
	// Watch, when set, is called by each run that finds something due, with a function that looks how far the run is: it may
	// be called from any goroutine, until the run ends. It asks Postgres, so whoever calls it should do so once a second or less.
	Watch func(look func(context.Context) (Progress, error))
}

// Account is one set of credentials and what is asked with them.
type Account struct {
	Name    string
	SID     string // empty where the credentials do not tell it
	Streams []extract.Stream
	Client  *extract.Client
	// From and To bound what is ever asked for, by sync, backfill and verify; zero for no bound. They are where a slice begins.
	// Where an account follows another one, the time is cut between them here, and nothing is counted twice.
	From, To time.Time
}

// bound is the part of a window that may be asked for.
func (a Account) bound(w extract.Window) extract.Window {
	if a.From.After(w.Start) {
		w.Start = a.From
	}
	if !a.To.IsZero() && a.To.Before(w.End) {
		w.End = a.To
	}
	return w
}

// Since is a point in time or a duration before now; with neither it is 30 days before the account's first run.
type Since struct {
	At  time.Time
	Ago time.Duration
}

// firstLoad is how far back the first run goes when nothing else is said.
const firstLoad = 30 * 24 * time.Hour

// since is the beginning of the UTC day from which an account is kept complete.
func (s Since) since(a load.Account, now time.Time) time.Time {
	at := a.Created.Add(-firstLoad)
	if a.Created.After(now) {
		at = now.Add(-firstLoad) // the clock of the first run ran ahead
	}
	if !s.At.IsZero() {
		at = s.At
	}
	if s.Ago > 0 {
		at = now.Add(-s.Ago)
	}
	return at.UTC().Truncate(24 * time.Hour)
}

// About is from when on sync keeps complete, as far as that can be told without an account.
func (s Since) About(now time.Time) time.Time { return s.since(load.Account{Created: now}, now) }

// Range is what a backfill covers.
type Range struct {
	Window extract.Window
	// Streams narrows the configured streams; empty for all of them.
	Streams []extract.Stream
	// AgainBefore makes slices due that were read before it, settled or not; zero for none.
	AgainBefore time.Time
}

// Sync makes every slice from Since until now not due.
func (j *Job) Sync(ctx context.Context, start load.RunStart) (Summary, error) {
	return j.run(ctx, start, Range{})
}

// Backfill makes every slice of a range not due.
func (j *Job) Backfill(ctx context.Context, start load.RunStart, r Range) (Summary, error) {
	return j.run(ctx, start, r)
}

// Estimate says what a run over the range would cost (an empty range is sync's). It asks nothing and writes nothing.
func (j *Job) Estimate(ctx context.Context, r Range) ([]load.Estimate, error) {
	now := j.Now()
	var all []load.Estimate
	for _, a := range j.Accounts {
		streams, err := j.Store.Peek(ctx, a.Name, a.SID, r.choose(a.Streams), now)
		if err != nil {
			return nil, err
		}
		estimates, err := j.Store.Estimate(ctx, j.due(now, r, streams), a.Client.PageSize())
		if err != nil {
			return nil, err
		}
		all = append(all, estimates...)
	}
	return all, nil
}

// choose is the part of the configured streams that the range wants.
func (r Range) choose(configured []extract.Stream) []extract.Stream {
	if len(r.Streams) == 0 {
		return configured
	}
	return slices.DeleteFunc(slices.Clone(configured), func(s extract.Stream) bool { return !slices.Contains(r.Streams, s) })
}

// due says which slices of the streams a run that began at now has to walk. The time is taken once for the whole run, so
// that a run ends: a slice that it has walked is younger than its own beginning.
func (j *Job) due(now time.Time, r Range, streams []load.Stream) load.Due {
	// A schedule as long as the refresh interval must find the slices of its last run old enough, although it began a
	// few seconds later that time.
	d := load.Due{Now: now, RefreshBefore: now.Add(-j.Refresh * 9 / 10), AgainBefore: r.AgainBefore, Recent: now.Add(-j.Settle)}
	for _, s := range streams {
		window := r.Window
		if window.Empty() {
			window = extract.Window{Start: j.Since.since(s.Account, now), End: now}
		}
		for _, a := range j.Accounts {
			if a.Name == s.Account.Name {
				window = a.bound(window)
			}
		}
		wall := extract.Wall(now)
		if window.Start.Before(wall) {
			window.Start = wall
		}
		if window.Empty() {
			continue
		}
		calendar := s.Slices(window)
		if len(calendar) > 0 && s.Granularity == extract.All && calendar[0].Start.Before(wall) {
			calendar = calendar[1:] // one bucket for the whole month: a month that the wall cuts can never be asked for
		}
		if len(calendar) == 0 {
			continue
		}
		window = extract.Window{Start: calendar[0].Start, End: calendar[len(calendar)-1].End}
		d.Streams = append(d.Streams, load.DueStream{Stream: s, Window: window, Finished: s.Finished(now), Wall: wall})
	}
	return d
}

// Accept lets the slices of a range that are held back be taken over by the next pass, and says how many there are.
func (j *Job) Accept(ctx context.Context, r Range) (int64, error) {
	var accepted int64
	for _, a := range j.Accounts {
		streams, err := j.Store.Peek(ctx, a.Name, a.SID, r.choose(a.Streams), j.Now())
		if err != nil {
			return accepted, err
		}
		n, err := j.Store.Accept(ctx, streams, r.Window)
		if err != nil {
			return accepted, err
		}
		accepted += n
	}
	return accepted, nil
}

// Trimmed is the time, from its first day to its last, of which hours of the range were dropped; empty for none.
func (j *Job) Trimmed(ctx context.Context, r Range) (extract.Window, error) {
	var all extract.Window
	for _, a := range j.Accounts {
		streams, err := j.Store.Peek(ctx, a.Name, a.SID, r.choose(a.Streams), j.Now())
		if err != nil {
			return all, err
		}
		w, err := j.Store.Trimmed(ctx, streams, r.Window)
		switch {
		case err != nil:
			return all, fmt.Errorf("look for days without hours: %w", err)
		case all.Empty():
			all = w
		case !w.Empty():
			all = extract.Window{Start: slices.MinFunc([]time.Time{all.Start, w.Start}, time.Time.Compare), End: slices.MaxFunc([]time.Time{all.End, w.End}, time.Time.Compare)}
		}
	}
	return all, nil
}
