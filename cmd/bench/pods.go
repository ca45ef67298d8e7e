package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// pods measures processes that share one backfill, as the pods of a Job do: how much faster many are than one, and how they
// find their shares of an API that takes only so many requests at once.
func (b *bench) pods(ctx context.Context) error {
	if err := b.speedups(ctx); err != nil {
		return err
	}
	return b.squeezed(ctx)
}

const (
	podPage = 132 // records a page: ten pages a country and day, so that it is requests that are measured, not rows
	podDays = 24  // for each process, so that each worker has as many slices however many there are: six
)

// podFleet has days that are too large to be walked together.
var podFleet = fleet{SIMs: 220, Countries: 4}

// speedups loads as many days for each process by 1, 2, 4, 8 and 16 of them.
func (b *bench) speedups(ctx context.Context) error {
	b.say("\npods, %s a page, 4 slices at once each", b.latency)
	alone := 0.0
	for _, n := range []int{1, 2, 4, 8, 16} {
		var speed, even, share series
		for range min(b.runs, 3) {
			c, err := b.crew(ctx, podFleet, n*min(podDays, max(1, b.rows/1000)), n, state{Latency: b.latency}, "", "--page-size", fmt.Sprint(podPage))
			if err != nil {
				return err
			}
			speed.add(float64(c.all()) / c.took.Seconds())
			even.add(float64(c.fewest) / float64(c.most))
			share.add(speed.last() * b.latency.Seconds() / float64(4*n))
			b.say("%s: %s pages in %.1f s, %.1f pages/s, %.2f × the ideal; requests of each: %s to %s", processes(n), thousands(int(c.all())),
				c.took.Seconds(), speed.last(), share.last(), thousands(int(c.fewest)), thousands(int(c.most)))
		}
		if n == 1 {
			alone = speed.median()
			b.note(fmt.Sprintf("one process, %s a page, 4 slices at once", b.latency), number(alone)+" pages/s")
			continue
		}
		b.hold(fmt.Sprintf("%s that share a backfill", processes(n)), number(speed.median())+" pages/s", speed.median()/alone, "× one", atLeast(0.9*float64(n)))
		b.hold("fewest requests of one of them", "", even.median(), "× the most", atLeast(0.7))
	}
	return nil
}

// squeezed lets sixteen processes want 128 or 256 requests in flight of an API that takes 100. An answer takes four times as
// long, so that it is not this machine that sets the pace.
func (b *bench) squeezed(ctx context.Context) error {
	const limit, n = 100, 16
	slow := state{Latency: 4 * b.latency, Limit: limit}
	b.say("\npods, %s a page, %d requests at once for all", slow.Latency, limit)
	for _, lists := range []int{8, 16} {
		var speed, wasted, even series
		for range min(b.runs, 3) {
			c, err := b.crew(ctx, podFleet, min(b.days(), max(1, b.rows/1000)), n, slow, "&pool_max_conns=6", "--page-size", fmt.Sprint(5*podPage), "--concurrency", fmt.Sprint(lists))
			if err != nil {
				return err
			}
			refused := float64(c.Requests["throttled"])
			speed.add((float64(c.all()) - refused) * slow.Latency.Seconds() / limit / c.took.Seconds())
			wasted.add(refused / float64(c.all()))
			even.add(float64(c.fewest) / float64(c.most))
			b.say("%d wanted: %s pages in %.1f s, %.2f × the ideal, %.1f %% answered 429; requests of each: %s to %s", n*lists, thousands(int(c.all()-int64(refused))),
				c.took.Seconds(), speed.last(), 100*wasted.last(), thousands(int(c.fewest)), thousands(int(c.most)))
		}
		b.hold(fmt.Sprintf("%s that want %d requests at once, of %d that the API takes", processes(n), n*lists, limit), "", speed.median(), "× limit ÷ latency", atLeast(0.8))
		b.hold("of their requests answered 429", "", 100*wasted.median(), "%", atMost(5))
		b.hold("fewest requests of one of them", "", even.median(), "× the most", atLeast(0.5))
	}
	return nil
}

func processes(n int) string {
	if n == 1 {
		return "1 process"
	}
	return fmt.Sprintf("%d processes", n)
}

// crew is what processes did together.
type crew struct {
	took         time.Duration
	counts             // what was asked
	fewest, most int64 // requests of one of them
}

// crew loads some days by processes that begin together, with more in the database's address and arguments of their own.
func (b *bench) crew(ctx context.Context, f fleet, days, n int, st state, address string, args ...string) (crew, error) {
	l, err := b.loading(ctx, f, days)
	if err != nil {
		return crew{}, err
	}
	defer l.api.end()
	return l.shared(ctx, st, n, address, args...)
}

// shared loads the window by processes that begin together, until all have ended.
func (l loading) shared(ctx context.Context, st state, n int, address string, args ...string) (c crew, err error) {
	d, err := l.b.database(ctx)
	if err != nil {
		return c, err
	}
	defer l.b.drop(ctx, d)
	if err := l.api.set(ctx, st); err != nil {
		return c, err
	}
	if err := d.rest(ctx); err != nil {
		return c, err
	}
	at := *d
	at.url += address
	began := time.Now()
	all, together := errgroup.WithContext(ctx)
	for range n {
		all.Go(func() error {
			_, err := l.b.backfill(together, &at, l.api, l.window, args...)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return c, err
	}
	c.took = time.Since(began)
	if c.counts, err = l.api.counts(ctx); err != nil {
		return c, err
	}
	if err := d.scan(ctx, `SELECT min(requests), max(requests) FROM simusage.run`, nil, &c.fewest, &c.most); err != nil {
		return c, err
	}
	return c, d.check(ctx, l.fleet, l.window, st.Says)
}
