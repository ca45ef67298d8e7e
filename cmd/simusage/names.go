package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func (p *program) namesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "names",
		Short:   "Read the names of SIMs, fleets and networks now",
		Long:    "names reads the lists of SIMs, fleets and networks, whole. sync does it too, every six hours.",
		Example: "  simusage names",
		Args:    noArguments,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return p.withJob(cmd, nil, nil, func(ctx context.Context, j task) error {
			if err := j.Names(ctx); err != nil {
				return orStopped(ctx, err)
			}
			fmt.Fprintln(p.stdout, "names: up to date")
			return nil
		})
	}
	return cmd
}
