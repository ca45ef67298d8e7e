package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"simusage/pipeline"
)

// watch shows on a terminal how far the job's next run is, until end is called. What goes well is not logged meanwhile,
// unless SIMUSAGE_LOG asks for it: the line says it.
func (p *program) watch(ctx context.Context, j *pipeline.Job, command string) (end func()) {
	if p.screen == nil {
		return func() {}
	}
	ctx, stop := context.WithCancel(ctx)
	var drawing sync.WaitGroup
	j.Watch = func(look func(context.Context) (pipeline.Progress, error)) {
		if !p.levelGiven {
			p.level.Set(slog.LevelWarn)
		}
		drawing.Go(func() { p.draw(ctx, &meter{command: command}, look) })
	}
	return func() {
		stop()
		drawing.Wait()
		p.screen.draw("")
		if !p.levelGiven {
			p.level.Set(slog.LevelInfo)
		}
	}
}

// draw draws the line twice a second, also while Postgres does not say how far the run is.
func (p *program) draw(ctx context.Context, m *meter, look func(context.Context) (pipeline.Progress, error)) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		bounded, cancel := context.WithTimeout(ctx, time.Second)
		progress, err := look(bounded)
		cancel()
		if err == nil {
			m.see(progress, time.Now())
		}
		p.screen.draw(m.line(time.Now()))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// meter makes a line of how far a run is, from what it sees of it now and then.
type meter struct {
	command string
	began   time.Time
	latest  pipeline.Progress
	page    time.Time         // when a page came last
	before  pipeline.Progress // as it was then
	slice   time.Time         // when a slice was finished last
	lately  []sample
}

// sample is how many rows there were when.
type sample struct {
	at   time.Time
	rows int64
}

// window is how far back the rows a second are counted.
const window = 10 * time.Second

// see takes a look.
func (m *meter) see(p pipeline.Progress, at time.Time) {
	if m.began.IsZero() {
		m.began, m.page, m.slice = at, at, at
	}
	if p.Pages != m.latest.Pages || p.Left != m.latest.Left {
		m.page, m.before = at, p
	}
	if p.Left != m.latest.Left {
		m.slice = at
	}
	m.latest = p
	for m.lately = append(m.lately, sample{at, p.Rows}); at.Sub(m.lately[0].at) > window; {
		m.lately = m.lately[1:]
	}
}

// line is the run in a line: the most important first, because a narrow terminal cuts it.
func (m *meter) line(at time.Time) string {
	p := m.latest
	if m.began.IsZero() {
		return m.command + ": counting what is due"
	}
	text := fmt.Sprintf("%s: %d of %s, %s", m.command, max(p.Due-p.Left, 0), count(int64(p.Due), "slice"), count(p.Rows, "row"))
	if waits := m.waits(at); waits != "" {
		text += ", " + waits
	} else if first, last := m.lately[0], m.lately[len(m.lately)-1]; last.at.After(first.at) {
		text += fmt.Sprintf(", %.0f/s", float64(last.rows-first.rows)/last.at.Sub(first.at).Seconds())
	}
	if p.Left > 0 {
		text += ", " + m.left(at)
	}
	if p.Failed > 0 {
		text += ", " + count(int64(p.Failed), "slice") + " failed"
	}
	if p.Retries > 0 {
		text += ", " + retries(p.Retries)
	}
	if p.Throttled > 0 {
		text += fmt.Sprintf(" (%d × 429)", p.Throttled)
	}
	return text
}

func retries(n int64) string {
	if n == 1 {
		return "1 retry"
	}
	return fmt.Sprintf("%d retries", n)
}

// waits is what the run waits for; empty while pages come.
func (m *meter) waits(at time.Time) string {
	p, quiet := m.latest, at.Sub(m.page).Truncate(time.Second)
	switch {
	case p.Left == 0:
		return "finishing"
	case p.Left == p.Elsewhere:
		return "waiting for " + count(int64(p.Left), "slice") + " of other processes"
	case quiet < 3*time.Second:
		return ""
	case p.Throttled > m.before.Throttled:
		return fmt.Sprintf("waiting %s: the API says 429", quiet)
	case p.Retries > m.before.Retries:
		return fmt.Sprintf("waiting %s: the API fails, trying again", quiet)
	}
	return fmt.Sprintf("no page for %s", quiet)
}

// left is how long the rest takes, if it goes on as it did. That is not known from two slices, nor while nothing is finished
// for much longer than it used to take.
func (m *meter) left(at time.Time) string {
	done, took := m.latest.Due-m.latest.Left, at.Sub(m.began)
	if done < 3 || took < 5*time.Second {
		return "time left unknown"
	}
	each := took / time.Duration(done)
	if at.Sub(m.slice) > max(3*each, 30*time.Second) {
		return "time left unknown"
	}
	switch rest := each * time.Duration(m.latest.Left); {
	case rest < time.Minute:
		return fmt.Sprintf("%ds left", 5*(1+int(rest/(5*time.Second))))
	case rest < time.Hour:
		return fmt.Sprintf("%dm left", int((rest+time.Minute-1)/time.Minute))
	default:
		return fmt.Sprintf("%dh%02dm left", int(rest/time.Hour), int(rest%time.Hour/time.Minute))
	}
}
