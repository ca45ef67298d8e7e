package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"simusage/pipeline"
)

func (p *program) verifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Ask the API again and compare it with the warehouse",
		Long: "verify asks the API for each finished day of a range, without a breakdown, by country and by SIM, and compares every row with\n" +
			"the daily views. It writes nothing. Days that are not settled may differ by what arrived since the last sync. A day whose hours\n" +
			"were dropped (trim) is final: the table shows a difference, which counts as none.\n\n" +
			"Exit codes: 0 every row is equal; 1 failed, nothing is known: run it again later; 2 refused: mend what the message names;\n" +
			"5 something differs: the table says where, and backfill --again reads those days again; 75 stopped by a signal.",
		Example: "  simusage verify --from 2026-01-01 --to 2026-02-01",
		Args:    noArguments,
	}
	runFlags(cmd.Flags(), "cron", "jitter", "listen", "since", "settle", "refresh", "shrink")
	var r span
	cmd.Flags().StringVar(&r.from, "from", "", "first `DATE`, 2026-01-31 or RFC 3339, UTC")
	cmd.Flags().StringVar(&r.to, "to", "", "`DATE` behind the last one (exclusive); a later one than now ends now")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return p.withJob(cmd, nil, &r, func(ctx context.Context, j task) error {
			var verdicts []pipeline.Verdict
			err := j.Verify(ctx, j.want.Window, func(v pipeline.Verdict) { verdicts = append(verdicts, v) })
			if written := writeVerdicts(p.stdout, verdicts); err == nil {
				err = written
			}
			if told := p.tellTrimmed(ctx, j); err == nil {
				err = told
			}
			return orStopped(ctx, err)
		})
	}
	return cmd
}

// writeVerdicts prints a line for each day of each view.
func writeVerdicts(w io.Writer, verdicts []pipeline.Verdict) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "day\tview\trows\tbytes\tmoney\tverdict")
	for _, v := range verdicts {
		verdict := "equal"
		if !v.Equal() {
			differs := "DIFFERS"
			if v.Trimmed {
				differs = "final, its hours were dropped"
			}
			verdict = fmt.Sprintf("%s: the warehouse has %s, %d bytes, %s", differs, count(v.Warehouse.Rows, "row"), v.Warehouse.Bytes, money(v.Warehouse))
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%s\t%s\n", day(v.Day), stream(v.Account, v.View), v.API.Rows, v.API.Bytes, money(v.API), verdict)
	}
	return table.Flush()
}

// money is the amounts of a day, by currency.
func money(s pipeline.DaySum) string {
	var amounts []string
	for _, unit := range slices.Sorted(maps.Keys(s.Money)) {
		amounts = append(amounts, s.Money[unit]+" "+unit)
	}
	if len(amounts) == 0 {
		return "-"
	}
	return strings.Join(amounts, ", ")
}
