package extract

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"simusage/extract/fakeapi"
)

func TestSizeHalvesOnTheFirstPage(t *testing.T) {
	t.Parallel()
	a := startAPI(t, fakeapi.Options{})
	a.script(t, "times 4: 500")
	c := mustClient(t, a.config)
	got, pages, err := collect(t.Context(), c, bySim(t), "")
	want := a.oracle(t, day(t), "")
	if err != nil || !maps.Equal(got, want) || c.PageSize() != 5 || pages != (len(want)+4)/5 {
		t.Errorf("%d sums on %d pages of %d, want %d; error %v", len(got), pages, c.PageSize(), len(want), err)
	}
}

func TestSizeIsNotBlamedForAnOutage(t *testing.T) {
	t.Parallel()
	a := startAPI(t, fakeapi.Options{})
	a.script(t, "always: 500")
	c := mustClient(t, a.config)
	if _, _, err := collect(t.Context(), c, bySim(t), ""); !errors.Is(err, ErrUnreachable) || c.PageSize() != 20 {
		t.Errorf("pages of %d after an outage, error %v; want 20", c.PageSize(), err)
	}
}

// TestSmallerPagesAreWalkedAgain restarts a list whose pages are too big from some page on.
func TestSmallerPagesAreWalkedAgain(t *testing.T) {
	t.Parallel()
	a := startAPI(t, fakeapi.Options{})
	a.script(t, "after 3 times 2: 500")
	c := mustClient(t, a.config)
	if _, _, err := collect(t.Context(), c, bySim(t), ""); !errors.Is(err, ErrSmallerPages) || c.PageSize() != 10 {
		t.Fatalf("pages of %d, error %v; want 10 and a restart", c.PageSize(), err)
	}
	got, _, err := collect(t.Context(), c, bySim(t), "")
	if want := a.oracle(t, day(t), ""); err != nil || !maps.Equal(got, want) {
		t.Errorf("%d sums, want %d; error %v", len(got), len(want), err)
	}
}

func TestRefusedQuestions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, stream, window, says string
		opts                       fakeapi.Options
	}{
		{"pair", "hour/network:fleet=" + fleetA, "02-20 00h..02-20 24h", "does not take this group with this filter", fakeapi.Options{RefusePairs: []string{"network+Fleet"}}},
		{"beyond the wall", "hour/total", "2024-08-20 00h..2024-08-20 24h", "older than the 18 months", fakeapi.Options{}},
		{"SIM too long", "day/sim", "01-01 00h..02-20 24h", "at most 31 days", fakeapi.Options{}},
		{"hour too long", "hour/total", "01-01 00h..02-20 24h", "the time range is too long", fakeapi.Options{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := startAPI(t, test.opts)
			_, _, err := collect(t.Context(), mustClient(t, a.config), mustStream(t, test.stream).Query(span(t, test.window), ""), "")
			checkEnd(t, err, []error{ErrRefused}, test.says)
			var refused *APIError
			if !errors.As(err, &refused) || refused.Status != 400 || refused.Code/10 != 8360 || len(a.Requests()) != 1 {
				t.Errorf("error %#v after %d requests", refused, len(a.Requests()))
			}
		})
	}
}

func TestStaleTokens(t *testing.T) {
	t.Parallel()
	for _, code := range []int{20001, 21481} {
		clock := fakeapi.NewClock(at(t, now))
		a := startAPI(t, fakeapi.Options{Clock: clock.Now, TokenLife: time.Minute, StaleTokenCode: code})
		c := mustClient(t, a.config)
		for page, err := range c.Pages(t.Context(), bySim(t), "") {
			if err != nil {
				checkEnd(t, err, []error{ErrTokenRefused, ErrRestart}, fmt.Sprint(code))
				break
			}
			if PageOf(page.Next) == 3 {
				clock.Advance(time.Hour)
			}
		}
	}
}

func TestPromise10CursorOfAnotherHost(t *testing.T) {
	t.Parallel()
	a := startAPI(t, fakeapi.Options{})
	c := mustClient(t, a.config)
	_, _, err := collect(t.Context(), c, bySim(t), "https://evil.example/v1/UsageRecords?Page=7&PageToken=x")
	if !errors.Is(err, ErrTokenRefused) || !strings.Contains(err.Error(), "resume the list at page 7") || len(a.Requests()) != 0 {
		t.Errorf("error %v after %d requests, want a restart and none", err, len(a.Requests()))
	}
}
