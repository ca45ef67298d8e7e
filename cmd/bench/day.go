package main

import (
	"context"
	"fmt"
	"time"
)

// oneDay is the part that loads a fleet so large that a day of it, which is one slice, has all the rows; a million SIMs have 24
// million. It says how long that takes, what it needs, and what others feel of it meanwhile.
const oneDay = "day"

func (b *bench) day(ctx context.Context) error {
	l, err := b.loading(ctx, fleet{SIMs: max(100, b.rows/24), Countries: 4}, 1)
	if err != nil {
		return err
	}
	defer l.api.end()
	b.say("\none day: %s", l)
	d, err := b.database(ctx)
	if err != nil {
		return err
	}
	defer b.drop(ctx, d)
	for _, p := range []pass{
		{what: "first load of " + l.String()},
		{what: "read again, nothing changed"},
		{what: "read again, 5 % changed, all over", says: saying{Older: some, Newest: some}},
	} {
		if err := b.watchedLoad(ctx, l, d, p); err != nil {
			return fmt.Errorf("%s: %w", p.what, err)
		}
	}
	for _, table := range []string{"usage_hourly", "usage_daily"} {
		bytes, rows, err := d.size(ctx, table)
		if err != nil {
			return err
		}
		b.note(table+" on disk, with its indexes", fmt.Sprintf("%s MB, %s bytes a row", megabytes(bytes), number(float64(bytes)/float64(rows))))
	}
	names, err := b.simusage(ctx, environment(d, l.api), "names")
	if err != nil {
		return err
	}
	b.note("names of "+thousands(l.fleet.SIMs)+" SIMs", seconds(names.took)+", "+megabytes(names.peak)+" MB")
	if err := d.rest(ctx); err != nil {
		return err
	}
	return b.dashboards(ctx, d, l.dashboard("top", "countries", "sim"))
}

// watchedLoad loads the day once, and notes what it took and what others felt of it.
func (b *bench) watchedLoad(ctx context.Context, l loading, d *database, p pass) error {
	w, err := d.watch(ctx, l)
	if err != nil {
		return err
	}
	o, err := l.into(ctx, d, state{Says: p.says}, "--again")
	felt, failed := w.end()
	if err != nil || failed != nil {
		return fmt.Errorf("%w, watching it: %w", err, failed)
	}
	b.say("  %s: %s, %s", p.what, seconds(o.took), rate(o.rowsPerSec))
	b.note(p.what, seconds(o.took)+", "+rate(o.rowsPerSec))
	b.note("  peak memory of the program", megabytes(o.peak)+" MB")
	b.note("  of its server processes, beside shared_buffers", megabytes(felt.memory)+" MB")
	b.note("  stage on disk", megabytes(felt.stage)+" MB")
	b.note("  longest transaction", seconds(felt.longest))
	b.note("  slowest answer to a dashboard meanwhile", fmt.Sprintf("%s ms, of %s", number(float64(felt.slowest.Microseconds())/1000), count(felt.answers, "answer")))
	return nil
}

func megabytes(bytes int64) string { return number(float64(bytes) / (1 << 20)) }

func seconds(d time.Duration) string { return number(d.Seconds()) + " s" }
