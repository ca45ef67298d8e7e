package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"simusage/extract"
	"simusage/load"
)

// run is one run of the job: what it may still do, and what it has done.
type run struct {
	*Job
	clients map[int16]*extract.Client // by account number
	before  map[int16]extract.Stats   // what the clients had done before the run
	began   time.Time                 // by the machine's clock, to measure from

	mu      sync.Mutex
	want    load.Due      // what is to be not due at the end
	due     load.Due      // what is still tried: less when an account or a stream turns out to be closed
	failed  []int64       // slices that this run does not try again
	tries   map[int64]int // slices that were lost with the connection, and how often
	summary Summary
}

// run walks every due slice of the range (an empty range is sync's) and tells how it went. The error is nil when the
// outcome is Done; the summary is filled in any case.
func (j *Job) run(ctx context.Context, start load.RunStart, want Range) (Summary, error) {
	r := &run{Job: j, clients: make(map[int16]*extract.Client), before: make(map[int16]extract.Stats), began: time.Now(), tries: make(map[int64]int)}
	id, err := j.Store.StartRun(ctx, start)
	if err == nil {
		r.summary.ID = id
		err = r.work(ctx, want)
	}
	if err != nil {
		r.problem(err)
	}
	r.conclude(ctx, err)
	r.summary.Duration = time.Since(r.began)
	if id != 0 {
		if err := j.Store.FinishRun(ctx, r.summary.Run); err != nil {
			j.Log.Warn("the run's end is not noted", "error", err)
		}
	}
	j.Log.Info("run", "summary", r.summary)
	if r.summary.Outcome == Done {
		return r.summary, nil
	}
	return r.summary, errors.Join(r.summary.Problems...)
}

// work plans the slices, lets the workers walk them, and brings the feeds of the views up to date, before (so that a
// first load shows as it comes) and after (so that a changed configuration takes over when it is complete).
func (r *run) work(ctx context.Context, want Range) error {
	now := r.Now()
	var streams []load.Stream
	for _, a := range r.Accounts {
		account, err := r.Store.Account(ctx, a.Name, a.SID, now)
		if err != nil {
			return err
		}
		r.clients[account.ID], r.before[account.ID] = a.Client, a.Client.Stats()
		for _, x := range want.choose(a.Streams) {
			s, err := r.Store.Stream(ctx, account, x)
			if err != nil {
				return err
			}
			streams = append(streams, s)
		}
	}
	r.want = r.Job.due(now, want, streams)
	r.due = r.want
	if err := r.Store.Plan(ctx, r.due); err != nil {
		return err
	}
	if err := r.feed(ctx, now); err != nil {
		return err
	}

	alive, end := context.WithCancel(context.WithoutCancel(ctx))
	var keeper sync.WaitGroup
	keeper.Go(func() { r.Store.KeepAlive(alive, r.summary.ID) })
	defer keeper.Wait()
	defer end()
	workers, work := errgroup.WithContext(ctx)
	for range max(r.Concurrency, 1) {
		workers.Go(func() error { return r.worker(work, now) })
	}
	if err := workers.Wait(); err != nil {
		return err
	}
	if want.Window.Empty() {
		r.refreshNames(ctx, now)
	}
	return r.feed(ctx, now)
}

// refreshNames reads the names where they are old. A run whose usage is all there has done its work even if a name is
// missing, so a failure is told and tried again by the next run.
func (r *run) refreshNames(ctx context.Context, now time.Time) {
	for _, a := range r.Accounts {
		account, err := r.Store.Account(ctx, a.Name, a.SID, now)
		if err == nil && r.open(account) {
			err = r.names(ctx, account, a.Client, now, now.Add(-namesAge))
		}
		if err != nil {
			r.Log.Warn("names not refreshed", "account", a.Name, "error", err)
		}
	}
}

// open says whether the run has not given the account up.
func (r *run) open(a load.Account) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.due.Streams, func(s load.DueStream) bool { return s.Account.ID == a.ID })
}

// feed lets the views of each account read the configured streams.
func (r *run) feed(ctx context.Context, now time.Time) error {
	for _, a := range r.Accounts {
		wanted, err := load.Feeds(a.Streams)
		if err != nil {
			return err
		}
		account, err := r.Store.Account(ctx, a.Name, a.SID, now)
		if err != nil {
			return err
		}
		var streams []load.Stream
		for _, x := range a.Streams {
			s, err := r.Store.Stream(ctx, account, x)
			if err != nil {
				return err
			}
			streams = append(streams, s)
		}
		switches, err := r.Store.SetFeeds(ctx, account, wanted, streams)
		if err != nil {
			return err
		}
		for _, sw := range switches {
			views := sw.Family + " views by " + sw.Grain
			if sw.Waiting {
				r.Log.Warn("views still read the stream that was configured before", "views", views, "read", sw.From, "until_complete", sw.To)
			} else {
				r.Log.Info("views read another stream", "views", views, "before", sw.From, "now", sw.To, "since", sw.Since)
			}
		}
	}
	return nil
}

// worker takes slices until none is left. Slices that another process holds are waited for: it may die, and then they
// are ours; a run that says "done" must have seen the end of them.
func (r *run) worker(ctx context.Context, now time.Time) error {
	idle := time.Duration(0)
	for lost := 0; ; {
		due, skip := r.todo()
		w, err := r.Store.Lease(ctx, due, skip)
		if lost++; load.Lost(err) && lost <= 10 {
			if err := r.Store.Await(ctx, time.Minute); err != nil {
				return err
			}
			continue
		}
		lost = 0
		if err != nil {
			return err
		}
		if w != nil {
			idle = 0
			if err := r.slice(ctx, w, now); err != nil {
				return err
			}
			continue
		}
		_, held, expires, err := r.Store.Left(ctx, due, skip)
		if err != nil && !load.Lost(err) {
			return err
		}
		if err == nil && held == 0 {
			return nil
		}
		if idle == 0 {
			r.Log.Info("waiting for slices that other processes hold", "slices", held, "first_lease_ends_in", expires.Round(time.Second))
		}
		idle = min(idle+500*time.Millisecond, 5*time.Second)
		if err := sleep(ctx, min(idle, expires+50*time.Millisecond)/2+rand.N(idle/2)); err != nil {
			return err
		}
	}
}

// todo is what is left to try.
func (r *run) todo() (load.Due, []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.due
	d.Streams = slices.Clone(d.Streams)
	return d, slices.Clone(r.failed)
}

// slice walks one slice and decides what its failure means for the others. An error ends the run.
func (r *run) slice(ctx context.Context, w *load.Walk, now time.Time) error {
	began := time.Now()
	published, err := r.survive(ctx, w, now)
	if err == nil {
		r.count(func(s *Summary) {
			s.Slices++
			if published.Unchanged {
				s.Unchanged++
			}
			s.Inserted += published.Inserted
			s.Updated += published.Updated
			s.Deleted += published.Deleted
		})
		r.Log.Info("slice", "slice", w.Name(), "rows", published.Rows, "inserted", published.Inserted, "updated", published.Updated,
			"deleted", published.Deleted, "unchanged", published.Unchanged, "took", time.Since(began).Round(time.Millisecond))
		return nil
	}
	return r.setback(ctx, w, err)
}

// survive walks a slice and makes a panic the failure of that slice: in a process that stays, one answer that breaks the
// program must not end the walks beside it, nor keep the lease for ever.
func (r *run) survive(ctx context.Context, w *load.Walk, now time.Time) (_ load.Published, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.Log.Error("panic", "slice", w.Name(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("%s: panic: %v", w.Name(), p)
		}
	}()
	return r.walk(ctx, w, now)
}

// setback gives a slice that could not be finished back and draws the conclusion from why. The walk stays as it is: the
// next one to lease the slice goes on there.
func (r *run) setback(ctx context.Context, w *load.Walk, err error) error {
	back, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	switch {
	case ctx.Err() != nil:
		if err := w.Release(back); err != nil {
			r.Log.Warn("slice not given back; its lease runs out by itself", "slice", w.Name(), "error", err)
		}
		return ctx.Err()
	case errors.Is(err, load.ErrFenced):
		r.Log.Warn("slice went to another process", "slice", w.Name())
		return w.Release(back)
	case load.Lost(err):
		r.Log.Warn("connection to Postgres lost", "slice", w.Name(), "error", err)
		if awaited := r.Store.Await(ctx, time.Minute); awaited != nil {
			w.Release(back)
			return awaited
		}
		r.mu.Lock()
		r.tries[w.ID]++
		often := r.tries[w.ID] >= 3
		r.mu.Unlock()
		if !often {
			return w.Release(back)
		}
	}
	r.Log.Error("slice failed", "slice", w.Name(), "error", err)
	r.mu.Lock()
	r.failed = append(r.failed, w.ID) // before it is given back, or another worker takes it at once
	r.summary.Failed++
	switch {
	case errors.Is(err, extract.ErrCredentials), errors.Is(err, load.ErrAccount), errors.Is(err, extract.ErrUnreachable):
		r.close(func(s load.DueStream) bool { return s.Account.ID == w.Stream.Account.ID })
	case errors.Is(err, extract.ErrRefused):
		r.close(func(s load.DueStream) bool { return s.ID == w.Stream.ID })
	}
	r.mu.Unlock()
	r.problem(err)
	noted := w.Fail(back, err)
	if load.Broken(err) {
		return err
	}
	return noted
}

// close takes streams out of the run.
func (r *run) close(closed func(load.DueStream) bool) {
	r.due.Streams = slices.DeleteFunc(slices.Clone(r.due.Streams), closed)
}

// problem notes an error, each text once.
func (r *run) problem(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.ContainsFunc(r.summary.Problems, func(p error) bool { return p.Error() == err.Error() }) && len(r.summary.Problems) < 20 {
		r.summary.Problems = append(r.summary.Problems, err)
	}
}

func (r *run) count(f func(*Summary)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.summary)
}

// conclude counts what is left and names the outcome.
func (r *run) conclude(ctx context.Context, err error) {
	s := &r.summary
	for id, c := range r.clients {
		stats, before := c.Stats(), r.before[id]
		s.Requests += stats.Requests - before.Requests
		s.Retries += stats.Retries - before.Retries
		s.Throttled += stats.Throttled - before.Throttled
	}
	count, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if free, held, _, counted := r.Store.Left(count, r.want, nil); counted == nil {
		s.LeftDue = free + held
	}
	if err == nil && s.LeftDue > 0 && len(s.Problems) == 0 {
		s.Problems = []error{fmt.Errorf("%d slices are still due", s.LeftDue)}
	}
	refused := func(err error) bool {
		return errors.Is(err, extract.ErrCredentials) || errors.Is(err, extract.ErrRefused) || errors.Is(err, load.ErrAccount) ||
			errors.Is(err, load.ErrAmbiguous) || errors.Is(err, load.ErrSchema) || errors.Is(err, load.ErrRefused)
	}
	switch {
	case ctx.Err() != nil:
		s.Outcome = Stopped
		s.Problems = []error{fmt.Errorf("stopped: %w; what was loaded is kept, the next run goes on there", context.Cause(ctx))}
	case err == nil && len(s.Problems) == 0:
		s.Outcome = Done
	case s.Slices > 0:
		s.Outcome = Partly
	case slices.ContainsFunc(s.Problems, refused):
		s.Outcome = Refused
	default:
		s.Outcome = Failed
	}
	s.Run.Outcome, s.Run.ExitCode = string(s.Outcome), s.Outcome.ExitCode()
	if joined := errors.Join(s.Problems...); joined != nil {
		s.Run.Error = joined.Error()
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
