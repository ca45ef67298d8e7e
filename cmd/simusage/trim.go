package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"simusage/load"
)

func (p *program) trimCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trim",
		Short: "Drop the hours of old months, keep their days",
		Long: "trim drops the hourly rows of months that are older than wanted, and gives their room back to the disk. Days, months, names,\n" +
			"restatements and the proof stay; only the hourly views end. Nothing does this by itself. Without --yes it only looks.\n\n" +
			"A month goes only if all its days are loaded, settled, understood and agree with the total, and every series' day is exactly\n" +
			"the sum of its hours. Otherwise it stays, and the table says why. Its days are final then: neither sync nor backfill\n" +
			"--again reads them again. It is safe to run again, several times at once, and while others load.\n\n" +
			"It works at MIGRATE_DATABASE_URL or else DATABASE_URL, as the role that migrates.\n\n" +
			"Exit codes: 0 looked, or nothing that is old enough is left; 1 failed, what was dropped is told: run it again later; 2 refused:\n" +
			"mend what the message names; 3 some months are kept: mend what the table says, and run it again; 75 stopped by a signal.",
		Example: "  simusage trim --keep-months 12\n  simusage trim --keep-months 12 --yes",
		Args:    noArguments,
	}
	keep := cmd.Flags().Int("keep-months", 0, "keep the hours of this month and of so many `MONTHS` before it")
	yes := cmd.Flags().Bool("yes", false, "drop them; there is no way back but a restore")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *keep < 1 {
			return misusef("--keep-months %d: want a number of months, 1 or more", *keep)
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
		return orStopped(cmd.Context(), p.trim(cmd.Context(), store, *keep, *yes))
	}
	return cmd
}

// errKept says that months are old enough to lose their hours, and may not.
var errKept = errors.New("some months keep their hours; the table says why")

func (p *program) trim(ctx context.Context, store *load.Store, keep int, yes bool) error {
	now := p.now().UTC()
	before := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC).AddDate(0, -keep, 0)
	var months []load.TrimmedMonth
	err := store.Trim(ctx, before, now, yes, func(m load.TrimmedMonth) { months = append(months, m) })
	if len(months) == 0 && err == nil {
		fmt.Fprintf(p.stdout, "nothing to trim: no hours are older than %s\n", day(before))
		return nil
	}
	kept := writeTrimmed(p.stdout, months, yes)
	switch {
	case err != nil:
		return err
	case !yes:
		fmt.Fprintf(p.stdout, "nothing was dropped; to drop these hours for ever: simusage trim --keep-months=%d --yes\n", keep)
	case kept > 0:
		return errKept
	}
	return nil
}

// writeTrimmed prints a line for each month, and returns how many stay as they are.
func writeTrimmed(w io.Writer, months []load.TrimmedMonth, dropped bool) (kept int) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "month\tslices\thourly rows\tMB\tverdict")
	for _, m := range months {
		rows, size, verdict := fmt.Sprint(m.Rows), fmt.Sprintf("%.1f", float64(m.Bytes)/1e6), "may go"
		switch {
		case m.Kept != "":
			kept++
			rows, size, verdict = "-", "-", "KEPT: "+m.Kept
		case dropped:
			verdict = "dropped"
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\n", m.Month.Format("2006-01"), m.Slices, rows, size, verdict)
	}
	table.Flush() // to the terminal; what was dropped is dropped
	return kept
}

// tellTrimmed says that some of a range has lost its hours, so that nobody waits for it to change.
func (p *program) tellTrimmed(ctx context.Context, j task) error {
	w, err := j.Trimmed(ctx, j.want)
	if err == nil && !w.Empty() {
		fmt.Fprintf(p.stdout, "note: hours of %s up to before %s were dropped (simusage trim); those days are final and not read again\n", day(w.Start), day(w.End))
	}
	return orStopped(ctx, err)
}
