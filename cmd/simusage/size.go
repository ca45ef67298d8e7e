package main

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"simusage/extract"
	"simusage/load"
)

// sizing is a fleet that is only thought of, and how it would be loaded. It needs no database and no credentials.
type sizing struct {
	load.Fleet
	provider              extract.Provider
	streams               []extract.Stream
	pageSize, concurrency int
	rate                  float64
	settle, refresh       time.Duration
	now                   time.Time
}

// sizing reads what the size depends on.
func (p *program) sizing(s *source, fleet load.Fleet) (sizing, error) {
	if fleet.SIMs < 1 || fleet.SIMs > 1e9 || fleet.Countries < 1 || fleet.Countries > 250 {
		return sizing{}, misusef("--sims %d --countries %d: want 1 to 1000000000 SIMs in 1 to 250 countries", fleet.SIMs, fleet.Countries)
	}
	e, err := s.read("")
	if err != nil {
		return sizing{}, err
	}
	z := sizing{Fleet: fleet, now: p.now()}
	if z.provider, err = extract.ProviderByName(e.Provider); err != nil {
		return z, misusef("%s %q: want twilio or kore", s.label("", "SIMUSAGE_PROVIDER"), e.Provider)
	}
	if z.streams, err = parseStreams(s.label("", "SIMUSAGE_STREAMS"), strings.Split(e.Streams, ",")); err != nil {
		return z, err
	}
	if z.pageSize, err = s.number("", "SIMUSAGE_PAGE_SIZE", cmp.Or(e.PageSize, strconv.Itoa(z.provider.PageSize)), z.provider.PageSize); err != nil {
		return z, err
	}
	if z.concurrency, err = s.number("", "SIMUSAGE_CONCURRENCY", e.Concurrency, 64); err != nil {
		return z, err
	}
	if z.rate, err = s.rate("", e.Rate); err != nil {
		return z, err
	}
	z.rate = cmp.Or(z.rate, z.provider.Rate)
	if z.settle, err = s.span("SIMUSAGE_SETTLE", e.Settle); err != nil {
		return z, err
	}
	z.refresh, err = s.span("SIMUSAGE_REFRESH", e.Refresh)
	return z, err
}

// hours is how long so many requests take.
func (z sizing) hours(requests int64) float64 { return takes(requests, z.concurrency, z.rate).Hours() }

// write prints a line for each stream and one for all, and what it means.
func (z sizing) write(w io.Writer) error {
	limit := "no limit a second"
	if z.rate > 0 {
		limit = fmt.Sprintf("%g a second at most", z.rate)
	}
	fmt.Fprintf(w, "%s in %s, all in use every hour; %s, %s a page, %s at once, %s\n\n", count(z.SIMs, "SIM"),
		countries(z.Countries), z.provider.Name, count(int64(z.pageSize), "record"), count(int64(z.concurrency), "request"), limit)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "stream\trows a day\tGB a month\tfirst load, requests\thours\tsyncs of a day, requests\thours\t")
	window := z.window()
	line := func(name string, s load.Size) {
		fmt.Fprintf(table, "%s\t%d\t%.2f\t%d\t%.1f\t%d\t%.1f\t\n", name, s.Stored, float64(s.Bytes)/1e9,
			s.First.Requests, z.hours(s.First.Requests), s.Daily.Requests, z.hours(s.Daily.Requests))
	}
	for _, st := range z.streams {
		line(st.String(), z.Size(st, window, z.pageSize, z.settle, z.refresh))
	}
	line("all", z.all())
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nThe first load is all that the API remembers, %d days. Each hour that a SIM is not in use is a row less.\n\n%s",
		int(window.End.Sub(window.Start).Hours()/24), z.advice())
	return err
}

// window is all that the API remembers at noon of today, so that it does not matter when somebody asks.
func (z sizing) window() extract.Window {
	noon := z.now.UTC().Truncate(24 * time.Hour).Add(12 * time.Hour)
	return extract.Window{Start: extract.Wall(noon), End: noon}
}

func countries(n int64) string {
	if n == 1 {
		return "1 country"
	}
	return fmt.Sprintf("%d countries", n)
}
