package main

import "context"

// memory measures the program's peak: one slice at once, and sixteen; and, where there are many days, whether it grows with
// their number.
func (b *bench) memory(ctx context.Context) error {
	const few = 20 // days, enough for sixteen slices at once
	f, days := shape(b.rows)
	l, err := b.loading(ctx, f, days)
	if err != nil {
		return err
	}
	defer l.api.end()
	b.say("\nmemory: %s", l)
	var one, many, less series
	for n := range b.runs {
		for _, m := range []struct {
			loading
			slices string
			peaks  *series
		}{{l, "1", &one}, {l, "16", &many}, {l.newest(few), "16", &less}} {
			if m.peaks == &less && days < 2*few {
				continue
			}
			o, err := m.fresh(ctx, state{}, "--concurrency", m.slices)
			if err != nil {
				return err
			}
			m.peaks.add(float64(o.peak) / (1 << 20))
			b.say("round %d: %s MB, %s at once, %s", n+1, number(m.peaks.last()), m.slices, count(length(m.window), "day"))
		}
	}
	b.hold("peak memory, one slice at once", "", one.most(), "MB", atMost(64))
	b.hold("peak memory, 16 slices at once", "", many.most(), "MB", atMost(64))
	if len(less) > 0 {
		b.hold("the same, against "+count(few, "day"), number(many.median())+" MB", many.median()/less.median(), "×", atMost(1.1))
	}
	return nil
}
