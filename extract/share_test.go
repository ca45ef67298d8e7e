package extract

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"simusage/extract/fakeapi"
)

// What a page takes the API, its way there and back, and a process to store it.
const (
	latency = 150 * time.Millisecond
	rtt     = 4 * time.Millisecond
	work    = 8 * time.Millisecond
)

// crowd is what some processes got of one account's API in some time.
type crowd struct {
	served, throttled int64
	each              []int64 // served, by process, the fewest first
}

// share lets processes ask for pages without an end, each for so many lists at once, of an API that takes no more than limit
// requests at once. They know nothing of each other.
func share(t *testing.T, processes, lists, limit int, lasts time.Duration) crowd {
	api := inProcess(t, fakeapi.Options{ConcurrentLimit: limit, Latency: latency})
	api.config.Concurrency, api.config.Retry = lists, Retry{}
	near := api.config.Transport
	api.config.Transport = roundTrip(func(req *http.Request) (*http.Response, error) {
		way := func() error { return sleep(req.Context(), rtt/4+rand.N(rtt/2)) }
		if err := way(); err != nil {
			return nil, err
		}
		resp, err := near.RoundTrip(req)
		if err := way(); err != nil {
			return nil, err
		}
		return resp, err
	})
	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	var all sync.WaitGroup
	clients := make([]*Client, processes)
	for i := range clients {
		clients[i] = mustClient(t, api.config)
		for range lists {
			all.Go(func() {
				for ctx.Err() == nil {
					for _, err := range clients[i].Pages(ctx, hourly(t), "") {
						if err != nil && ctx.Err() == nil {
							t.Error(err)
						}
						sleep(ctx, work/2+rand.N(work))
					}
				}
			})
		}
	}
	all.Wait()
	var c crowd
	for _, client := range clients {
		s := client.Stats()
		c.served, c.throttled = c.served+s.Statuses[http.StatusOK], c.throttled+s.Throttled
		c.each = append(c.each, s.Statuses[http.StatusOK])
	}
	slices.Sort(c.each)
	return c
}

// Processes that know nothing of each other find their shares of what the API takes at once, from 429 alone: little of it is
// left unused, few requests are turned away, and nobody starves, not even where there is less than one place for each.
func TestProcessesShareTheLimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		processes, lists, limit int
		used, throttled, fewest float64 // of limit ÷ latency, of all requests, of an equal share
	}{
		{5, 4, 10, 0.7, 0.12, 0.05},
		{20, 2, 10, 0.65, 0.3, 0.03},
		{2, 4, 8, 0.85, 0, 0.9},
	} {
		synctest.Test(t, func(t *testing.T) {
			const lasts = 90 * time.Second // shares even out in minutes, and by chance: after half of one, somebody may have come to little
			got := share(t, c.processes, c.lists, c.limit, lasts)
			used := float64(got.served) / (float64(c.limit) * lasts.Seconds() / latency.Seconds())
			throttled := float64(got.throttled) / float64(got.served+got.throttled)
			fewest := float64(got.each[0]) * float64(c.processes) / float64(got.served)
			t.Logf("%d processes × %d of %d: %.2f used, %.3f answered 429, fewest %.2f, most %.2f of an equal share", c.processes, c.lists, c.limit, used, throttled,
				fewest, float64(got.each[len(got.each)-1])*float64(c.processes)/float64(got.served))
			if used < c.used || throttled > c.throttled || fewest < c.fewest {
				t.Errorf("%d processes × %d of %d: %.2f used, %.3f answered 429, fewest %.2f of an equal share", c.processes, c.lists, c.limit, used, throttled, fewest)
			}
		})
	}
}
