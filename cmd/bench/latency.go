package main

import (
	"context"
	"fmt"
)

// latencies measures an API that takes its time for each page: how much of it is hidden by asking for several slices at
// once, and by two processes that share one backfill. There are many small slices here, as in the backfill of a year:
// with few large ones it would be the packing of slices that is measured. The default streams have no list of more than
// a few pages then.
func (b *bench) latencies(ctx context.Context) error {
	days := min(104, max(6, b.rows/(million/104))) // as many for each of eight, as in a backfill that is so long that it does not matter
	l, err := b.loading(ctx, fleet{SIMs: min(500, max(4, b.rows/(24*days))), Countries: 4}, days)
	if err != nil {
		return err
	}
	defer l.api.end()
	b.say("\n%s a page: %s", b.latency, l)
	slow := state{Latency: b.latency}
	var bound, speedup, took, two series
	for n := range min(b.runs, 3) {
		eight, err := l.fresh(ctx, slow, "--concurrency", "8")
		if err != nil {
			return err
		}
		took.add(eight.took.Seconds())
		bound.add(eight.took.Seconds() / (b.latency.Seconds() * float64(eight.all()) / 8))
		single, err := l.fresh(ctx, slow)
		if err != nil {
			return err
		}
		both, err := l.shared(ctx, slow, 2, "")
		if err != nil {
			return err
		}
		two.add(both.took.Seconds())
		speedup.add(single.took.Seconds() / both.took.Seconds())
		b.say("round %d: %s pages in %.1f s, eight slices at once; one process %.1f s, two %.1f s", n+1, thousands(int(eight.all())),
			took.last(), single.took.Seconds(), two.last())
	}
	b.hold(fmt.Sprintf("%s a page, 8 slices at once: %s", b.latency, l), number(took.median())+" s", bound.median(), "× pages × latency ÷ 8", atMost(1.1))
	b.hold("two processes for that, 4 slices at once each", number(two.median())+" s", speedup.median(), "× as fast as one", atLeast(1.9))
	return nil
}
