package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func (p *program) acceptCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "accept",
		Short: "Let slices that are held back be taken over",
		Long: "accept lets the slices of a range that are held back, because the API said much less than before, be taken over by the next\n" +
			"sync or backfill, whatever it then says. status shows which slices are held back. It asks the API nothing.",
		Example: "  simusage accept --from 2026-03-02 --to 2026-03-03\n  simusage sync",
		Args:    noArguments,
	}
	var r span
	cmd.Flags().StringVar(&r.from, "from", "", "first `DATE`, 2026-01-31 or RFC 3339, UTC")
	cmd.Flags().StringVar(&r.to, "to", "", "`DATE` behind the last one (exclusive); a later one than now ends now")
	cmd.Flags().StringArrayVar(&r.streams, "stream", nil, "only this `STREAM` of SIMUSAGE_STREAMS; may be given several times")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return p.withJob(cmd, nil, &r, func(ctx context.Context, j task) error {
			n, err := j.Accept(ctx, j.want)
			if err != nil {
				return orStopped(ctx, err)
			}
			switch n {
			case 0:
				fmt.Fprintln(p.stdout, "accept: nothing is held back in this range")
			default:
				fmt.Fprintf(p.stdout, "accept: %s; the next sync takes over what the API says\n", count(n, "slice"))
			}
			return p.tellTrimmed(ctx, j)
		})
	}
	return cmd
}
