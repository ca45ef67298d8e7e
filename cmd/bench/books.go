package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"simusage/extract"
)

// books measures what is asked of the books alone when all that the API remembers is stored: a sync that finds nothing due,
// plan and status. The days are tiny; it is their number that counts.
func (b *bench) books(ctx context.Context) error {
	days := b.days()
	l, err := b.loading(ctx, fleet{SIMs: 5, Countries: 2}, days)
	if err != nil {
		return err
	}
	defer l.api.end()
	if err := l.api.set(ctx, state{}); err != nil {
		return err
	}
	d, err := b.database(ctx)
	if err != nil {
		return err
	}
	one := append(environment(d, l.api), "SIMUSAGE_SINCE="+l.window.Start.Format(time.DateOnly))
	b.say("\nbooks: %s", l)
	if _, err := b.sync(ctx, d, hurried(one)); err != nil {
		return err
	}
	if err := b.idle(ctx, d, one, days); err != nil {
		return err
	}
	names := []string{"a", "b", "c", "d", "e"}
	several := append(one, "SIMUSAGE_ACCOUNTS="+strings.Join(names, ","))
	for n, name := range names {
		prefix := strings.ToUpper(name) + "_"
		several = append(several, prefix+"TWILIO_ACCOUNT_SID="+accountSID(n), prefix+"TWILIO_AUTH_TOKEN=secret")
	}
	if _, err := b.sync(ctx, d, hurried(several)); err != nil {
		return err
	}
	for _, command := range []string{"plan", "status"} {
		took, err := b.timed(ctx, d, several, command)
		if err != nil {
			return err
		}
		b.hold(fmt.Sprintf("%s, %d accounts of %d days", command, len(names), days), "", took.median(), "s", atMost(0.5))
	}
	return nil
}

// hurried is an environment in which what is only prepared goes fast.
func hurried(env []string) []string { return slices.Concat(env, []string{"SIMUSAGE_CONCURRENCY=16"}) }

// days is how many days are stored: all that the API remembers, less one because that moves at midnight.
func (b *bench) days() int {
	now := time.Now()
	return cmp.Or(b.history, length(extract.Window{Start: extract.Wall(now), End: until(now, 0).End})-1)
}

// sync runs sync and wants every slice to agree with its total.
func (b *bench) sync(ctx context.Context, d *database, env []string) (ran, error) {
	r, err := b.simusage(ctx, env, "sync")
	if err != nil {
		return r, err
	}
	_, err = d.agreed(ctx)
	return r, err
}

// idle measures a sync that has nothing to do. When an hour has just gone by, there is something, and the next one counts.
func (b *bench) idle(ctx context.Context, d *database, env []string, days int) error {
	var took series
	for range b.runs {
		if err := d.rest(ctx); err != nil {
			return err
		}
		r, err := b.nothing(ctx, d, env)
		if err != nil {
			return err
		}
		took.add(r.took.Seconds())
	}
	sent, err := d.statements(ctx, func() error {
		_, err := b.nothing(ctx, d, env)
		return err
	})
	if err != nil {
		return err
	}
	b.say("sync with nothing due: %.2f s, %d statements", took.median(), sent)
	b.hold(fmt.Sprintf("sync with nothing due, %d days stored", days), "", took.median(), "s", atMost(0.5))
	b.note("statements of that", strconv.Itoa(sent))
	return nil
}

func (b *bench) nothing(ctx context.Context, d *database, env []string) (ran, error) {
	for range 3 {
		r, err := b.sync(ctx, d, env)
		if err != nil || strings.HasPrefix(r.said, "done: 0 slices") {
			return r, err
		}
	}
	return ran{}, errors.New("sync always finds something due")
}

// timed runs a command some times.
func (b *bench) timed(ctx context.Context, d *database, env []string, command string) (series, error) {
	var took series
	for range b.runs {
		if err := d.rest(ctx); err != nil {
			return nil, err
		}
		r, err := b.simusage(ctx, env, command)
		if err != nil {
			return nil, err
		}
		took.add(r.took.Seconds())
	}
	b.say("%s: %.2f s", command, took.median())
	return took, nil
}
