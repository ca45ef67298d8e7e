package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"simusage/extract"
	"simusage/load"
)

// walkAll lets the workers walk whatever is due. Mostly nothing is: a run an hour meets what the last one left.
func (r *run) walkAll(ctx context.Context, now time.Time) error {
	due, skip := r.todo()
	if some, err := r.Store.Any(ctx, due); err == nil && !some {
		return nil
	}
	if r.Watch != nil {
		if free, held, _, err := r.Store.Left(ctx, due, skip); err == nil {
			r.expect(free + held)
		}
	}
	workers, ctx := errgroup.WithContext(ctx)
	for range max(r.Concurrency, 1) {
		workers.Go(func() error { return r.worker(ctx, now) })
	}
	return workers.Wait()
}

// worker walks slices until none is left.
func (r *run) worker(ctx context.Context, now time.Time) error {
	for {
		w, err := r.next(ctx)
		if w == nil || err != nil {
			return err
		}
		err = r.slice(ctx, w, now)
		r.walking.Add(-1)
		if err != nil {
			return err
		}
	}
}

// next takes a slice, when there is room for it; nil when none is left. One worker of a process looks, the others wait for it: where
// two hundred processes wait for the last slices, that is a quarter of the questions.
func (r *run) next(ctx context.Context) (*load.Walk, error) {
	r.looking.Lock()
	defer r.looking.Unlock()
	if err := r.room(ctx); err != nil {
		return nil, err
	}
	w, err := r.look(ctx)
	if w != nil {
		r.walking.Add(1)
	}
	return w, err
}

// room waits until the process has fewer slices than the API lets it have requests. More of them would only be walked the
// slower, and at the end keep other processes waiting that have places and nothing to walk.
func (r *run) room(ctx context.Context) error {
	for {
		places := 0
		for _, c := range r.clients {
			places += c.InFlight()
		}
		if walking := int(r.walking.Load()); walking == 0 || walking < places {
			return nil
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// look takes a slice; nil when none is left. Slices that another process holds are waited for: it may die, and then they
// are ours; a run that says "done" must have seen the end of them. So are slices that are free and could not be had: somebody
// else was looking at them.
//
// As long as nothing is free, nobody tries to lease.
func (r *run) look(ctx context.Context) (*load.Walk, error) {
	w, err := r.lease(ctx)
	for idle := time.Duration(0); w == nil && err == nil; {
		due, skip := r.todo()
		free, held, expires, unknown := r.Store.Left(ctx, due, skip)
		switch {
		case load.Lost(unknown):
			if err := r.Store.Await(ctx); err != nil {
				return nil, err
			}
		case unknown != nil:
			return nil, unknown
		case free+held == 0:
			return nil, nil
		case idle > 0 && free > 0:
			if w, err = r.lease(ctx); w != nil || err != nil {
				return w, err
			}
		case idle == 0 && held > 0:
			r.Log.Info("waiting for slices that other processes hold", "slices", held, "first_lease_ends_in", expires.Round(time.Second))
		}
		idle = min(max(idle*3/2, 200*time.Millisecond), 5*time.Second)
		err = sleep(ctx, min(idle, expires+50*time.Millisecond)/2+rand.N(idle/2))
	}
	return w, err
}

// lease takes the slice that comes first, if one can be had.
func (r *run) lease(ctx context.Context) (*load.Walk, error) {
	for lost := 0; ; {
		due, skip := r.todo()
		w, err := r.Store.Lease(ctx, due, skip)
		switch {
		case load.Lost(err) && lost < 10:
			lost++
			if err := r.Store.Await(ctx); err != nil {
				return nil, err
			}
		case err != nil:
			return nil, err
		case w != nil && r.tried(w):
			if err := w.Release(ctx); err != nil && !load.Lost(err) {
				return nil, err
			}
		default:
			return w, nil
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

// tried says whether a slice failed, and was given back, while it was being leased here.
func (r *run) tried(w *load.Walk) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(w.Parts, func(p *load.Part) bool { return slices.Contains(r.failed, p.ID) })
}

// slice walks a slice, or several together, and decides what a failure means for the others. An error ends the run.
func (r *run) slice(ctx context.Context, w *load.Walk, now time.Time) error {
	if err := r.survive(w, func() error { return r.walk(ctx, w, now) }); err != nil {
		return r.setback(ctx, w, err)
	}
	return nil
}

// heldBack tells of a slice that shrank. This run does not walk it again: the pass that agrees must be a later one.
func (r *run) heldBack(p *load.Part, h *load.Held) {
	r.mu.Lock()
	again := slices.Contains(r.failed, p.ID) // another worker was quick enough to lease it once more
	r.failed = append(r.failed, p.ID)
	r.mu.Unlock()
	if again {
		return
	}
	day := p.Window.Start.Format(time.DateOnly)
	err := fmt.Errorf("%s is held back: %d rows and %d bytes are published, the API now says %d rows and %d bytes; what is published stays. "+
		"A later sync that finds the same takes it over; to take it over with the next one: simusage accept --from %s --to %s",
		p.Name(), h.Rows, h.Bytes, h.NowRows, h.NowBytes, day, p.Window.End.Format(time.DateOnly))
	r.Log.Error("slice held back", "slice", p.Name(), "rows", h.Rows, "bytes", h.Bytes, "now_rows", h.NowRows, "now_bytes", h.NowBytes)
	r.problem(err)
}

// survive does what is to be done for a slice and makes a panic the failure of that slice: in a process that stays, one answer
// that breaks the program must not end the walks beside it, nor keep the lease for ever.
func (r *run) survive(w *load.Walk, do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.Log.Error("panic", "slice", w.Name(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("%s: panic: %v", w.Name(), p)
		}
	}()
	return do()
}

// setback gives a slice that could not be finished back and draws the conclusion from why. The walk stays as it is: the
// next one to lease the slice goes on there.
func (r *run) setback(ctx context.Context, w *load.Walk, err error) error {
	// Postgres was gone: noticed by a connection, or after a crash only by the publish.
	if ctx.Err() == nil && (load.Lost(err) || errors.Is(err, load.ErrStageLost)) {
		r.Log.Warn("connection to Postgres lost", "slice", w.Name(), "error", err)
		awaited := r.Store.Await(ctx)
		r.mu.Lock()
		r.tries[w.ID]++
		often := r.tries[w.ID] >= 3
		r.mu.Unlock()
		if awaited != nil || !often {
			r.giveBack(ctx, w)
			return awaited
		}
	}
	switch {
	case ctx.Err() != nil:
		r.giveBack(ctx, w)
		return ctx.Err()
	case errors.Is(err, load.ErrFenced):
		r.Log.Warn("slice went to another process", "slice", w.Name())
		r.giveBack(ctx, w)
		return nil
	}
	if w.Spans() && !beyond(err) || w.IsCut() && pieceRefused(err) { // only a slice alone and whole fails, and closes more than itself
		r.Log.Warn("slices are walked one by one, and whole", "slices", w.Name(), "reason", err)
		back, cancel := inOrder(ctx)
		defer cancel()
		return w.Disband(back)
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
	back, cancel := inOrder(ctx)
	defer cancel()
	noted := w.Fail(back, err)
	if load.Broken(err) {
		return err
	}
	return noted
}

// beyond says whether a failure has nothing to do with how much was asked for at once. An API that could not be reached is
// not among these: it may be that it takes too long over a month and answers a day.
func beyond(err error) bool {
	return errors.Is(err, extract.ErrCredentials) || errors.Is(err, load.ErrAccount) || load.Broken(err)
}

// pieceRefused says whether a failure may be due to the piece that was asked for. An outage is not: what is staged of a large slice
// is worth going on with.
func pieceRefused(err error) bool {
	return errors.Is(err, extract.ErrRefused) || errors.Is(err, extract.ErrAnswer)
}

// giveBack lets others have the slice. Where that fails, its lease runs out by itself.
func (r *run) giveBack(ctx context.Context, w *load.Walk) {
	back, cancel := inOrder(ctx)
	defer cancel()
	if err := w.Release(back); err != nil {
		r.Log.Warn("slice not given back; its lease runs out by itself", "slice", w.Name(), "error", err)
	}
}

// inOrder is the moment that there is to end something in order, also when ctx is over. It begins when it is asked for: a
// wait before it must not use it up.
func inOrder(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
}

// close takes streams out of the run.
func (r *run) close(closed func(load.DueStream) bool) {
	r.due.Streams = slices.DeleteFunc(slices.Clone(r.due.Streams), closed)
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
