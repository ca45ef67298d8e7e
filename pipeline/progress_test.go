package pipeline

import (
	"context"
	"net/http"
	"testing"
	"time"

	"simusage/extract/fakeapi"
	"simusage/load"
)

// Whoever watches a run is told once, when there is something to do, and sees it go down to nothing.
func TestProgress(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 31, Sims: 6}, fakeapi.Options{})
	b.sync()
	b.clock.Advance(time.Hour)
	b.exec(`UPDATE simusage.slice SET leased_by = 'another', lease_expires_at = clock_timestamp() + interval '1 hour' WHERE window_start = '2026-03-10'`)
	job := b.process()
	watched := 0
	var look func(context.Context) (Progress, error)
	now := func() Progress {
		t.Helper()
		p, err := look(t.Context())
		if err != nil {
			t.Errorf("look: %v", err)
		}
		return p
	}
	job.Watch = func(from func(context.Context) (Progress, error)) {
		watched++
		look = from
		if got, want := now(), (Progress{Due: 12, Left: 12, Elsewhere: 3}); got != want {
			t.Errorf("at the beginning: %+v, want %+v", got, want)
		}
		b.expireLeases()
	}
	b.api.Inject(fakeapi.Fault{Times: 2, Do: fakeapi.Status(http.StatusTooManyRequests)})
	b.api.Inject(fakeapi.Fault{Times: -1, Do: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if p := now(); r.URL.Path == "/v1/UsageRecords" && (p.Due != 12 || p.Left < 1 || p.Left > 12) {
			t.Errorf("while a slice is walked: %+v", p)
		}
		next.ServeHTTP(w, r)
	}})
	sum, err := job.Sync(t.Context(), load.RunStart{Command: "sync"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := now(), (Progress{Due: 12, Pages: sum.Pages, Rows: sum.Rows, Retries: 2, Throttled: 2}); got != want || sum.Rows == 0 {
		t.Errorf("at the end: %+v, want %+v", got, want)
	}
	if _, err := job.Sync(t.Context(), load.RunStart{Command: "sync"}); err != nil || watched != 1 {
		t.Errorf("told %d times, of one run that found something to do: %v", watched, err)
	}
}
