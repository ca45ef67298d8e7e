package main

import (
	"context"
	"fmt"
	"time"

	"simusage/extract"
)

// loading is some days of a fleet at an API of their own.
type loading struct {
	b      *bench
	api    *simulated
	fleet  fleet
	window extract.Window
}

// loading starts the API; whoever calls it ends it.
func (b *bench) loading(ctx context.Context, f fleet, days int) (loading, error) {
	api, err := simulate(ctx, f)
	return loading{b, api, f, until(time.Now(), days)}, err
}

func (l loading) rows() int { return l.fleet.rows(length(l.window)) }

// outcome is what a load of the window took.
type outcome struct {
	ran
	counts            // what was asked
	from, to   string // where the write-ahead log was before and after
	log        int64  // bytes in between
	touched    int64  // fact rows written
	rowsPerSec float64
}

// into loads the window into a warehouse that has come to rest, and checks the answer.
func (l loading) into(ctx context.Context, d *database, st state, args ...string) (outcome, error) {
	var o outcome
	if err := l.api.set(ctx, st); err != nil {
		return o, err
	}
	if err := d.rest(ctx); err != nil {
		return o, err
	}
	before, err := d.touched(ctx)
	if err != nil {
		return o, err
	}
	if o.from, err = d.position(ctx); err != nil {
		return o, err
	}
	if o.ran, err = l.b.backfill(ctx, d, l.api, l.window, args...); err != nil {
		return o, err
	}
	if err := d.alone(ctx); err != nil {
		return o, err
	}
	o.rowsPerSec = float64(l.rows()) / o.took.Seconds()
	if o.to, err = d.position(ctx); err != nil {
		return o, err
	}
	if o.log, err = d.between(ctx, o.from, o.to); err != nil {
		return o, err
	}
	if o.touched, err = d.touched(ctx); err != nil {
		return o, err
	}
	o.touched -= before
	if o.counts, err = l.api.counts(ctx); err != nil {
		return o, err
	}
	return o, d.check(ctx, l.fleet, l.window, st.Says)
}

// fresh does the same with a warehouse that is empty before and gone after.
func (l loading) fresh(ctx context.Context, st state, args ...string) (outcome, error) {
	d, err := l.b.database(ctx)
	if err != nil {
		return outcome{}, err
	}
	defer l.b.drop(ctx, d)
	return l.into(ctx, d, st, args...)
}

// mostCompared bounds the rows of a comparand, whose rate does not hang on how many there are: fifty million would push
// out of memory what the program has just stored.
const mostCompared = 5 * million

// compare lets a comparand load the same, into a table of its own that it removes.
func (l loading) compare(ctx context.Context, d *database, name string) (loaded, error) {
	if err := l.api.set(ctx, state{}); err != nil {
		return loaded{}, err
	}
	if err := d.rest(ctx); err != nil {
		return loaded{}, err
	}
	if most := max(1, mostCompared/(24*l.fleet.SIMs)); length(l.window) > most {
		l = l.newest(most)
	}
	return comparand(ctx, name, order{Fleet: l.fleet, Window: l.window, Database: d.url, API: l.api.url, Rows: l.b.script})
}

// newest is the last days of a loading.
func (l loading) newest(days int) loading {
	l.window.Start = l.window.End.AddDate(0, 0, -days)
	return l
}

func (l loading) String() string {
	return fmt.Sprintf("%s rows (%s, %s)", thousands(l.rows()), l.fleet, count(length(l.window), "day"))
}
