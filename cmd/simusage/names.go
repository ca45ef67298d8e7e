package main

import (
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
		c, err := p.config(p.source(cmd))
		if err != nil {
			return err
		}
		store, err := p.open(cmd.Context(), c)
		if err != nil {
			return err
		}
		defer store.Close()
		if err := p.job(store, c).Names(cmd.Context()); err != nil {
			return orStopped(cmd.Context(), err)
		}
		fmt.Fprintln(p.stdout, "names: up to date")
		return nil
	}
	return cmd
}
