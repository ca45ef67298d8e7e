package pipeline

import "context"

// Progress is how far a run is, while it walks.
type Progress struct {
	Due       int // slices that were due when the run began, and those that it found to be due since
	Left      int // of these, slices that are not published yet
	Elsewhere int // of those that are left, slices that other processes hold
	Failed    int // slices that this run does not try again
	Pages     int64
	Rows      int64

	Retries   int64 // requests that were sent again after a failure
	Throttled int64 // answers 429
}

// progress looks how far the run is. What is left is counted in Postgres: other processes may be at work on it.
func (r *run) progress(ctx context.Context) (Progress, error) {
	due, skip := r.todo()
	free, elsewhere, _, err := r.Store.Left(ctx, due, skip)
	asked := r.asked()
	r.mu.Lock()
	defer r.mu.Unlock()
	left := min(free+elsewhere+r.Store.Walking(), r.expected) // a slice that is leased meanwhile is counted twice
	return Progress{Due: r.expected, Left: left, Elsewhere: elsewhere, Failed: r.summary.Failed,
		Pages: r.summary.Pages, Rows: r.summary.Rows, Retries: asked.Retries, Throttled: asked.Throttled}, err
}

// expect adds to the slices that the run expects to walk. Whoever watches is told when there are any.
func (r *run) expect(slices int) {
	r.mu.Lock()
	first := r.expected == 0
	r.expected += slices
	r.mu.Unlock()
	if first && r.Watch != nil {
		r.Watch(r.progress)
	}
}
