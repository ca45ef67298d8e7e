package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"simusage/load"
	"simusage/pipeline"
)

// open connects to a warehouse whose schema is this program's.
func (p *program) open(ctx context.Context, c config) (*load.Store, error) {
	store, err := p.connect(ctx, c.databaseURL, load.Options{Lease: c.lease, Conns: int32(c.concurrency) + 4, Log: c.log})
	if err != nil {
		return nil, err
	}
	if err := ready(ctx, store); err != nil {
		store.Close()
		return nil, orStopped(ctx, err)
	}
	return store, nil
}

// connect opens the database under a name that no other process has: neither a process of the same number in another pod
// of the same name, nor a later one of the same number here.
func (p *program) connect(ctx context.Context, url string, opts load.Options) (*load.Store, error) {
	opts.Owner = fmt.Sprintf("%s:%d:%d", hostname(), os.Getpid(), time.Now().UnixNano())
	opts.Patience = p.patience
	opts.Kept = limitMemory
	store, err := load.Open(ctx, url, opts)
	return store, orStopped(ctx, err)
}

// orStopped is the error, or the end of ctx where that came first and made it.
func orStopped(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("stopped: %w", context.Cause(ctx))
	}
	return err
}

// ready says whether the schema is this program's.
func ready(ctx context.Context, store *load.Store) error {
	schema, err := store.Schema(ctx)
	if err != nil {
		return err
	}
	return schema.Err()
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// task is a job, ready to be done: with the range that it is for, and the configuration that it was made from.
type task struct {
	*pipeline.Job
	want   pipeline.Range
	config config
}

// withJob reads the configuration, the deadline (nil for none) and the range (nil for none), opens the warehouse, and does
// the work. Whatever is wrong with the input is told before anything is opened.
func (p *program) withJob(cmd *cobra.Command, deadline *string, r *span, do func(context.Context, task) error) error {
	var limit time.Duration
	var want pipeline.Range
	var err error
	if deadline != nil {
		if limit, err = parseDeadline(*deadline); err != nil {
			return err
		}
	}
	c, err := p.config(p.source(cmd))
	if err != nil {
		return err
	}
	if r != nil {
		if want, err = r.parse(c, p.now()); err != nil {
			return err
		}
	}
	ctx, cancel := within(cmd.Context(), limit)
	defer cancel()
	store, err := p.open(ctx, c)
	if err != nil {
		return err
	}
	defer store.Close()
	return do(ctx, task{p.job(store, c), want, c})
}

// job is the work as configured.
func (p *program) job(store *load.Store, c config) *pipeline.Job {
	j := &pipeline.Job{Store: store, Now: p.now, Since: c.since, Settle: c.settle, Refresh: c.refresh, Shrink: c.shrink, Concurrency: c.concurrency,
		ICCID: c.iccid, Log: c.log}
	for _, a := range c.accounts {
		j.Accounts = append(j.Accounts, a.Account)
	}
	return j
}

// start describes a run for its row.
func start(cmd *cobra.Command) load.RunStart {
	return load.RunStart{Command: cmd.Name(), Arguments: arguments(cmd), Host: hostname(), Version: version, PID: os.Getpid()}
}

// told writes the line about a run that is over, and makes its outcome the error.
func (p *program) told(s pipeline.Summary) error {
	what := fmt.Sprintf("%s, %s, %s in %s", count(int64(s.Slices), "slice"), count(s.Rows, "row"), count(s.Requests, "request"), s.Duration.Round(100*time.Millisecond))
	if s.Unchanged > 0 {
		what += fmt.Sprintf("; %d unchanged", s.Unchanged)
	}
	if s.Rejected > 0 {
		what += fmt.Sprintf("; %s set aside", count(s.Rejected, "record"))
	}
	if s.Held > 0 {
		what += fmt.Sprintf("; %s held back", count(int64(s.Held), "slice"))
	}
	if s.LeftDue > 0 {
		what += "; " + count(int64(s.LeftDue), "slice") + " still due"
	} else if s.Outcome == pipeline.Done { // otherwise nobody may have been there to count
		what += "; nothing left to do"
	}
	fmt.Fprintf(p.stdout, "%s: %s\n", s.Outcome, what)
	if s.Outcome == pipeline.Done {
		return nil
	}
	return unfinished{s}
}

func count(n int64, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}
