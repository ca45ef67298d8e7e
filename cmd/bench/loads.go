package main

import (
	"context"
	"fmt"
	"math"
	"time"
)

// pass is one of the ways to read the same days again: what the API says then, and how it is to stand to CEILING.
type pass struct {
	what   string
	says   saying
	target target
}

func passes(l loading) []pass {
	tail := l.window.End.AddDate(0, 0, -length(l.window)/10)
	return []pass{
		{"read again, nothing changed", saying{}, atLeast(2)},
		{"read again, 5 % changed, all over", saying{Older: some, Newest: some}, atLeast(0.5)},
		{"read again, the newest tenth of the time changed", saying{Older: some, Newest: every, From: tail}, atLeast(1.2)},
	}
}

// tally is what the rounds have found out.
type tally struct {
	ceiling, script            series // rows a second
	first, toCeiling, toScript series
	programCPU, apiCPU         series // µs a row
	log, fact, daily           series // bytes a row: write-ahead log, facts on disk, roll-up on disk
	again, againToCeiling      [3]series
	touched, factLog           series // by reading again what has not changed: fact rows, bytes of write-ahead log
	bookLog, idleLog           series // bytes that it writes ahead in all, a page; bytes of a run that has nothing to do
}

// loads measures loading the same days for the first time, and again and again.
func (b *bench) loads(ctx context.Context) error {
	f, days := shape(b.rows)
	l, err := b.loading(ctx, f, days)
	if err != nil {
		return err
	}
	defer l.api.end()
	b.say("\nloads: %s", l)
	t := &tally{}
	for n := range b.runs {
		b.say("round %d", n+1)
		if err := b.round(ctx, l, t); err != nil {
			return err
		}
	}
	b.noteLoads(l, t)
	return nil
}

// round is the first load, SCRIPT and the passes that read again, each load with CEILING just before it: the machine may
// not be the same a minute later.
func (b *bench) round(ctx context.Context, l loading, t *tally) error {
	d, err := b.database(ctx)
	if err != nil {
		return err
	}
	defer b.drop(ctx, d)
	if err := t.load(ctx, l, d); err != nil {
		return fmt.Errorf("first load: %w", err)
	}
	if b.wants("first") {
		s, err := l.compare(ctx, d, "script")
		if err != nil {
			return err
		}
		t.script.add(s.rate())
		t.toScript.add(t.first.last() / s.rate())
		b.say("  SCRIPT %s", rate(s.rate()))
	}
	if !b.wants("reread") {
		return nil
	}
	idle, err := l.into(ctx, d, state{})
	if err != nil {
		return fmt.Errorf("a run with nothing to do: %w", err)
	}
	t.idleLog.add(float64(idle.log))
	for i, p := range passes(l) {
		if err := t.pass(ctx, l, d, i, p); err != nil {
			return fmt.Errorf("%s: %w", p.what, err)
		}
	}
	return nil
}

// beside is a load with CEILING just before it; ratio is how the one stands to the other.
func (t *tally) beside(ctx context.Context, l loading, d *database, what string, st state, args ...string) (o outcome, ratio float64, err error) {
	c, err := l.compare(ctx, d, "ceiling")
	if err != nil {
		return o, 0, err
	}
	t.ceiling.add(c.rate())
	o, err = l.into(ctx, d, st, args...)
	l.b.say("  %s: %s, CEILING %s", what, rate(o.rowsPerSec), rate(c.rate()))
	return o, o.rowsPerSec / c.rate(), err
}

// load is the first load, with what it leaves on disk.
func (t *tally) load(ctx context.Context, l loading, d *database) error {
	o, ratio, err := t.beside(ctx, l, d, "first load", state{})
	if err != nil {
		return err
	}
	rows := float64(l.rows())
	t.first.add(o.rowsPerSec)
	t.toCeiling.add(ratio)
	t.log.add(float64(o.log) / rows)
	t.programCPU.add(float64(o.processor) / float64(time.Microsecond) / rows)
	t.apiCPU.add(float64(o.CPU) / float64(time.Microsecond) / rows)
	for table, into := range map[string]*series{"usage_hourly": &t.fact, "usage_daily": &t.daily} {
		bytes, count, err := d.size(ctx, table)
		if err != nil {
			return err
		}
		into.add(float64(bytes) / float64(count))
	}
	return nil
}

// pass reads the same days again.
func (t *tally) pass(ctx context.Context, l loading, d *database, i int, p pass) error {
	o, ratio, err := t.beside(ctx, l, d, p.what, state{Says: p.says}, "--again")
	if err != nil {
		return err
	}
	t.again[i].add(o.rowsPerSec)
	t.againToCeiling[i].add(ratio)
	if p.says != (saying{}) {
		return nil
	}
	facts, err := d.factLog(ctx, o.from, o.to)
	if err != nil {
		return err
	}
	t.factLog.add(float64(facts))
	t.touched.add(float64(o.touched))
	t.bookLog.add(float64(o.log) / float64(o.all()))
	return nil
}

// noteLoads notes the figures of the rounds.
func (b *bench) noteLoads(l loading, t *tally) {
	b.note("CEILING, binary COPY, unlogged, no index", rate(t.ceiling.median()))
	if b.wants("first") {
		first := rate(t.first.median())
		b.note("SCRIPT, one upsert a row", rate(t.script.median()))
		b.hold("first load of "+l.String(), first, t.toCeiling.median(), "× CEILING", atLeast(0.6))
		b.hold("the same", first, t.toScript.median(), "× SCRIPT", atLeast(150))
		b.hold("its write-ahead log", "", t.log.median(), "bytes a row", atMost(200))
		b.hold("a fact with its index, on disk", "", t.fact.median(), "bytes", atMost(140))
		b.note("a row of the roll-up by day, on disk", number(math.Round(t.daily.median()))+" bytes")
		b.note("processor time of the program", number(t.programCPU.median())+" µs a row")
		b.note("processor time of the simulated API", number(t.apiCPU.median())+" µs a row")
	}
	if !b.wants("reread") {
		return
	}
	for i, p := range passes(l) {
		b.hold(p.what, rate(t.again[i].median()), t.againToCeiling[i].median(), "× CEILING", p.target)
		if i > 0 {
			continue
		}
		b.hold("fact rows that this writes", "", t.touched.most(), "rows", atMost(0))
		if t.factLog.most() >= 0 {
			b.hold("write-ahead log that this writes for facts", "", t.factLog.most(), "bytes", atMost(0))
		}
		b.note("write-ahead log that this writes for its own books", number(math.Round(t.bookLog.median()))+" bytes a page")
		b.note("write-ahead log of a run that has nothing to do", number(math.Round(t.idleLog.median()))+" bytes")
	}
}
