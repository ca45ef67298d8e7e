package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"simusage/load"
)

func (p *program) statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show how complete and how fresh the warehouse is",
		Long:    "status shows for each stream until when it is complete and settled, its holes, and what failed. It changes nothing and\nneeds no credentials of the API.",
		Example: "  simusage status\n  simusage status --json",
		Args:    noArguments,
	}
	asJSON := cmd.Flags().Bool("json", false, "the same for machines")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := p.databaseConfig(p.source(cmd), "DATABASE_URL")
		if err != nil {
			return err
		}
		store, err := p.open(cmd.Context(), c)
		if err != nil {
			return err
		}
		defer store.Close()
		status, err := store.Status(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			out := json.NewEncoder(p.stdout)
			out.SetIndent("", "  ")
			return out.Encode(status)
		}
		return writeStatus(p.stdout, status)
	}
	return cmd
}

// databaseConfig is the configuration of what only looks at a database.
func (p *program) databaseConfig(s *source, name string) (config, error) {
	e, err := s.read("")
	if err != nil {
		return config{}, err
	}
	c := config{concurrency: 1}
	if c.log, err = p.logger(e); err != nil {
		return c, err
	}
	url := e.DatabaseURL
	if name == "MIGRATE_DATABASE_URL" {
		url = e.MigrateURL
	}
	c.databaseURL, err = s.database(name, url)
	return c, err
}

func writeStatus(w io.Writer, s load.Status) error {
	if len(s.Streams) == 0 {
		fmt.Fprintln(w, "No stream was loaded yet; run: simusage sync")
	} else if err := writeStreams(w, s.Streams); err != nil {
		return err
	}
	for i, f := range s.Failures {
		if i == 0 {
			fmt.Fprintln(w, "\nFailed slices:")
		}
		fmt.Fprintf(w, "  %s %s, %s, last at %s: %s\n", stream(f.Account, f.Stream), day(f.Window), count(int64(f.Times), "time"), minute(&f.At), f.Error)
	}
	for i, h := range s.Held {
		if i == 0 {
			fmt.Fprintln(w, "\nHeld back, because the API now says much less; a later sync that finds the same takes it over, simusage accept the next one:")
		}
		accepted := ""
		if h.Accepted {
			accepted = ", accepted"
		}
		fmt.Fprintf(w, "  %s %s, since %s: %s published, now %d%s\n", stream(h.Account, h.Stream), day(h.Window), minute(&h.Since), count(h.Rows, "row"), h.NowRows, accepted)
	}
	if r := s.LastRun; r != nil {
		fmt.Fprintf(w, "\nLast run: %d, %s, began %s, ended %s: %s\n", r.ID, r.Command, minute(&r.StartedAt), minute(r.FinishedAt), r.Outcome)
		if r.Error != nil {
			fmt.Fprintf(w, "  %s\n", *r.Error)
		}
	}
	writeAnswers(w, s)
	return nil
}

// writeAnswers tells what is remarkable about the API's answers.
func writeAnswers(w io.Writer, s load.Status) {
	for i, a := range s.Accounts {
		if i == 0 {
			fmt.Fprintln(w)
		}
		name := ""
		if a.Account != "" {
			name = " of " + a.Account
		}
		fmt.Fprintf(w, "Names%s read at: %s\n", name, minute(a.NamesAt))
	}
	if s.Rejected > 0 {
		fmt.Fprintf(w, "\nSet aside, not understood: %s; to see: simusage rejected\n", count(s.Rejected, "record"))
	}
	for _, reason := range slices.Sorted(maps.Keys(s.RejectedByReason)) {
		fmt.Fprintf(w, "  %d: %s\n", s.RejectedByReason[reason], reason)
	}
	for i, d := range s.Drift {
		if i == 0 {
			fmt.Fprintln(w, "\nFields of the API's answers that are new or missing:")
		}
		fmt.Fprintf(w, "  %s %s: %s, first %s, last %s\n", d.Kind, stream(d.Account, d.Resource), d.Field, minute(&d.FirstSeenAt), minute(&d.LastSeenAt))
	}
}

func writeStreams(w io.Writer, streams []load.StreamStatus) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "stream\tcomplete until\tsettled until\tnewest\tholes\toldest hole\tlost in\tat work\tagrees with total\tlast success")
	for _, s := range streams {
		lost := "-"
		if s.DaysUntilWall != nil {
			lost = count(int64(*s.DaysUntilWall), "day")
		}
		agrees := "-"
		if n := s.Reconciled + s.Unreconciled; n > 0 {
			agrees = fmt.Sprintf("%d of %d", s.Reconciled, n)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%d\t%s\t%s\n", stream(s.Account, s.Stream), minute(s.CompleteUntil), minute(s.SettledUntil),
			minute(s.NewestPeriod), s.Holes, minute(s.OldestHole), lost, s.Walking, agrees, minute(s.LastSuccessAt))
	}
	return table.Flush()
}

// minute is a time of day in a table, in UTC.
func minute(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04")
}
