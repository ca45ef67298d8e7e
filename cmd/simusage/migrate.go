package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"simusage/load"
)

func (p *program) migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database to this program's schema",
		Long: "migrate makes or upgrades the tables and installs the views, at MIGRATE_DATABASE_URL or else DATABASE_URL. It is safe to\n" +
			"run again, and to run several times at once.\n\n" +
			"--to goes back to the schema of an older program, which then migrates once more, for its views. What the schema has gained\n" +
			"since is lost; deploy/RUNBOOK.md says what that is.\n\n" +
			"--distribute spreads the facts over the workers of a Citus cluster, after it has migrated; --undistribute brings them back.\n" +
			"Both go on where they were stopped. deploy/CITUS.md says what comes before and after.\n\n" +
			"Exit codes: 0 the schema is this program's; 1 the database cannot be reached: run it again later; 2 refused: mend what\n" +
			"the message names.",
		Example: "  simusage migrate\n  simusage migrate --check\n  simusage migrate --to 10\n  simusage migrate --distribute",
		Args:    noArguments,
	}
	check := cmd.Flags().Bool("check", false, "change nothing; exit code 2, with the reason, when the schema is not this program's")
	to := cmd.Flags().Int("to", 0, "go back to this `VERSION`, the newest that the older program knows")
	distribute := cmd.Flags().Bool("distribute", false, "spread the facts over the workers of this database's Citus cluster")
	undistribute := cmd.Flags().Bool("undistribute", false, "bring the facts back to this one Postgres")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, back := cmd.Context(), cmd.Flags().Changed("to")
		if ways := given(cmd, "check", "to", "distribute", "undistribute"); len(ways) > 1 {
			return misusef("%s: want one of them", strings.Join(ways, " and "))
		}
		c, err := p.migrateConfig(p.source(cmd))
		if err != nil {
			return err
		}
		store, err := p.connect(ctx, c.databaseURL, load.Options{Conns: 1, Log: c.log})
		if err != nil {
			return err
		}
		defer store.Close()
		if pooled, err := store.Pooled(ctx); err == nil && pooled && !*check {
			c.log.Warn("a pooler stands before this database; if it pools transactions, give migrate a direct address: MIGRATE_DATABASE_URL")
		}
		if back {
			after, err := load.MigrateBack(ctx, c.databaseURL, *to)
			if err == nil {
				fmt.Fprintf(p.stdout, "schema %d, without views: now run simusage migrate of the program that it is for\n", after.Version)
			}
			return err
		}
		before, err := store.Schema(ctx)
		if err != nil {
			return err
		}
		after := before
		if !*check {
			change := load.Migrate
			switch {
			case *distribute:
				change = load.Distribute
			case *undistribute:
				change = load.Undistribute
			}
			if after, err = change(ctx, c.databaseURL); err != nil {
				return err
			}
		}
		if err := after.Err(); err != nil {
			return err
		}
		if readers, err := store.Readers(ctx); err == nil && !readers {
			c.log.Warn("role usage_reader does not exist, and may not be made here; ask an administrator for CREATE ROLE usage_reader NOLOGIN, then run migrate again")
		}
		away, err := store.Distributed(ctx)
		if err != nil {
			return err
		}
		where := ""
		if len(away) > 0 {
			where = "; distributed: " + strings.Join(away, ", ")
		}
		if before == after {
			fmt.Fprintf(p.stdout, "schema %d: up to date%s\n", after.Version, where)
		} else {
			fmt.Fprintf(p.stdout, "schema %d: up to date now, it was at %d%s\n", after.Version, before.Version, where)
		}
		return nil
	}
	return cmd
}

// given are those of the flags that were given.
func given(cmd *cobra.Command, flags ...string) (given []string) {
	for _, name := range flags {
		if cmd.Flags().Changed(name) {
			given = append(given, "--"+name)
		}
	}
	return given
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
