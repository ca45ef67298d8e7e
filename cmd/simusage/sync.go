package main

import (
	"context"

	"github.com/spf13/cobra"
)

func (p *program) syncCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "Load what is due: new hours, late billing, holes",
		Long: "sync makes every slice since SIMUSAGE_SINCE not due: what was never loaded, what was loaded before it settled, what an\n" +
			"earlier run left. Any number may run at once; they share the work." + runCodes,
		Example: "  simusage sync\n  simusage sync --since 90d --max-duration 50m",
		Args:    noArguments,
	}
	runFlags(cmd.Flags(), "cron", "jitter", "listen")
	deadline := deadlineFlag(cmd.Flags(), "the run")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return p.withJob(cmd, deadline, nil, func(ctx context.Context, j task) error {
			end := p.watch(ctx, j.Job, cmd.Name())
			summary, _ := j.Sync(ctx, start(cmd)) // the summary holds the error
			end()
			p.pushed(ctx, j.Store, j.config)
			return p.told(summary)
		})
	}
	return cmd
}
