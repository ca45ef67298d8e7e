package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"simusage/extract"
	"simusage/load"
	"simusage/pipeline"
)

// crowd is how many processes there are where what they ask of Postgres is measured: two hundred, or fewer where there are few
// slices; each walks four at once. They are stores in this process, each with connections of its own: Postgres sees no
// difference, and two hundred programs would want more memory than a small machine has.
func (p planned) crowd() int { return max(2, min(200, p.slices/20)) }

// leases measures what many processes ask of the books, where very many slices are due: how long a lease takes, what it costs
// when all begin or end at once, and what they cost while they wait for slices that others hold.
func (b *bench) leases(ctx context.Context) error {
	most := max(300, min(100_000, b.rows/10))
	few, err := b.planned(ctx, most/100)
	if err != nil {
		return err
	}
	defer b.drop(ctx, few.database)
	many, err := b.planned(ctx, most)
	if err != nil {
		return err
	}
	defer b.drop(ctx, many.database)
	b.say("\nleases")
	if err := b.leased(ctx, few, many); err != nil {
		return err
	}
	return b.waiting(ctx, many)
}

// planned is a warehouse with so many due slices, all still to be read.
type planned struct {
	*database
	slices int
	due    load.Due
	job    pipeline.Job
}

// planned makes a warehouse with so many due slices: three streams for each account, of all days that the API remembers.
func (b *bench) planned(ctx context.Context, due int) (p planned, err error) {
	if p.database, err = b.database(ctx); err != nil {
		return p, err
	}
	now := time.Now()
	window := until(now, min(b.days(), max(1, due/3)))
	streams := make([]extract.Stream, 3)
	for i, text := range []string{"hour/total", "hour/country", "hour/sim@country"} {
		if streams[i], err = extract.ParseStream(text); err != nil {
			return p, err
		}
	}
	provider := extract.Provider{Name: "nobody", BaseURL: "http://127.0.0.1:1", PageSize: 1000} // is never asked
	p.job = pipeline.Job{Now: time.Now, Since: pipeline.Since{At: window.Start}, Settle: 72 * time.Hour, Refresh: time.Hour, Concurrency: 4}
	for n := range (due + 3*length(window) - 1) / (3 * length(window)) {
		client, err := extract.New(extract.Config{Provider: provider, Credentials: extract.Credentials{AccountSID: accountSID(n), AuthToken: "secret"}})
		if err != nil {
			return p, err
		}
		p.job.Accounts = append(p.job.Accounts, pipeline.Account{Name: fmt.Sprint("account", n), SID: accountSID(n), Streams: streams, Client: client})
	}
	s, err := p.open(ctx, "planner", slog.New(slog.DiscardHandler))
	if err != nil {
		return p, err
	}
	defer s.Close()
	p.due = load.Due{Now: now, RefreshBefore: now.Add(-time.Hour), Recent: now.Add(-72 * time.Hour)}
	for _, a := range p.job.Accounts {
		account, err := s.Account(ctx, a.Name, a.SID, now)
		if err != nil {
			return p, err
		}
		for _, x := range a.Streams {
			st, err := s.Stream(ctx, account, x)
			if err != nil {
				return p, err
			}
			p.due.Streams = append(p.due.Streams, load.DueStream{Stream: st, Window: window, Finished: st.Finished(now), Wall: extract.Wall(now)})
		}
	}
	p.slices = len(p.due.Streams) * length(window)
	if err := s.Plan(ctx, p.due); err != nil {
		return p, err
	}
	return p, p.rest(ctx)
}

// open is a process of its own, as far as Postgres sees. It has two connections, of which it mostly uses one.
func (p planned) open(ctx context.Context, owner string, log *slog.Logger) (*load.Store, error) {
	return load.Open(ctx, p.url, load.Options{Owner: owner, Conns: 2, Lease: time.Hour, Silence: time.Hour, Log: log})
}

// leased measures single leases, by turns with few and many due slices, and then all processes at once.
func (b *bench) leased(ctx context.Context, few, many planned) error {
	var short, long series
	one, err := few.open(ctx, "one", slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer one.Close()
	other, err := many.open(ctx, "other", slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer other.Close()
	before, err := many.load(ctx)
	if err != nil {
		return err
	}
	for range few.slices / 2 {
		took, err := few.lease(ctx, one)
		if err != nil {
			return err
		}
		short.add(took)
		if took, err = many.lease(ctx, other); err != nil {
			return err
		}
		long.add(took)
	}
	after, err := many.load(ctx)
	if err != nil {
		return err
	}
	b.say("%s due: a lease %.2f ms, p99 %.2f ms", thousands(few.slices), short.median(), short.percentile(99))
	b.say("%s due: a lease %.2f ms, p99 %.2f ms", thousands(many.slices), long.median(), long.percentile(99))
	b.note(fmt.Sprintf("a lease where %s slices are due", thousands(few.slices)), number(short.median())+" ms")
	b.hold(fmt.Sprintf("a lease where %s slices of %d accounts are due", thousands(many.slices), len(many.job.Accounts)), number(long.median())+" ms",
		long.median()/short.median(), fmt.Sprintf("× with %s", thousands(few.slices)), atMost(10))
	b.note("99 of 100 of these leases take at most", number(long.percentile(99))+" ms")
	if after.processor > 0 {
		b.note("processor time of Postgres for one of them", number(milliseconds(after.processor-before.processor)/float64(len(long)))+" ms")
	}
	return b.rush(ctx, many)
}

// lease takes a slice and says how many milliseconds that took.
func (p planned) lease(ctx context.Context, s *load.Store) (float64, error) {
	began := time.Now()
	w, err := s.Lease(ctx, p.due, nil)
	if err == nil && w == nil {
		err = errors.New("nothing is due")
	}
	return milliseconds(time.Since(began)), err
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

// rush lets all processes lease four slices each at the same moment.
func (b *bench) rush(ctx context.Context, p planned) error {
	crowded := p.crowd()
	walkedAtOnce := 4 * crowded
	stores := make([]*load.Store, crowded)
	for i := range stores {
		s, err := p.open(ctx, fmt.Sprint("process ", i), slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		defer s.Close()
		stores[i] = s
	}
	took := make([]float64, walkedAtOnce)
	began := time.Now()
	all, together := errgroup.WithContext(ctx)
	for i := range took {
		all.Go(func() error {
			for {
				w, err := stores[i%crowded].Lease(together, p.due, nil)
				if w != nil || err != nil {
					took[i] = milliseconds(time.Since(began))
					return err
				}
			}
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	b.say("%d processes lease %d slices at once: all have them after %.0f ms", crowded, walkedAtOnce, slices.Max(took))
	b.note(fmt.Sprintf("%d processes lease %d of them at the same moment, until each has its own", crowded, walkedAtOnce), number(slices.Max(took)/1000)+" s")
	return nil
}

// waiting measures processes that begin, find that others hold all that is due, wait, and end when that is published.
func (b *bench) waiting(ctx context.Context, p planned) error {
	crowded := p.crowd()
	err := p.exec(ctx, fmt.Sprintf(`UPDATE simusage.slice SET published_at = now(), checked_at = now(), covered_from = window_start, covered_until = window_end, settled = true,
		walk_started_at = NULL, leased_by = NULL, lease_expires_at = NULL WHERE id %% %d > 0`, max(1, p.slices/(4*crowded))))
	if err == nil {
		err = p.exec(ctx, `UPDATE simusage.slice SET leased_by = 'somebody', lease_expires_at = clock_timestamp() + interval '1 hour' WHERE NOT settled`)
	}
	if err == nil {
		err = p.rest(ctx)
	}
	if err != nil {
		return err
	}
	var waiting atomic.Int64
	log := slog.New(counter{&waiting})
	before, err := p.load(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	all, together := errgroup.WithContext(ctx)
	for n := range crowded {
		all.Go(func() error { return p.wait(together, fmt.Sprint("waits ", n), log) })
	}
	for waiting.Load() < int64(crowded) && together.Err() == nil {
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	if err := b.waited(ctx, p, began, before); err != nil {
		return err
	}
	return b.ended(ctx, p, all)
}

// ended lets all that is due be published, and measures the end of those who wait for it: of a hundred thousand slices nothing has
// been held against the total or rolled up then. What comes after it finds all that done.
func (b *bench) ended(ctx context.Context, p planned, waiting *errgroup.Group) error {
	before, err := p.load(ctx)
	if err != nil {
		return err
	}
	err = p.exec(ctx, `UPDATE simusage.slice SET published_at = now(), checked_at = now(), covered_from = window_start, covered_until = window_end, settled = true,
		leased_by = NULL, lease_expires_at = NULL WHERE NOT settled`)
	if err == nil {
		err = waiting.Wait()
	}
	if err != nil {
		return err
	}
	after, err := p.load(ctx)
	if err != nil {
		return err
	}
	took, used := after.at.Sub(before.at).Seconds(), (after.processor - before.processor).Seconds()
	b.say("all end within %.1f s, %.1f s of Postgres' processor time", took, used)
	b.note("until all have seen the end, made their proof, rolled up the months and ended", number(took)+" s")
	if used > 0 {
		b.note("processor time of Postgres for that", number(used)+" s")
	}
	began := time.Now()
	if err := p.wait(ctx, "one more", slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	b.say("one process that finds nothing due: %.2f s", time.Since(began).Seconds())
	b.note(fmt.Sprintf("one process that finds nothing due among %s slices, all accounts its own", thousands(p.slices)), number(time.Since(began).Seconds())+" s")
	return b.again(ctx, p)
}

// again measures leases of slices that are settled, and read again because somebody asks for it.
func (b *bench) again(ctx context.Context, p planned) error {
	if err := p.rest(ctx); err != nil {
		return err
	}
	s, err := p.open(ctx, "again", slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer s.Close()
	p.due.AgainBefore = time.Now()
	var took series
	for range min(100, p.slices/100) {
		one, err := p.lease(ctx, s)
		if err != nil {
			return err
		}
		took.add(one)
	}
	b.say("--again: a lease %.2f ms, p99 %.2f ms", took.median(), took.percentile(99))
	b.note("a lease of --again, of all of them", number(took.median())+" ms")
	return nil
}

// wait is a process that has nothing to do but to see the end of what others do.
func (p planned) wait(ctx context.Context, owner string, log *slog.Logger) error {
	s, err := p.open(ctx, owner, log)
	if err != nil {
		return err
	}
	defer s.Close()
	job := p.job
	job.Store, job.Log = s, log
	_, err = job.Backfill(ctx, load.RunStart{Command: "backfill"}, pipeline.Range{Window: p.due.Streams[0].Window})
	return err
}

// waited tells what the beginning cost, and what waiting costs.
func (b *bench) waited(ctx context.Context, p planned, began time.Time, before strain) error {
	ready := time.Since(began)
	first, err := p.load(ctx)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(min(20*time.Second, time.Duration(p.slices)*time.Millisecond)):
	}
	second, err := p.load(ctx)
	if err != nil {
		return err
	}
	lasted := second.at.Sub(first.at).Seconds()
	asked, busy := float64(second.transactions-first.transactions)/lasted, (second.processor-first.processor).Seconds()/lasted
	b.say("%d processes begin: %.1f s, %.1f s of Postgres' processor time; they wait: %.0f transactions/s, %.3f of a core", p.crowd(), ready.Seconds(),
		(first.processor - before.processor).Seconds(), asked, busy)
	b.note(fmt.Sprintf("%d processes begin at the same moment, until all know that others hold what is due", p.crowd()), number(ready.Seconds())+" s")
	b.note("while they wait", number(asked)+" transactions/s")
	if first.processor > 0 {
		b.note("processor time of Postgres for each that begins", number((first.processor-before.processor).Seconds()/float64(p.crowd()))+" s")
		b.hold("processor that Postgres has to do for that", "", 100*busy, "% of a core", atMost(20))
	}
	return nil
}

// counter is a log that counts who waits.
type counter struct{ waiting *atomic.Int64 }

func (c counter) Enabled(context.Context, slog.Level) bool { return true }
func (c counter) WithAttrs([]slog.Attr) slog.Handler       { return c }
func (c counter) WithGroup(string) slog.Handler            { return c }

func (c counter) Handle(_ context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "waiting for slices") {
		c.waiting.Add(1)
	}
	return nil
}
