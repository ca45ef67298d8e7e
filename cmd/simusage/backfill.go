package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"simusage/extract"
	"simusage/pipeline"
)

func (p *program) backfillCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backfill",
		Short: "Load a range of time",
		Long: "backfill makes every slice of a range not due. Slices are whole UTC days (or months, for daily streams), so the range is\n" +
			"widened to them. What is complete and settled stays as it is; --again reads it once more, and what has changed is noted\n" +
			"in usage.restatements. The pods of one Job share the range; give all of them the same --again=TIME, for without it each\n" +
			"takes the time of its own beginning and reads again what another has just read." + runCodes,
		Example: "  simusage backfill --from 2026-01-01 --to 2026-02-01\n" +
			"  simusage backfill --from 2026-01-01 --to 2026-02-01 --stream hour/sim@country --again=2026-03-01T12:00:00Z",
		Args: noArguments,
	}
	runFlags(cmd.Flags(), "cron", "jitter", "listen", "since")
	span := rangeFlags(cmd.Flags())
	deadline := deadlineFlag(cmd.Flags(), "the run")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return p.withJob(cmd, deadline, span, func(ctx context.Context, j task) error {
			if err := p.tellTrimmed(ctx, j); err != nil {
				return err
			}
			end := p.watch(ctx, j.Job, cmd.Name())
			summary, _ := j.Backfill(ctx, start(cmd), j.want) // the summary holds the error
			end()
			p.pushed(ctx, j.Store, j.config)
			return p.told(summary)
		})
	}
	return cmd
}

// span is the flags of a range, as given.
type span struct {
	from, to, again string
	streams         []string
}

// beginning is --again without a time.
const beginning = "now"

func rangeFlags(flags *pflag.FlagSet) *span {
	r := &span{}
	flags.StringVar(&r.from, "from", "", "first `DATE`, 2026-01-31 or RFC 3339, UTC")
	flags.StringVar(&r.to, "to", "", "`DATE` behind the last one (exclusive); a later one than now ends now")
	flags.StringArrayVar(&r.streams, "stream", nil, "only this `STREAM` of SIMUSAGE_STREAMS; may be given several times")
	flags.StringVar(&r.again, "again", "", "also slices that are settled, if they were last read before this `TIME`; alone: before the command began")
	flags.Lookup("again").NoOptDefVal = beginning
	return r
}

// given says whether a range is wanted at all, for plan.
func (r *span) given() bool {
	return r.from != "" || r.to != "" || r.again != "" || len(r.streams) > 0
}

// parse checks the range.
func (r *span) parse(c config, now time.Time) (pipeline.Range, error) {
	var want pipeline.Range
	from, err := moment("--from", r.from)
	if err != nil {
		return want, err
	}
	to, err := moment("--to", r.to)
	if err != nil {
		return want, err
	}
	switch wall := extract.Wall(now); {
	case !from.Before(to):
		return want, misusef("--from %s is not before --to %s", day(from), day(to))
	case !from.Before(now):
		return want, misusef("--from %s lies in the future", day(from))
	case from.Before(wall):
		return want, misusef("--from %s: the API remembers 18 months; the earliest possible date is %s", day(from), day(wall))
	case to.After(now):
		to = now
	}
	want.Window = extract.Window{Start: from, End: to}
	if want.Streams, err = r.choose(c); err != nil {
		return want, err
	}
	switch r.again {
	case "":
	case beginning:
		want.AgainBefore = now
	default:
		if want.AgainBefore, err = moment("--again", r.again); err != nil {
			return want, err
		}
		if want.AgainBefore.After(now) {
			return want, misusef("--again %s lies in the future", day(want.AgainBefore))
		}
	}
	return want, nil
}

func moment(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, misusef("%s is missing: want a date such as 2026-01-31", flag)
	}
	t, err := parseMoment(text)
	if err != nil {
		return t, misusef("%s %w", flag, err)
	}
	return t, nil
}

// choose reads the streams. Each must be configured for some account: the views would not show another, and no sync
// would keep it.
func (r *span) choose(c config) ([]extract.Stream, error) {
	streams, err := parseStreams("--stream", r.streams)
	if err != nil {
		return nil, err
	}
	for _, s := range streams {
		var configured []string
		for _, a := range c.accounts {
			for _, x := range a.Streams {
				configured = append(configured, x.String())
			}
		}
		if !slices.Contains(configured, s.String()) {
			return nil, misusef("--stream %s is not configured; add it to SIMUSAGE_STREAMS, which has %s", s, strings.Join(configured, ","))
		}
	}
	return streams, nil
}
