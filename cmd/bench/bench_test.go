package main

import (
	"bytes"
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// The benchmark starts processes of itself, which here is the test binary.
func TestMain(m *testing.M) {
	if roleOf(os.Args[1:]) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// reader takes down what is said, and stops the benchmark when the words are there.
type reader struct {
	mu   sync.Mutex
	text strings.Builder
	stop string
	end  context.CancelFunc
}

func (r *reader) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text.Write(p)
	if r.stop != "" && strings.Contains(r.text.String(), r.stop) {
		r.end()
	}
	return len(p), nil
}

// measure runs the benchmark at a tiny size, until it says the words, if any, and wants nothing left behind.
func measure(t *testing.T, stop string, args ...string) (code int, said, complained string) {
	t.Helper()
	stageAt(t)
	before := leftovers(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := &reader{stop: stop, end: cancel}
	var stderr bytes.Buffer
	code = run(ctx, append([]string{"-rows", "3000", "-runs", "1", "-script", "50", "-history", "5", "-latency", "20ms", "-fill", "1000,2000"}, args...), r, &stderr)
	for _, dir := range leftovers(t) {
		if !slices.Contains(before, dir) {
			t.Errorf("the benchmark left %s behind", dir)
		}
	}
	return code, r.text.String(), stderr.String()
}

// stageAt makes the repository's root the place to run at. What the race detector watches sleeps a second when it ends,
// for reports that are still on their way; the processes that are started here are many.
func stageAt(t *testing.T) {
	t.Helper()
	t.Chdir("../..")
	t.Setenv("GORACE", "atexit_sleep_ms=0")
}

func leftovers(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), "simusage-bench-*"))
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// Every part runs, at a size of which the figures mean nothing, and the table goes to its place.
func TestBench(t *testing.T) {
	readme := filepath.Join(t.TempDir(), "README.md")
	before := "# How fast\n\n<!-- bench -fill 1000,2000 -history 5 -latency 20ms -rows 3000 -runs 1 -script 50 -->\nold\n<!-- /bench -->\n\nend\n"
	if err := os.WriteFile(readme, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	code, said, complained := measure(t, "", "-readme", readme)
	if code != 0 {
		t.Fatalf("exit code %d, want 0\n%s%s", code, said, complained)
	}
	after, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| CEILING, ", "| SCRIPT, ", "| first load of 4,320 rows (13 SIMs in 4 countries, 10 days) |", "× SCRIPT | ≥ 150 |",
		"bytes a row |  | ≤ 200 |", "bytes |  | ≤ 140 |", "roll-up by day", "nothing changed", "5 % changed", "newest tenth",
		"| fact rows that this writes | 0 rows |  | ≤ 0 | reached |", "peak memory, one slice at once", "peak memory, 16 slices",
		"20ms a page, 8 slices", "two processes", "a new row when 2,000 are stored", "sync with nothing due, 5 days", "statements",
		"plan, 5 accounts", "status, 5 accounts", "days, 50 SIMs in 5 countries", "| allocations to decode and encode a row |",
	} {
		if !strings.Contains(string(after), want) {
			t.Errorf("the table does not have %q", want)
		}
	}
	if !strings.HasPrefix(string(after), before[:strings.Index(before, "old")]) || !strings.HasSuffix(string(after), "<!-- /bench -->\n\nend\n") || strings.Contains(string(after), "old") {
		t.Error("more or less than the table was replaced")
	}
	if t.Failed() {
		t.Logf("%s", after)
	}
}

func TestStopped(t *testing.T) {
	code, said, complained := measure(t, "first load", "-only", "first", "-runs", "50")
	if code != 130 || strings.Contains(said, "round 50") {
		t.Errorf("exit code %d, want 130\n%s%s", code, said, complained)
	}
}

func TestMisuse(t *testing.T) {
	for _, args := range [][]string{{"-rows", "1"}, {"-only", "nothing"}, {"-fill", "2000,1000"}, {"-fill", "x"}, {"more"}, {"-no-such-flag"}} {
		var out, stderr bytes.Buffer
		if code := run(t.Context(), args, &out, &stderr); code != 2 || stderr.Len() == 0 {
			t.Errorf("%q: exit code %d, want 2: %s", args, code, stderr.String())
		}
	}
}

// What counts writes sees them: a counter that sees nothing would say for ever that nothing is written.
func TestCounters(t *testing.T) {
	stageAt(t)
	b := &bench{out: t.Output()}
	defer b.close()
	if err := b.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	l, err := b.loading(t.Context(), fleet{SIMs: 40, Countries: 2}, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer l.api.end()
	d, err := b.database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o, err := l.into(t.Context(), d, state{})
	if err != nil {
		t.Fatal(err)
	}
	var months int64 // what the days are rolled up to once more
	if err := d.scan(t.Context(), `SELECT count(*) FROM simusage.usage_monthly`, nil, &months); err != nil {
		t.Fatal(err)
	}
	if want := int64(l.rows()+l.rows()/24) + months; o.touched != want {
		t.Errorf("%d fact rows written, want %d", o.touched, want)
	}
	facts, err := d.factLog(t.Context(), o.from, o.to)
	if err != nil {
		t.Fatal(err)
	}
	if least := o.touched * 100; facts != -1 && (facts < least || facts > o.log) {
		t.Errorf("%d bytes of write-ahead log for facts, want %d to %d", facts, least, o.log)
	}
	if o.peak < 1<<20 || o.processor <= 0 || o.CPU <= 0 || o.all() != 2*(1+1+1+2) {
		t.Errorf("outcome %+v", o)
	}
}

// The answer is checked, or a benchmark of a program that loads nothing would be the fastest.
func TestWrongAnswer(t *testing.T) {
	w, says := until(at, 3), saying{Older: some, Newest: every, From: until(at, 1).Start}
	f := fleet{SIMs: 5, Countries: 2}
	right := f.expect("hour/sim@country", w, says)
	if right.rows != 3*24*5 || right.total != right.upload+right.download {
		t.Errorf("expected %+v", right)
	}
	for name, other := range map[string]sums{
		"another saying": f.expect("hour/sim@country", w, saying{Older: some, Newest: some}),
		"a day less":     f.expect("hour/sim@country", until(at, 2), says),
		"a SIM more":     fleet{SIMs: 6, Countries: 2}.expect("hour/sim@country", w, says),
	} {
		if other == right {
			t.Errorf("%s has the same sums", name)
		}
	}
}

// The questions of dashboards are answered from the tables that they should be answered from: a plan that reads others ends
// the benchmark. The plans are kept.
func TestQuestions(t *testing.T) {
	plans := t.TempDir()
	code, said, complained := measure(t, "", "-only", "questions", "-plans", plans)
	if code != 0 {
		t.Fatalf("exit code %d: %s%s", code, said, complained)
	}
	kept, err := filepath.Glob(filepath.Join(plans, "*.txt"))
	if err != nil || len(kept) != 4 {
		t.Errorf("plans %q, error %v", kept, err)
	}
}

// A day of a large fleet, of which the reader's answers are slow or quick, and the program's memory little or much.
func TestDay(t *testing.T) {
	code, said, complained := measure(t, "", "-only", "day")
	if code != 0 {
		t.Fatalf("exit code %d: %s%s", code, said, complained)
	}
	for _, want := range []string{"first load of 3,120 rows", "read again, 5 % changed", "longest transaction", "slowest answer", "usage_daily on disk", "names of 125 SIMs", "top 100"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not said:\n%s", want, said)
		}
	}
}

// Many processes share a load, a limit and the books.
func TestMany(t *testing.T) {
	code, said, complained := measure(t, "", "-only", "pods,leases")
	if code != 0 {
		t.Fatalf("exit code %d: %s%s", code, said, complained)
	}
	for _, want := range []string{"16 processes that share a backfill", "want 256 requests at once", "answered 429", "a lease where", "until each has its own",
		"while they wait", "made their proof", "one process that finds nothing due"} {
		if !strings.Contains(said, want) {
			t.Errorf("the table does not have %q:\n%s", want, said)
		}
	}
}
