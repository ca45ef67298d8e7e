package extract

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"simusage/extract/fakeapi"
)

// sums are the bytes of a walk by bucket and dimensions; what is handed out twice must say the same twice.
type sums map[string]int64

func keyOf(start time.Time, dims ...string) string {
	return start.Format("01-02 15h ") + strings.Join(dims, " ")
}

// collect walks a list to its end.
func collect(ctx context.Context, c *Client, q Query, cursor string) (sums, int, error) {
	got, pages := sums{}, 0
	for page, err := range c.Pages(ctx, q, cursor) {
		if err != nil {
			return got, pages, err
		}
		pages++
		for _, r := range page.Records {
			got[keyOf(r.Start, r.SimSID, r.IsoCountry)] = r.Total
		}
	}
	return got, pages, nil
}

// oracle is what a walk by SIM must say.
func (a *api) oracle(tb testing.TB, w Window, country string) sums {
	tb.Helper()
	want := sums{}
	for _, row := range a.World().Sum(at(tb, now), w.Start, w.End, "hour", "sim", "country") {
		switch country {
		case row.Country:
			want[keyOf(row.Start, row.Sim, row.Country)] = row.Total
		case "":
			want[keyOf(row.Start, row.Sim, "")] += row.Total
		}
	}
	if len(want) == 0 {
		tb.Fatal("the world has no usage to ask for")
	}
	return want
}

func day(tb testing.TB) Window { return span(tb, "02-20 00h..02-20 24h") }

func bySim(tb testing.TB) Query { return mustStream(tb, "hour/sim").Query(day(tb), "") }

// TestWalkThroughFaults is one walk through each kind of misbehaviour that passes: it must say what an undisturbed one
// says, and ask no more than it needs.
func TestWalkThroughFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		opts    fakeapi.Options
		script  []string
		retries int64
	}{
		{"nothing", fakeapi.Options{}, nil, 0},
		{"numbers for money", fakeapi.Options{NumericBilled: true}, nil, 0},
		{"throttled", fakeapi.Options{}, []string{"after 2 times 3: 429"}, 3},
		{"throttled with retry-after", fakeapi.Options{}, []string{"after 2: 429 retry-after 0"}, 1},
		{"one 500", fakeapi.Options{}, []string{"after 2: 500"}, 1},
		{"502 in HTML", fakeapi.Options{}, []string{"after 2: html 502"}, 1},
		{"503 for a while", fakeapi.Options{}, []string{"after 2 times 6: 503"}, 6},
		{"200 in HTML", fakeapi.Options{}, []string{"after 2: html 200"}, 1},
		{"cut", fakeapi.Options{}, []string{"after 2 times 2: cut"}, 2},
		{"truncated", fakeapi.Options{}, []string{"after 2 times 2: truncate"}, 2},
		{"dropped", fakeapi.Options{}, []string{"after 2: drop"}, -1}, // the transport itself asks again
		{"408", fakeapi.Options{}, []string{"after 2: 408"}, 1},
		{"repeated rows", fakeapi.Options{}, []string{"after 2: repeat"}, 0},
		{"shifted rows", fakeapi.Options{}, []string{"after 2: shift 3"}, 0},
		{"all at once", fakeapi.Options{}, []string{"every 3: cut", "every 5: 429", "every 7: html 502"}, -1},
		{"expired token", fakeapi.Options{Profile: fakeapi.Kore}, []string{"after 2: 403"}, 1},
		{"expires_in as text", fakeapi.Options{Profile: fakeapi.Kore, ExpiresInText: true}, nil, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := startAPI(t, test.opts)
			a.script(t, test.script...)
			c := mustClient(t, a.config)
			got, pages, err := collect(t.Context(), c, bySim(t), "")
			if err != nil {
				t.Fatal(err)
			}
			if want := a.oracle(t, day(t), ""); !maps.Equal(got, want) {
				t.Errorf("%d sums, want %d", len(got), len(want))
			}
			stats := c.Stats()
			if test.retries >= 0 && stats.Retries != test.retries || stats.Requests != int64(pages)+stats.Retries || pages < 5 {
				t.Errorf("%d pages, %+v; want %d retries", pages, stats, test.retries)
			}
		})
	}
}

// TestFlakyWalksSayTheTruth restarts a list only when it is told to; the time of its waits is not the test's.
func TestFlakyWalksSayTheTruth(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			a := inProcess(t, fakeapi.Options{ConcurrentLimit: 2})
			a.Flaky(0.3, seed)
			a.config.Retry.Attempts = 20
			c := mustClient(t, a.config)
			var got sums
			err := ErrSmallerPages
			for restarts := 0; errors.Is(err, ErrSmallerPages) && restarts < 30; restarts++ {
				got, _, err = collect(t.Context(), c, bySim(t), "")
			}
			if want := a.oracle(t, day(t), ""); err != nil || !maps.Equal(got, want) {
				t.Errorf("seed %d: %d sums, want %d; error %v", seed, len(got), len(want), err)
			}
		})
	}
}

func TestFanOut(t *testing.T) {
	t.Parallel()
	a := startAPI(t, fakeapi.Options{})
	c := mustClient(t, a.config)
	stream := mustStream(t, "hour/sim@country")
	countries := 0
	for page, err := range c.Pages(t.Context(), stream.Discovery(day(t)), "") {
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Records {
			countries++
			country := strings.Clone(r.IsoCountry)
			got, _, err := collect(t.Context(), c, stream.Query(day(t), country), "")
			if want := a.oracle(t, day(t), country); err != nil || !maps.Equal(got, want) {
				t.Errorf("%s: %d sums, want %d; error %v", country, len(got), len(want), err)
			}
		}
	}
	if countries < 3 {
		t.Errorf("%d countries had usage", countries)
	}
}

// TestPromise8ResumeAnywhere stops a walk behind each of its pages and goes on with another client.
func TestPromise8ResumeAnywhere(t *testing.T) {
	t.Parallel()
	a := startAPI(t, fakeapi.Options{})
	want := a.oracle(t, day(t), "")
	_, pages, err := collect(t.Context(), mustClient(t, a.config), bySim(t), "")
	if err != nil {
		t.Fatal(err)
	}
	for stop := 1; stop < pages; stop++ {
		a.Reset()
		got, cursor := sums{}, ""
		for page, err := range mustClient(t, a.config).Pages(t.Context(), bySim(t), "") {
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page.Records {
				got[keyOf(r.Start, r.SimSID, r.IsoCountry)] = r.Total
			}
			if cursor = page.Next; PageOf(cursor) == stop {
				break
			}
		}
		rest, _, err := collect(t.Context(), mustClient(t, a.config), bySim(t), cursor)
		maps.Copy(got, rest)
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("stopped behind page %d: %d sums, want %d; error %v", stop, len(got), len(want), err)
		}
		if asked := len(a.Requests()); asked != pages {
			t.Errorf("stopped behind page %d: %d requests for %d pages", stop, asked, pages)
		}
	}
}

// TestWalkEnds is a walk through each kind of misbehaviour that does not pass.
func TestWalkEnds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		script string
		is     []error
		says   string
		pages  int
		asks   int
	}{
		{"always 500 on the first page", "always: 500", []error{ErrUnreachable}, "gave up after 8 attempts: answer 500", 0, 8},
		{"always 503", "always: 503", []error{ErrUnreachable}, "gave up after 8 attempts: answer 503", 0, 8},
		{"always HTML", "always: html 200", []error{ErrUnreachable}, "text/html that are not whole JSON", 0, 8},
		{"always cut", "always: cut", []error{ErrUnreachable}, "cut off after", 0, 8},
		{"always truncated", "always: truncate", []error{ErrUnreachable}, "not whole JSON", 0, 8},
		{"always dropped", "always: drop", []error{ErrUnreachable}, "gave up after 8 attempts: send", 0, 8},
		{"always 429", "always: 429", []error{ErrUnreachable}, "still throttled after 80 attempts", 0, 80},
		{"500 in mid-list", "after 2 times 2: 500", []error{ErrSmallerPages, ErrRestart}, "answer 500", 2, 4},
		{"refused token", "after 2: refuse-token", []error{ErrTokenRefused, ErrRestart}, "20001", 2, 3},
		{"token gone", "after 2: 410", []error{ErrTokenRefused, ErrRestart}, "answer 410", 2, 3},
		{"refused question", "times 1: 400", []error{ErrRefused}, "answer 400", 0, 1},
		{"nothing there", "times 1: 404", []error{ErrRefused}, "check the base URL", 0, 1},
		{"wrong host", "after 1: wrong-host evil.example", []error{ErrAnswer}, "is said to be at http://evil.example", 1, 2},
		{"loop", "after 1: loop", []error{ErrAnswer}, "its own next page", 1, 2},
		{"redirect", "after 1: redirect https://me:very@evil.example/steal?token=1", nil, "redirected to https://evil.example, which is not followed", 1, 2},
		{"huge", "after 1: huge 2000000", []error{ErrAnswer}, "larger than 1048576 bytes", 1, 2},
		{"credentials", "after 1: 401", []error{ErrCredentials}, "answer 401", 1, 2},
		{"forbidden", "after 1: 403", []error{ErrCredentials}, "answer 403", 1, 2},
		{"Group ignored", "always: ignore Group", []error{ErrAnswer}, "Group=sim was ignored", 0, 1},
		{"Granularity ignored", "always: ignore Granularity", []error{ErrAnswer}, "Granularity", 0, 1},
		{"EndTime ignored", "always: ignore EndTime", []error{ErrAnswer}, "EndTime", 0, 1},
		{"StartTime ignored", "always: ignore StartTime", []error{ErrAnswer}, "StartTime", -1, -1},
		{"PageSize ignored", "always: ignore PageSize", []error{ErrAnswer}, "50 records on a page of 20", 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := startAPI(t, fakeapi.Options{})
			a.config.MaxBody = 1 << 20
			a.script(t, test.script)
			c := mustClient(t, a.config)
			_, pages, err := collect(t.Context(), c, bySim(t), "")
			checkEnd(t, err, test.is, test.says)
			if test.pages >= 0 && (pages != test.pages || len(a.Requests()) != test.asks) {
				t.Errorf("%d pages by %d requests, want %d by %d", pages, len(a.Requests()), test.pages, test.asks)
			}
		})
	}
}

// checkEnd holds an error against the ones it should be, and against all it should not be.
func checkEnd(t *testing.T, err error, is []error, says string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), "ask GET /v1/UsageRecords?") || !strings.Contains(err.Error(), says) {
		t.Fatalf("error %v, want one about %q", err, says)
	}
	for _, each := range []error{ErrCredentials, ErrRestart, ErrTokenRefused, ErrSmallerPages, ErrRefused, ErrAnswer, ErrUnreachable} {
		want := false
		for _, e := range is {
			want = want || e == each
		}
		if errors.Is(err, each) != want {
			t.Errorf("error %v: is %q %t, want %t", err, each, !want, want)
		}
	}
	for _, secret := range []string{"fake-auth-token", "me:very", "token=1"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error %v shows %s", err, secret)
		}
	}
}

func TestBadRowsAreHandedOut(t *testing.T) {
	t.Parallel()
	a := startAPI(t, fakeapi.Options{})
	a.config.PageSize = 1000
	a.script(t, `times 1: bad-row {"period":null,"data_total":1,"data_upload":1,"data_download":0,"sim_sid":"HS1"}`)
	for page, err := range mustClient(t, a.config).Pages(t.Context(), bySim(t), "") {
		if err != nil {
			t.Fatal(err)
		}
		if want := a.oracle(t, day(t), ""); len(page.Records) != len(want) || len(page.Rejected) != 1 || !strings.Contains(page.Rejected[0].Raw, `"HS1"`) {
			t.Errorf("%d records, want %d; rejected %v", len(page.Records), len(want), page.Rejected)
		}
	}
}

func TestSlowAnswerEnds(t *testing.T) {
	t.Parallel()
	a := startAPI(t, fakeapi.Options{})
	a.script(t, "times 2: slow 1h")
	a.config.Timeout = 50 * time.Millisecond
	a.config.Retry.Attempts = 2
	_, _, err := collect(t.Context(), mustClient(t, a.config), bySim(t), "")
	checkEnd(t, err, []error{ErrUnreachable}, "no whole answer within 50ms")
	if errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v passes for the end of the context", err)
	}
}

func TestPagesEndsWithContext(t *testing.T) {
	t.Parallel()
	a := startAPI(t, fakeapi.Options{})
	a.script(t, "after 2: slow 1h")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pages := 0
	for _, err := range mustClient(t, a.config).Pages(ctx, bySim(t), "") {
		if err != nil {
			if !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnreachable) || pages != 2 {
				t.Errorf("error %v after %d pages", err, pages)
			}
			return
		}
		if pages++; pages == 2 {
			cancel()
		}
	}
	t.Error("the walk went on")
}

// TestConcurrencyAdapts walks eight lists at once where two requests may be in flight.
func TestConcurrencyAdapts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := inProcess(t, fakeapi.Options{ConcurrentLimit: 2, Latency: 100 * time.Millisecond})
		a.config.Concurrency = 8
		c := mustClient(t, a.config)
		want := a.oracle(t, day(t), "")
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if got, _, err := collect(t.Context(), c, bySim(t), ""); err != nil || !maps.Equal(got, want) {
					t.Errorf("%d sums, want %d; error %v", len(got), len(want), err)
				}
			})
		}
		group.Wait()
		if stats := c.Stats(); stats.Throttled == 0 || stats.Throttled > stats.Requests/4 || stats.Statuses[429] != stats.Throttled {
			t.Errorf("stats %+v", stats)
		}
	})
}
