package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"simusage/load"
)

func (p *program) planCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Say what sync or backfill would do and what it would take",
		Long: "plan counts the slices that are due and estimates the requests and minutes that they take. It asks nothing of the API and\n" +
			"writes nothing. Without --from and --to it speaks of sync, with them of backfill.\n\n" +
			"With --sims it speaks of a fleet that is only thought of, and needs neither database nor credentials: rows, room, and the\n" +
			"requests of the first load and of a day of syncs, for the streams and settings that are given.",
		Example: "  simusage plan\n  simusage plan --from 2026-01-01 --to 2026-02-01 --again\n  simusage plan --sims 100000 --countries 10",
		Args:    noArguments,
	}
	runFlags(cmd.Flags(), "cron", "jitter", "listen")
	span := rangeFlags(cmd.Flags())
	deadline := deadlineFlag(cmd.Flags(), "the command")
	var fleet load.Fleet
	cmd.Flags().Int64Var(&fleet.SIMs, "sims", 0, "size a fleet of so many SIMs instead")
	cmd.Flags().Int64Var(&fleet.Countries, "countries", 5, "of --sims: in so many countries")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("sims") || cmd.Flags().Changed("countries") {
			if span.given() {
				return misusef("--sims is of a fleet that is only thought of: it goes without --from, --to, --again and --stream")
			}
			z, err := p.sizing(p.source(cmd), fleet)
			if err != nil {
				return err
			}
			return z.write(p.stdout)
		}
		r := span
		if !span.given() {
			r = nil // sync's range
		}
		return p.withJob(cmd, deadline, r, func(ctx context.Context, j task) error {
			estimates, err := j.Estimate(ctx, j.want)
			if err != nil {
				return orStopped(ctx, err)
			}
			if err := writePlan(p.stdout, estimates, j.config); err != nil {
				return err
			}
			return p.tellTrimmed(ctx, j)
		})
	}
	return cmd
}

// request is how long the API takes for a page, as far as is known.
const request = 400 * time.Millisecond

// takes estimates how long requests take: so many at a time, and no more a second than the rate.
func takes(requests int64, concurrency int, rate float64) time.Duration {
	seconds := float64(requests) * request.Seconds() / float64(concurrency)
	if rate > 0 {
		seconds = math.Max(seconds, float64(requests)/rate)
	}
	return time.Duration(seconds * float64(time.Second))
}

// writePlan prints a line for each stream and one for all. The accounts share the workers and each has its own rate.
func writePlan(w io.Writer, estimates []load.Estimate, c config) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "stream\tslices\tlists\trows\trequests\tminutes\t")
	all := load.Estimate{}
	var longest time.Duration
	unread := false
	for _, a := range c.accounts {
		asked := int64(0)
		for _, e := range estimates {
			if e.Stream.Account.Name != a.Name {
				continue
			}
			writeEstimate(table, stream(a.Name, e.Stream.String()), e, takes(e.Requests, c.concurrency, a.rate))
			all.Slices += e.Slices
			all.Lists += e.Lists
			all.Rows += e.Rows
			all.Requests += e.Requests
			asked += e.Requests
			unread = unread || e.Slices > 0 && e.Rows == 0
		}
		longest = max(longest, takes(asked, c.concurrency, a.rate))
	}
	writeEstimate(table, "all", all, max(longest, takes(all.Requests, c.concurrency, 0)))
	if err := table.Flush(); err != nil {
		return err
	}
	if unread {
		fmt.Fprintln(w, "A stream that was never read is counted with one page a list: it takes at least this.")
	}
	return nil
}

func writeEstimate(w io.Writer, name string, e load.Estimate, takes time.Duration) {
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%.1f\t\n", name, e.Slices, e.Lists, e.Rows, e.Requests, takes.Minutes())
}

// stream is a stream's name with its account's, where there are several.
func stream(account, name string) string {
	if account == "" {
		return name
	}
	return account + " " + name
}
