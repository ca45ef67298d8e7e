package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"simusage/extract/fakeapi"
)

// often is a timetable of less than a second, which no line of cron can say.
type often time.Duration

func (o often) Next(t time.Time) time.Time { return t.Add(time.Duration(o)) }

// watched is a log that says when a text was written to it.
type watched struct {
	mu   sync.Mutex
	log  bytes.Buffer
	want map[string]chan struct{}
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for text, seen := range w.want {
		if bytes.Contains(p, []byte(text)) {
			close(seen)
			delete(w.want, text)
		}
	}
	return w.log.Write(p)
}

// await is closed when text will have been written from now on.
func (w *watched) await(text string) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.want == nil {
		w.want = make(map[string]chan struct{})
	}
	w.want[text] = make(chan struct{})
	return w.want[text]
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

// resident starts schedule with a tick now and then. stop ends it and returns its exit code.
func (b *bench) resident(every time.Duration, log *watched, out io.Writer, args ...string) (stop func() int) {
	b.t.Helper()
	p := b.program(nil, nil)
	p.stdout, p.stderr, p.timing = out, log, often(every)
	ctx, cancel := context.WithCancel(b.t.Context())
	code := make(chan int)
	go func() { code <- p.run(ctx, append([]string{"schedule"}, args...)) }()
	return func() int { cancel(); return <-code }
}

// soon waits for something that a broken program would never do.
func (b *bench) soon(what string, happens <-chan struct{}, log *watched) {
	b.t.Helper()
	select {
	case <-happens:
	case <-time.After(30 * time.Second):
		b.t.Fatalf("no %s\n%s", what, log)
	}
}

// The schedule runs sync again and again, never two at a time, and ends idle with 0.
func TestScheduleDoesNotOverlap(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{Latency: 10 * time.Millisecond})
	b.env["SIMUSAGE_CONCURRENCY"] = "1"
	log, out := &watched{}, &watched{}
	left, done := log.await("run left out"), out.await("done: 12 slices")
	stop := b.resident(20*time.Millisecond, log, out)
	b.soon("run left out", left, log)
	b.soon("end of the first run", done, log)
	b.soon("second run", out.await("done: 0 slices"), log)
	if code := stop(); code != 0 && code != 75 { // 75 when the end met a run that found nothing to do
		t.Errorf("exit code %d\n%s", code, log)
	}
	b.equal(b.world)
	if n := b.api.MaxInFlight(); n != 1 {
		t.Errorf("%d requests at once", n)
	}
	overlaps := b.query(`SELECT a.run, b.run FROM usage.runs a JOIN usage.runs b ON b.run > a.run AND b.started_at < a.finished_at`)
	if len(overlaps) > 0 {
		t.Errorf("runs at the same time: %v", overlaps)
	}
}

// fragile breaks over the first pages that are logged, which happens in the middle of a slice.
type fragile struct {
	*watched
	broken atomic.Int32
}

func (f *fragile) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(`"msg":"page"`)) && f.broken.Add(1) <= 3 {
		panic("the log fell off the wall")
	}
	return f.watched.Write(p)
}

// A panic ends neither the schedule nor, for ever, the slice that it met.
func TestScheduleSurvivesPanics(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{})
	log, out := &watched{}, &watched{}
	var calls atomic.Int32
	p := b.program(nil, nil)
	b.env["SIMUSAGE_LOG"] = "debug"
	p.stdout, p.stderr, p.timing = out, &fragile{watched: log}, often(20*time.Millisecond)
	p.now = func() time.Time {
		if calls.Add(1) == 2 { // not while the configuration is read; in the run
			panic("the clock fell off the wall")
		}
		return b.now
	}
	inRun, inSlice, done := log.await("run ended by a panic"), log.await(`"msg":"panic"`), out.await("done: ")
	ctx, cancel := context.WithCancel(t.Context())
	code := make(chan int)
	go func() { code <- p.run(ctx, []string{"schedule", "--concurrency=2"}) }()
	b.soon("panic in a run", inRun, log)
	b.soon("panic in a slice", inSlice, log)
	b.soon("run that is done", done, log)
	cancel()
	if c := <-code; c != 0 && c != 75 {
		t.Errorf("exit code %d\n%s", c, log)
	}
	b.equal(b.world)
}

// A run in the middle is parked when the schedule ends: 75, nothing held, and the next run goes on there.
func TestScheduleEndsInOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{})
	under := make(chan struct{})
	b.api.Inject(fakeapi.Fault{After: 5, Do: func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		close(under)
		<-r.Context().Done() // never answered
	}})
	log, out := &watched{}, &watched{}
	stop := b.resident(20*time.Millisecond, log, out, "--now")
	b.soon("request that hangs", under, log)
	if code := stop(); code != 75 || !strings.Contains(log.String(), "simusage: stopped: ") {
		t.Errorf("exit code %d\n%s", code, log)
	}
	b.idle("stopped")
	b.must(0, "sync")
	b.equal(b.world)
}

// Between two runs there is nothing to stop: 0.
func TestScheduleEndsIdle(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{})
	log, out := &watched{}, &watched{}
	waits := log.await(`"msg":"schedule"`)
	stop := b.resident(time.Hour, log, out)
	b.soon("schedule", waits, log)
	if code := stop(); code != 0 || len(b.api.Requests()) > 0 {
		t.Errorf("exit code %d, %d requests\n%s", code, len(b.api.Requests()), log)
	}
}
