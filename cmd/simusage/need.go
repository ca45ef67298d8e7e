package main

import (
	"fmt"
	"math"
	"time"

	"simusage/load"
)

// need is what a fleet needs for its syncs to keep up, and for its rows to have room, by rules of thumb that rest on
// measurements; deploy/SCALE.md shows it for fleets of all sizes, and how it was measured.
type need struct {
	refresh   time.Duration // how often what is not settled can be read with half of the time left free, or the configured one if that is longer
	pass      load.Estimate // what is read each time
	processes int
	first     time.Duration // the first load, at the API's limit
	gigabytes float64       // of 18 months
	strained  []strain
}

// strain is how much of something is used up.
type strain struct {
	share float64
	of    string
}

const (
	// atOnce is how many requests in flight an account is thought to be allowed; neither vendor tells. KORE has its Rate instead.
	atOnce = 100
	// oneServer is how many gigabytes are left to one server.
	oneServer = 4000
	// storedPerSecond is how many rows one publish stores a second (README, "How fast"), and longPublish how long it may take
	// before it is in vacuum's way.
	storedPerSecond = 200_000
	longPublish     = 10 * time.Minute
)

// limit is how many requests a second the API takes, from all processes together.
func (z sizing) limit() float64 {
	if z.rate > 0 {
		return z.rate
	}
	return atOnce / request.Seconds()
}

// all is what all streams come to.
func (z sizing) all() (all load.Size) {
	for _, st := range z.streams {
		s := z.Size(st, z.window(), z.pageSize, z.settle, z.refresh)
		all.Stored += s.Stored
		all.Slice = max(all.Slice, s.Slice)
		all.Bytes += s.Bytes
		all.First.Requests += s.First.Requests
		all.Daily.Requests += s.Daily.Requests
		all.Daily.Rows += s.Daily.Rows
	}
	return all
}

// need works out what the fleet needs.
func (z sizing) need() need {
	all := z.all()
	passes := max(1, int64(24*time.Hour/z.refresh))
	n := need{
		refresh:   z.refresh,
		pass:      load.Estimate{Requests: all.Daily.Requests / passes, Rows: all.Daily.Rows / passes},
		first:     over(all.First.Requests, z.limit()),
		gigabytes: 18 * float64(all.Bytes) / 1e9,
	}
	least := 2 * over(n.pass.Requests, z.limit())
	publish := over(all.Slice, storedPerSecond)
	n.strained = []strain{
		{least.Hours() / z.refresh.Hours(), "the API's limit"},
		{n.gigabytes / oneServer, "one server's disk"},
		{publish.Hours() / longPublish.Hours(), "the publish of a slice"},
	}
	if least > n.refresh {
		n.refresh = time.Duration(math.Ceil(least.Hours())) * time.Hour
	}
	one := float64(z.concurrency) / request.Seconds()
	n.processes = max(1, int(math.Ceil(2*over(n.pass.Requests, one).Hours()/n.refresh.Hours())))
	return n
}

// over is how long so many take at so many a second.
func over(n int64, perSecond float64) time.Duration {
	return time.Duration(float64(n) / perSecond * float64(time.Second))
}

// keepsUp says whether a day is read at least once a day.
func (n need) keepsUp() bool { return n.refresh <= 24*time.Hour }

// daily is how many requests the syncs of a day make.
func (n need) daily() int64 { return int64(float64(n.pass.Requests) * 24 / n.refresh.Hours()) }

// weakest is what gives in first as the fleet grows.
func (n need) weakest() string {
	first := n.strained[0]
	for _, s := range n.strained[1:] {
		if s.share > first.share {
			first = s
		}
	}
	return fmt.Sprintf("%s (%s %%)", first.of, percent(first.share))
}

func percent(share float64) string {
	if share < 0.1 {
		return fmt.Sprintf("%.1g", 100*share)
	}
	return fmt.Sprintf("%.0f", 100*share)
}

// database is the kind that so many gigabytes want: the newest month of hours and all days should fit into its memory.
func (n need) database() string {
	switch gb := n.gigabytes; {
	case gb <= 20:
		return "1 core, 2 GB"
	case gb <= 200:
		return "2 cores, 8 GB"
	case gb <= 1000:
		return "4 cores, 32 GB"
	case gb <= oneServer:
		return "16 cores, 128 GB"
	default:
		return fmt.Sprintf("Citus, %d workers of 16 cores, 128 GB", int(math.Ceil(gb/oneServer)))
	}
}

// advice says it in some lines.
func (z sizing) advice() string {
	n := z.need()
	text := fmt.Sprintf("Processes: %d, with %s at once each. At the API's limit the first load takes %s.\nDatabase: %s GB after 18 months: %s.\nFirst to give in: %s.\n",
		n.processes, count(int64(z.concurrency), "request"), duration(n.first), gigabytes(n.gigabytes), n.database(), n.weakest())
	switch {
	case !n.keepsUp():
		text += "At the API's limit what is not settled cannot be read once a day: ask for less, by day instead of by hour, or by fleet.\n"
	case n.refresh > z.refresh:
		text += fmt.Sprintf("At the API's limit what is not settled is read again after %s at the soonest: SIMUSAGE_REFRESH=%.0fh.\n", duration(n.refresh), n.refresh.Hours())
	}
	return text
}

func gigabytes(gb float64) string {
	if gb < 10 {
		return fmt.Sprintf("%.1f", gb)
	}
	return fmt.Sprintf("%.0f", gb)
}

// duration is a time in the unit that says it shortest.
func duration(d time.Duration) string {
	switch {
	case d < 90*time.Second:
		return "a minute"
	case d == time.Hour:
		return "an hour"
	case d < 100*time.Minute:
		return fmt.Sprintf("%.0f minutes", d.Minutes())
	case d < 100*time.Hour:
		return fmt.Sprintf("%.0f hours", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}
