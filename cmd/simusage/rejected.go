package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"simusage/load"
)

func (p *program) rejectedCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rejected",
		Short: "Show the records that were set aside",
		Long: "rejected shows the records of the API that could not be understood: where they came from, why they were set aside, and their\n" +
			"text, which --json shows whole. They go when their slice is read again and the API has mended them. It changes nothing\n" +
			"and needs no credentials of the API.",
		Example: "  simusage rejected\n  simusage rejected --json --since 2026-03-01 > rejected.jsonl",
		Args:    noArguments,
	}
	asJSON := cmd.Flags().Bool("json", false, "for machines: one JSON object a line")
	seen := cmd.Flags().String("since", "", "only what was read at this `TIME`, 2026-01-31 or RFC 3339, or later")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var since time.Time
		if *seen != "" {
			var err error
			if since, err = moment("--since", *seen); err != nil {
				return err
			}
		}
		c, err := p.databaseConfig(newSource(nil, p.env), "DATABASE_URL") // this --since is not SIMUSAGE_SINCE
		if err != nil {
			return err
		}
		store, err := p.open(cmd.Context(), c)
		if err != nil {
			return err
		}
		defer store.Close()
		write := writeRejected
		if *asJSON {
			write = writeRejectedLines
		}
		out := bufio.NewWriter(p.stdout)
		err = write(out, store.Rejected(cmd.Context(), since))
		if flushed := out.Flush(); err == nil {
			err = flushed
		}
		return orStopped(cmd.Context(), err)
	}
	return cmd
}

// writeRejectedLines writes JSON Lines.
func writeRejectedLines(w io.Writer, records iter.Seq2[*load.Rejected, error]) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for r, err := range records {
		if err == nil {
			err = out.Encode(r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tableBlock is how many lines a table keeps in memory to align them.
const tableBlock = 1000

// writeRejected writes a table, aligned in blocks.
func writeRejected(w io.Writer, records iter.Seq2[*load.Rejected, error]) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	n := 0
	for r, err := range records {
		if err != nil {
			return err
		}
		if n == 0 {
			fmt.Fprintln(table, "read at\tslice\tlist\treason\ttext")
		}
		list := r.ListValue
		if list == "" {
			list = "-"
		}
		fmt.Fprintf(table, "%s\t%s %s\t%s\t%s\t%s\n", minute(&r.SeenAt), stream(r.Account, r.Stream), day(r.Window), list, r.Reason, short(r.Raw))
		if n++; n%tableBlock == 0 {
			if err := table.Flush(); err != nil {
				return err
			}
		}
	}
	if n == 0 {
		fmt.Fprintln(w, "No record is set aside.")
	}
	return table.Flush()
}

// short is the beginning of foreign text, in one line and fit for a terminal.
func short(raw string) string {
	const most = 60 // characters
	var b strings.Builder
	n := 0
	for _, r := range raw {
		if n++; n > most {
			return b.String() + "…"
		}
		if !unicode.IsPrint(r) {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}
