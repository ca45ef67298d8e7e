package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"simusage/extract"
	"simusage/load"
)

// run is one run of the job: what it may still do, and what it has done.
type run struct {
	*Job
	clients map[int16]*extract.Client // by account number
	before  map[int16]extract.Stats   // what the clients had done before the run
	began   time.Time                 // by the machine's clock, to measure from
	places  chan struct{}             // taken by each list that is being walked

	accounts []account
	looking  sync.Mutex   // for a slice: one worker at a time
	walking  atomic.Int32 // slices that workers have

	mu       sync.Mutex
	want     load.Due      // what is to be not due at the end
	due      load.Due      // what is still tried: less when an account or a stream turns out to be closed
	failed   []int64       // slices that this run does not try again
	tries    map[int64]int // slices that were lost with the connection, and how often
	expected int           // slices that were found to be due
	summary  Summary
}

// run walks every due slice of the range (an empty range is sync's) and tells how it went. The error is nil when the
// outcome is Done; the summary is filled in any case.
func (j *Job) run(ctx context.Context, start load.RunStart, want Range) (Summary, error) {
	r := &run{Job: j, clients: make(map[int16]*extract.Client), before: make(map[int16]extract.Stats), began: time.Now(), tries: make(map[int64]int),
		places: make(chan struct{}, max(j.Concurrency, 1))}
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
	if err := r.openAccounts(ctx, now); err != nil {
		return err
	}
	var streams []load.Stream
	for _, a := range r.accounts {
		chosen := want.choose(a.configured.Streams)
		for _, s := range a.streams {
			if slices.Contains(chosen, s.Stream) {
				streams = append(streams, s)
			}
		}
	}
	r.want = r.Job.due(now, want, streams)
	r.due = r.want
	if err := r.Store.Plan(ctx, r.want); err != nil {
		return err
	}
	if n, err := r.Store.Sweep(ctx, now); err != nil {
		return err
	} else if n > 0 {
		r.Log.Info("walks that were given up are ended", "walks", n)
	}
	if err := r.feed(ctx); err != nil {
		return err
	}

	alive, end := context.WithCancel(context.WithoutCancel(ctx))
	var keeper sync.WaitGroup
	keeper.Go(func() { r.Store.KeepAlive(alive, r.summary.ID) })
	defer keeper.Wait()
	defer end()
	err := r.phase("walk", func() error { return r.prove(ctx, now) })
	if err == nil {
		err = r.phase("months", func() error { return r.rollUp(ctx) })
	}
	if err == nil && want.Window.Empty() {
		err = r.phase("names", func() error { r.refreshNames(ctx, now); return nil })
	}
	if err != nil {
		return err
	}
	return r.feed(ctx)
}

// phase does a part of the run and notes how long it took, however it ends.
func (r *run) phase(name string, do func() error) error {
	began := time.Now()
	defer func() {
		r.count(func(s *Summary) {
			if s.Phases == nil {
				s.Phases = make(map[string]time.Duration)
			}
			s.Phases[name] += time.Since(began)
		})
	}()
	return do()
}

func (r *run) rollUp(ctx context.Context) error {
	n, err := r.Store.RollUp(ctx, r.want.Streams)
	if n > 0 {
		r.Log.Info("months rolled up", "months", n)
	}
	return err
}

// prove walks what is due until the slices agree with the total, or reading them again does not help any more; what only the
// total has then is shown as a remainder.
func (r *run) prove(ctx context.Context, now time.Time) error {
	for {
		if err := r.walkAll(ctx, now); err != nil {
			return err
		}
		due, skip := r.todo()
		again, err := r.Store.Doubt(ctx, due)
		if err != nil {
			return err
		}
		if again > 0 {
			r.Log.Warn("slices do not agree with the total and are read again", "slices", again)
		}
		// Another process may have found that first: this run is not at its end either, then.
		free, held, _, err := r.Store.Left(ctx, due, skip)
		if err != nil {
			return err
		}
		if free+held > 0 {
			continue
		}
		n, err := r.Store.Remainders(ctx, due)
		if n > 0 {
			r.Log.Warn("usage that only the total has is shown without SIM and country", "slices", n)
		}
		return err
	}
}

// account is a configured account as this run works with it.
type account struct {
	configured Account
	stored     load.Account
	streams    []load.Stream // of the configuration, in its order
}

// openAccounts finds or makes the accounts and their streams. An account that is not who it was is left out: the others
// are not at fault.
func (r *run) openAccounts(ctx context.Context, now time.Time) error {
	for _, c := range r.Accounts {
		stored, err := r.Store.Account(ctx, c.Name, c.SID, now)
		if errors.Is(err, load.ErrAccount) {
			r.Log.Error("account left out", "account", c.Name, "error", err)
			r.problem(err)
			continue
		}
		if err != nil {
			return err
		}
		if err := r.Store.End(ctx, stored, c.To); err != nil {
			return err
		}
		a := account{configured: c, stored: stored}
		r.clients[stored.ID], r.before[stored.ID] = c.Client, c.Client.Stats()
		for _, x := range c.Streams {
			s, err := r.Store.Stream(ctx, stored, x)
			if err != nil {
				return err
			}
			a.streams = append(a.streams, s)
		}
		r.accounts = append(r.accounts, a)
	}
	return nil
}

// refreshNames reads the names where they are old. A run whose usage is all there has done its work even if a name is
// missing, so a failure is told and tried again by the next run.
func (r *run) refreshNames(ctx context.Context, now time.Time) {
	for _, a := range r.accounts {
		if !r.open(a.stored) {
			continue
		}
		if _, err := r.names(ctx, a.stored, a.configured.Client, now, now.Add(-namesAge)); err != nil {
			r.Log.Warn("names not refreshed", "account", a.configured.Name, "error", err)
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
func (r *run) feed(ctx context.Context) error {
	for _, a := range r.accounts {
		wanted, err := load.Feeds(a.configured.Streams)
		if err != nil {
			return err
		}
		switches, err := r.Store.SetFeeds(ctx, a.stored, wanted, a.streams)
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

// asked is what the clients have done since the run began.
func (r *run) asked() (sum extract.Stats) {
	sum.Statuses = make(map[int]int64)
	for id, c := range r.clients {
		stats, before := c.Stats(), r.before[id]
		sum.Requests += stats.Requests - before.Requests
		sum.Retries += stats.Retries - before.Retries
		sum.Throttled += stats.Throttled - before.Throttled
		sum.Waited += stats.Waited - before.Waited
		for status, n := range stats.Statuses {
			if n -= before.Statuses[status]; n > 0 {
				sum.Statuses[status] += n
			}
		}
	}
	return sum
}

// conclude counts what is left and names the outcome.
func (r *run) conclude(ctx context.Context, err error) {
	s := &r.summary
	asked := r.asked()
	s.Requests, s.Retries, s.Throttled, s.Waited, s.Statuses = asked.Requests, asked.Retries, asked.Throttled, asked.Waited, asked.Statuses
	count, cancel := inOrder(ctx)
	defer cancel()
	if free, held, _, counted := r.Store.Left(count, r.want, nil); counted == nil {
		s.LeftDue = free + held
	}
	if held, counted := r.Store.HeldBack(count, r.want); counted == nil {
		s.Held = held
	}
	if err == nil && s.Held > 0 && len(s.Problems) == 0 {
		s.Problems = []error{fmt.Errorf("%d slices are held back because they shrank; status shows them", s.Held)}
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
	case s.Slices > 0 || s.Held > 0:
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
