package main

import (
	"context"
	"fmt"
	"math"
)

// counted is how many days are counted of a fleet whose days are lists of their own: as many as one list may span.
const counted = 31

// requests counts what a backfill of all that the API remembers asks for. Of a fleet of 10,000 SIMs that would be 130 million
// rows, so some days stand for the others.
func (b *bench) requests(ctx context.Context) error {
	days := b.days()
	b.say("")
	for _, of := range []struct{ sims, days int }{{50, days}, {min(10_000, max(51, b.rows/24)), min(counted, days)}} {
		l, err := b.loading(ctx, fleet{SIMs: of.sims, Countries: 5}, of.days)
		if err != nil {
			return err
		}
		o, err := l.fresh(ctx, state{})
		l.api.end()
		if err != nil {
			return err
		}
		b.say("requests: %d, %s", o.all(), l)
		what, all := fmt.Sprintf("requests for %d days, %s", days, l.fleet), float64(o.all())
		if of.days < days {
			what, all = fmt.Sprintf("%s, %d days counted", what, of.days), all*float64(days)/float64(of.days)
		}
		b.note(what, thousands(int(math.Round(all))))
	}
	return nil
}
