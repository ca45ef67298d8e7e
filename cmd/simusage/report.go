package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"simusage/load"
	"simusage/report"
)

func (p *program) reportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Draw the warehouse as one HTML file",
		Long: "report writes one HTML file that needs no network: how far the numbers can be trusted, usage by day and country, the SIMs with\n" +
			"most data, cost, fleets against their limits, days out of the ordinary, idle SIMs. It reads the views of schema usage only,\n" +
			"as whoever DATABASE_URL names: the rights of usage_reader are enough. It needs no credentials of the API.",
		Example: "  simusage report --out usage.html\n  simusage report --out march.html --from 2026-03-01 --to 2026-04-01",
		Args:    noArguments,
	}
	out := cmd.Flags().String("out", "usage.html", "the `FILE` to write; one that is there is replaced when the new one is whole")
	from := cmd.Flags().String("from", "", "first `DAY`, such as 2026-01-31, UTC (default 30 days before --to)")
	to := cmd.Flags().String("to", "", "`DAY` behind the last one (exclusive) (default today, so that the last day is over)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o := report.Options{Now: p.now()}
		var err error
		if o.From, o.To, err = wholeDays(*from, *to, p.now()); err != nil {
			return err
		}
		if err := placeFor(*out); err != nil {
			return err
		}
		c, err := p.databaseConfig(p.source(cmd), "DATABASE_URL")
		if err != nil {
			return err
		}
		store, err := p.connect(cmd.Context(), c.databaseURL, load.Options{Conns: 1, Log: c.log})
		if err != nil {
			return err
		}
		defer store.Close()
		if !report.Charts() {
			c.log.Warn("this program was built without the library that draws charts, the report has none; make build has it")
		}
		if err := writeReport(cmd.Context(), store, *out, o); err != nil {
			return orStopped(cmd.Context(), unreadable(err))
		}
		fmt.Fprintf(p.stdout, "report: %s\n", *out)
		return nil
	}
	return cmd
}

// longestReport is how many days a report may have: each is a bar and a row.
const longestReport = 400

// wholeDays reads --from and --to, which are whole days; zero is what was not given.
func wholeDays(from, to string, now time.Time) (first, last time.Time, err error) {
	for _, f := range []struct {
		flag, text string
		day        *time.Time
	}{{"--from", from, &first}, {"--to", to, &last}} {
		if f.text == "" {
			continue
		}
		if *f.day, err = moment(f.flag, f.text); err != nil {
			return first, last, err
		}
		if !f.day.Equal(f.day.Truncate(24 * time.Hour)) {
			return first, last, misusef("%s %q: want a whole day, UTC", f.flag, f.text)
		}
	}
	end := last
	if end.IsZero() {
		end = now.UTC().Truncate(24 * time.Hour)
	}
	switch {
	case first.IsZero():
	case !first.Before(end):
		return first, last, misusef("--from %s is not before --to %s", day(first), day(end))
	case end.Sub(first) > longestReport*24*time.Hour:
		return first, last, misusef("--from %s to %s: want %d days at most", day(first), day(end), longestReport)
	}
	return first, last, nil
}

// placeFor says whether a file can be written there, before anybody waits for what should be in it.
func placeFor(out string) error {
	if out == "" {
		return misusef("--out is empty: want a file")
	}
	if dir, err := os.Stat(filepath.Dir(out)); err != nil || !dir.IsDir() {
		return misusef("--out %q: there is no folder %q", out, filepath.Dir(out))
	}
	if file, err := os.Stat(out); err == nil && !file.Mode().IsRegular() {
		return misusef("--out %q is no file", out)
	}
	return nil
}

// writeReport writes beside the file and moves it there when it is whole: nobody opens half a report, and one that fails
// leaves the last one where it was.
func writeReport(ctx context.Context, store *load.Store, out string, o report.Options) error {
	file, err := os.CreateTemp(filepath.Dir(out), "."+filepath.Base(out)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", out, err)
	}
	defer os.Remove(file.Name()) // when it was moved there is nothing to remove
	defer file.Close()
	w := bufio.NewWriter(file)
	if err := store.Snapshot(ctx, func(tx pgx.Tx) error { return report.Write(ctx, tx, w, o) }); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := errors.Join(w.Flush(), file.Chmod(0o644), file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", out, err)
	}
	if err := os.Rename(file.Name(), out); err != nil {
		return fmt.Errorf("write %s: %w", out, err)
	}
	return nil
}

// unreadable tells the views that are not there, or not for this role, from what may heal by itself.
func unreadable(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (strings.HasPrefix(pg.Code, "42") || strings.HasPrefix(pg.Code, "3F")) {
		return misusef("%w; has simusage migrate run, and may this role read schema usage?", err)
	}
	return err
}
