package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"simusage/extract"
	"simusage/load"
)

// walk takes leased slices from where they stand to their publish. now is the time of the run: what was finished then is
// asked for, so that all slices of a run cover the same time and can be held against each other.
func (r *run) walk(ctx context.Context, w *load.Walk, now time.Time) error {
	began := time.Now()
	ask := w.Stream.Ask(w.Window, now)
	if ask.Empty() {
		return fmt.Errorf("slice %s lies beyond what the API remembers", w.Name())
	}
	// The clock is not asked again: should it jump back, the slices that are walked now would look older than the run, and
	// be due in it for ever; should it jump ahead, they would look settled.
	if err := w.Begin(ctx, ask, now.Add(time.Since(r.began))); err != nil {
		return err
	}
	if err := r.lists(ctx, w); err != nil {
		return err
	}
	for _, p := range w.Parts {
		// Settled is judged by when the walk began: its first page may be that old.
		done, err := p.Publish(ctx, !w.Started.Before(p.Window.End.Add(r.Settle)), load.Caution{Shrink: r.Shrink, HeldBefore: r.want.RefreshBefore})
		if err != nil {
			return err
		}
		r.published(p, done, time.Since(began))
	}
	return nil
}

// published counts and tells what became of a slice.
func (r *run) published(p *load.Part, done load.Published, took time.Duration) {
	switch {
	case done.Gone:
		r.Log.Warn("slice went to another process", "slice", p.Name())
	case done.Held != nil:
		r.heldBack(p, done.Held)
	default:
		r.count(func(s *Summary) {
			s.Slices++
			if done.Unchanged {
				s.Unchanged++
			}
			s.Inserted += done.Inserted
			s.Updated += done.Updated
			s.Deleted += done.Deleted
		})
		r.Log.Info("slice", "slice", p.Name(), "rows", done.Rows, "inserted", done.Inserted, "updated", done.Updated,
			"deleted", done.Deleted, "unchanged", done.Unchanged, "took", took.Round(time.Millisecond))
	}
}

// lists walks the lists of a walk, those that it has and those that are found meanwhile: the one that finds the values of a
// fan-out comes first, and alone.
func (r *run) lists(ctx context.Context, w *load.Walk) error {
	for done := 0; done < len(w.Lists); {
		next := w.Lists[done:]
		if w.Discovers(next[0]) {
			next = next[:1]
		}
		if err := r.sideBySide(ctx, w, next); err != nil {
			return err
		}
		done += len(next)
	}
	return nil
}

// sideBySide walks lists of one slice at the same time. Slices alone were parallel once, which is simpler; but of the largest
// ones only a few are due every hour, each with more pages than an hour has time for, one after another (load/cut.go).
//
// A list takes a place before it begins. There are as many places as the run may have requests in flight, for all slices
// together, so memory and connections are what they are with as many slices; when many slices are due, they share the places
// and each has few. Whoever started the walkers waits for them. The first error ends the others in the middle of whatever they do:
// each list stays where its last page was staged.
func (r *run) sideBySide(ctx context.Context, w *load.Walk, lists []*load.List) error {
	walkers, within := errgroup.WithContext(ctx)
	for _, l := range lists {
		select {
		case r.places <- struct{}{}:
		case <-within.Done():
			return cmp.Or(walkers.Wait(), ctx.Err())
		}
		walkers.Go(func() error {
			defer func() { <-r.places }()
			return r.survive(w, func() error { return r.list(within, w, l) })
		})
	}
	return walkers.Wait()
}

// list walks one list to its end. A position is never derived from data: when the API does not take the page token any
// more, the list restarts from its first page, once.
func (r *run) list(ctx context.Context, w *load.Walk, l *load.List) error {
	refused := false
	for !l.Done {
		err := r.pages(ctx, w, l)
		switch {
		case errors.Is(err, extract.ErrTokenRefused) && !refused:
			refused = true
		case errors.Is(err, extract.ErrSmallerPages): // ends at a page of one record
		case err != nil:
			return err
		default:
			continue
		}
		r.Log.Warn("list begins again", "slice", w.Name(), "list", l.Value, "asks", l.Ask.String(), "page", l.Pages+1, "reason", err)
		if err := w.Restart(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// pages stages page after page, from the cursor on.
func (r *run) pages(ctx context.Context, w *load.Walk, l *load.List) error {
	query := w.Stream.Query(l.Ask, l.Value)
	switch {
	case w.Discovers(l):
		query = w.Stream.Discovery(l.Ask)
	case w.Unnamed(l):
		query = w.Stream.Unnamed(l.Ask)
	}
	for page, err := range r.clients[w.Stream.Account.ID].Pages(ctx, query, l.Cursor) {
		if err != nil {
			return fmt.Errorf("%s page %d: %w", w.Name(), l.Pages+1, err)
		}
		if err := w.Stage(ctx, l, page); err != nil {
			return err
		}
		r.count(func(s *Summary) {
			s.Pages++
			s.Rows += int64(len(page.Records))
			s.Rejected += int64(len(page.Rejected))
		})
		if len(page.Rejected) > 0 {
			r.Log.Warn("records set aside", "slice", w.Name(), "records", len(page.Rejected), "reason", page.Rejected[0].Reason)
		}
	}
	return nil
}
