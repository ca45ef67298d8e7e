package main

import "github.com/spf13/cobra"

func (p *program) syncCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "Load what is due: new hours, late billing, holes",
		Long: "sync makes every slice since SIMUSAGE_SINCE not due: what was never loaded, what was loaded before it settled, what an\n" +
			"earlier run left. Any number may run at once; they share the work.",
		Example: "  simusage sync\n  simusage sync --since 90d --max-duration 50m",
		Args:    noArguments,
	}
	runFlags(cmd.Flags(), "cron")
	deadline := deadlineFlag(cmd.Flags(), "the run")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		limit, err := parseDeadline(*deadline)
		if err != nil {
			return err
		}
		c, err := p.config(p.source(cmd))
		if err != nil {
			return err
		}
		ctx, cancel := within(cmd.Context(), limit)
		defer cancel()
		store, err := p.open(ctx, c)
		if err != nil {
			return err
		}
		defer store.Close()
		summary, _ := p.job(store, c).Sync(ctx, start(cmd)) // the summary holds the error
		return p.told(summary)
	}
	return cmd
}
