package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/spf13/cobra"

	"simusage/load"
	"simusage/pipeline"
)

func (p *program) scheduleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schedule",
		Short: "Stay and run sync by the clock",
		Long: "schedule stays and runs sync whenever SIMUSAGE_CRON says, in UTC. A run that is due while the last one is still going on is\n" +
			"left out; with SIMUSAGE_JITTER, many schedules do not begin at the same moment. Meanwhile it serves /healthz (the process\n" +
			"lives), /readyz (schema and database are there) and /metrics (Prometheus).\n" +
			"A signal ends the run in order; the exit code is 75 when one was stopped in the middle, otherwise 0.",
		Example: "  simusage schedule --now\n  simusage schedule --cron '7 * * * *'",
		Args:    noArguments,
	}
	runFlags(cmd.Flags())
	atOnce := cmd.Flags().Bool("now", false, "also run once at the start")
	deadline := deadlineFlag(cmd.Flags(), "each run")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		limit, err := parseDeadline(*deadline)
		if err != nil {
			return err
		}
		source := p.source(cmd)
		c, err := p.config(source)
		if err != nil {
			return err
		}
		timing, err := p.timetable(source.label("", "SIMUSAGE_CRON"), c.cron)
		if err != nil {
			return err
		}
		if c.jitter > 0 {
			timing = late{timing, rand.N(c.jitter)}
		}
		store, err := p.open(cmd.Context(), c)
		if err != nil {
			return err
		}
		defer store.Close()
		r := &resident{program: p, store: store, job: p.job(store, c), start: start(cmd), limit: limit, config: c, log: c.log}
		if c.listen != "off" {
			stop, err := listen(cmd.Context(), c.listen, store, c.log)
			if err != nil {
				return err
			}
			defer stop()
		}
		return r.stay(cmd.Context(), timing, *atOnce)
	}
	return cmd
}

// timetable reads a line of cron. The library takes a time zone in front and can fail badly on a broken one.
func (p *program) timetable(label, line string) (cron.Schedule, error) {
	if p.timing != nil {
		return p.timing, nil
	}
	if strings.Contains(line, "TZ=") {
		return nil, misusef("%s %q: the schedule is in UTC and takes no time zone", label, line)
	}
	timing, err := cron.ParseStandard(line)
	if err != nil {
		return nil, misusef("%s %q: %w; want five fields such as \"7 * * * *\"", label, line, err)
	}
	if timing.Next(p.now().UTC()).IsZero() {
		return nil, misusef("%s %q: that never comes", label, line)
	}
	return timing, nil
}

// late is a timetable that comes later by the same time at every turn: many that hang on one clock are spread, and each of
// them stays as regular as it was.
type late struct {
	cron.Schedule
	by time.Duration
}

// Next is the next turn after t.
func (l late) Next(t time.Time) time.Time {
	next := l.Schedule.Next(t.Add(-l.by))
	if next.IsZero() {
		return next // never
	}
	return next.Add(l.by)
}

// resident runs sync again and again. Each run stands for itself: none keeps another from its turn by failing.
type resident struct {
	*program
	store  *load.Store
	job    *pipeline.Job
	start  load.RunStart
	limit  time.Duration
	config config
	log    *slog.Logger

	going   sync.Mutex       // held while a run goes on
	stopped pipeline.Summary // the run that the end of the schedule stopped
}

// stay runs until ctx ends, and then lets a run that goes on park.
func (r *resident) stay(ctx context.Context, timing cron.Schedule, atOnce bool) error {
	turns := cron.New(cron.WithLocation(time.UTC), cron.WithLogger(cron.DiscardLogger))
	turns.Schedule(timing, cron.FuncJob(func() { r.turn(ctx) }))
	var first sync.WaitGroup
	if atOnce {
		first.Go(func() { r.turn(ctx) })
	}
	turns.Start()
	r.log.Info("schedule", "next", timing.Next(time.Now().UTC()))
	<-ctx.Done()
	<-turns.Stop().Done()
	first.Wait()
	r.log.Info("schedule ends", "reason", context.Cause(ctx))
	if r.stopped.Outcome == pipeline.Stopped {
		return unfinished{r.stopped}
	}
	return nil
}

// turn is one run. A panic ends it and not the schedule: the next run finds its slices due.
func (r *resident) turn(ctx context.Context) {
	if !r.going.TryLock() {
		r.log.Warn("run left out: the last one is still going on")
		return
	}
	defer r.going.Unlock()
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("run ended by a panic", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	if ctx.Err() != nil {
		return
	}
	bounded, cancel := within(ctx, r.limit)
	defer cancel()
	if err := ready(bounded, r.store); err != nil { // an upgrade may have come between
		r.log.Error("run not begun", "error", line(err))
		return
	}
	summary, _ := r.job.Sync(bounded, r.start) // the summary holds the error
	r.pushed(ctx, r.store, r.config)
	if ctx.Err() != nil {
		r.stopped = summary
	}
	if err := r.told(summary); err != nil {
		for _, problem := range summary.Problems {
			r.log.Error("run", "problem", line(problem))
		}
	}
}
