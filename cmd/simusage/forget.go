package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"simusage/load"
)

func (p *program) forgetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "forget",
		Short: "Delete all data of an account, for ever",
		Long: "forget deletes all that the warehouse has of one account: usage, rollups, names and their history, restatements, records that\n" +
			"were set aside, its books, and what runs said of it. Other accounts stay as they are. Without --yes it only counts.\n\n" +
			"All of it goes in one transaction, at MIGRATE_DATABASE_URL or else DATABASE_URL, as the role that migrates: the others may\n" +
			"not delete restatements. Take the account out of the configuration first, or the next sync begins it anew.\n\n" +
			"Exit codes: 0 counted, or deleted; 1 failed, nothing was deleted: run it again later; 2 refused: mend what the message names.",
		Example: "  simusage forget --account emea\n  simusage forget --account emea --yes",
		Args:    noArguments,
	}
	account := cmd.Flags().String("account", "", "`NAME` of the account, as status shows it, or its SID (AC…)")
	yes := cmd.Flags().Bool("yes", false, "delete it; there is no way back but a restore")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !cmd.Flags().Changed("account") {
			return misusef("--account is missing: want the name or the SID of an account; simusage status shows them")
		}
		c, err := p.migrateConfig(p.source(cmd))
		if err != nil {
			return err
		}
		store, err := p.open(cmd.Context(), c)
		if err != nil {
			return err
		}
		defer store.Close()
		return orStopped(cmd.Context(), p.forget(cmd.Context(), store, *account, *yes))
	}
	return cmd
}

func (p *program) forget(ctx context.Context, store *load.Store, named string, yes bool) error {
	do := store.Belongings
	if yes {
		do = store.Forget
	}
	account, found, err := do(ctx, named)
	if errors.Is(err, load.ErrNoAccount) {
		return misuse{err}
	}
	if err != nil {
		return err
	}
	if err := writeForgotten(p.stdout, found); err != nil {
		return err
	}
	if yes {
		fmt.Fprintf(p.stdout, "forgotten: account %q %s\n", account.Name, account.SID)
	} else {
		fmt.Fprintf(p.stdout, "nothing was deleted; to delete all of this for ever: simusage forget --account=%s --yes\n", named)
	}
	return nil
}

// writeForgotten prints a line for each table that has something.
func writeForgotten(w io.Writer, found []load.Forgotten) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "table\trows")
	for _, f := range found {
		if f.Rows > 0 {
			fmt.Fprintf(table, "%s\t%d\n", f.Table, f.Rows)
		}
	}
	return table.Flush()
}
