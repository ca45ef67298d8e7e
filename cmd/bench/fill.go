package main

import (
	"context"
	"fmt"
	"time"
)

// level is a warehouse that is filled up to some point.
type level struct {
	*database
	rows int
	next time.Time // the first day that is not stored
	cost series    // µs a row
}

// fills measures what a new row costs when many are stored already: a first load of some days more, in turns into
// warehouses that are filled to different levels, all of the same fleet.
func (b *bench) fills(ctx context.Context) error {
	const mostDays = 500 // within what the API remembers
	step := min(b.rows, million)
	most := b.fill[len(b.fill)-1] + b.runs*step
	f, _ := shape(step)
	f.SIMs = max(f.SIMs, most/(24*(mostDays-b.runs-2))+1)
	days := func(rows int) int { return max(1, (rows+12*f.SIMs)/(24*f.SIMs)) }
	l, err := b.loading(ctx, f, days(b.fill[len(b.fill)-1])+b.runs*days(step))
	if err != nil {
		return err
	}
	defer l.api.end()
	b.say("\nfill levels: %s a step, %s", thousands(f.rows(days(step))), f)
	var levels []*level
	for _, rows := range b.fill {
		d, err := b.database(ctx)
		if err != nil {
			return err
		}
		defer b.drop(ctx, d)
		v := &level{database: d, rows: rows, next: l.window.Start}
		if err := v.more(ctx, l, days(rows)); err != nil {
			return err
		}
		levels = append(levels, v)
		b.say("  %s rows are stored: %s µs a row", thousands(rows), number(v.cost.last()))
		v.cost = nil
	}
	for n := range b.runs {
		for _, v := range levels {
			if err := v.more(ctx, l, days(step)); err != nil {
				return err
			}
			b.say("round %d, behind %s rows: %s µs a row", n+1, thousands(v.rows), number(v.cost.last()))
		}
	}
	return b.noteFills(ctx, l, levels)
}

// more loads the next days.
func (v *level) more(ctx context.Context, l loading, days int) error {
	if err := l.api.set(ctx, state{}); err != nil {
		return err
	}
	if err := v.rest(ctx); err != nil {
		return err
	}
	l.window.Start, l.window.End = v.next, v.next.AddDate(0, 0, days)
	v.next = l.window.End
	r, err := l.b.backfill(ctx, v.database, l.api, l.window)
	if err != nil {
		return err
	}
	v.cost.add(float64(r.took.Microseconds()) / float64(l.rows()))
	return nil
}

// noteFills checks the warehouses and notes the cost at each level against the lowest.
func (b *bench) noteFills(ctx context.Context, l loading, levels []*level) error {
	for i, v := range levels {
		l.window.End = v.next
		if err := v.check(ctx, l.fleet, l.window, saying{}); err != nil {
			return err
		}
		what, cost := fmt.Sprintf("a new row when %s are stored", thousands(v.rows)), number(v.cost.median())+" µs"
		if i == 0 {
			b.note(what, cost)
			continue
		}
		var ratios series
		for n, cost := range v.cost {
			ratios.add(cost / levels[0].cost[n])
		}
		b.hold(what, cost, ratios.median(), "× with "+thousands(levels[0].rows), atMost(1.2))
	}
	return nil
}
