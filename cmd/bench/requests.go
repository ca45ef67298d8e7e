package main

import (
	"context"
	"fmt"
	"time"
)

// requests counts what a backfill of all that the API remembers asks for. Each day is asked for alike, so one is counted.
func (b *bench) requests(ctx context.Context) error {
	days := rememberedDays(time.Now())
	b.say("")
	for _, sims := range []int{50, min(10_000, max(51, b.rows/24))} {
		l, err := b.loading(ctx, fleet{SIMs: sims, Countries: 5}, 1)
		if err != nil {
			return err
		}
		o, err := l.fresh(ctx, state{})
		l.api.end()
		if err != nil {
			return err
		}
		b.say("requests for a day: %d, %s", o.all(), l)
		b.note(fmt.Sprintf("requests for %d days, %s", days, l.fleet), thousands(days*int(o.all())))
	}
	return nil
}
