package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"simusage/load"
)

func (p *program) migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database to this program's schema",
		Long: "migrate makes or upgrades the tables and installs the views, at MIGRATE_DATABASE_URL or else DATABASE_URL. It is safe to\n" +
			"run again, and to run several times at once.\n\n" +
			"Exit codes: 0 the schema is this program's; 1 the database cannot be reached: run it again later; 2 refused: mend what\n" +
			"the message names.",
		Example: "  simusage migrate\n  simusage migrate --check",
		Args:    noArguments,
	}
	check := cmd.Flags().Bool("check", false, "change nothing; exit code 2, with the reason, when the schema is not this program's")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		c, err := p.migrateConfig(p.source(cmd))
		if err != nil {
			return err
		}
		store, err := p.connect(ctx, c.databaseURL, load.Options{Conns: 1, Log: c.log})
		if err != nil {
			return err
		}
		defer store.Close()
		before, err := store.Schema(ctx)
		if err != nil {
			return err
		}
		after := before
		if !*check {
			if after, err = load.Migrate(ctx, c.databaseURL); err != nil {
				return err
			}
		}
		if err := after.Err(); err != nil {
			return err
		}
		if before == after {
			fmt.Fprintf(p.stdout, "schema %d: up to date\n", after.Version)
		} else {
			fmt.Fprintf(p.stdout, "schema %d: up to date now, it was at %d\n", after.Version, before.Version)
		}
		return nil
	}
	return cmd
}

func (p *program) migrateConfig(s *source) (config, error) {
	e, err := s.read("")
	if err != nil {
		return config{}, err
	}
	if e.MigrateURL != "" {
		return p.databaseConfig(s, "MIGRATE_DATABASE_URL")
	}
	return p.databaseConfig(s, "DATABASE_URL")
}
