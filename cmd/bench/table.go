package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
)

// machine is what was measured on: no name and no date, for the ratios should not depend on them.
func (b *bench) machine() string {
	return fmt.Sprintf("%d cores, Postgres %s (fsync on, shared_buffers %s, max_wal_size %s), Go %s on %s",
		runtime.NumCPU(), b.version, sharedBuffers, maxWALSize, strings.TrimPrefix(runtime.Version(), "go"), runtime.GOOS)
}

// publish shows the table, and puts it into README where that has a place for these flags.
func (b *bench) publish() error {
	b.say("\n%s", b.machine())
	table := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', 0)
	for _, f := range b.figures {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", f.what, f.measured, f.ratio, f.target, f.verdict)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	text, err := os.ReadFile(b.readme)
	if err != nil {
		return fmt.Errorf("read the place for the table: %w", err)
	}
	changed, found := replace(text, b.command, b.markdown())
	if !found {
		b.say("\n%s has no place for this table: a line <!-- %s --> and, below it, a line <!-- /bench -->", b.readme, b.command)
		return nil
	}
	return os.WriteFile(b.readme, changed, 0o644)
}

// replace puts a table between the two comments of the command that made it.
func replace(text []byte, command, table string) (changed []byte, found bool) {
	first, last := []byte("<!-- "+command+" -->\n"), []byte("<!-- /bench -->\n")
	at := bytes.Index(text, first)
	if at < 0 {
		return text, false
	}
	at += len(first)
	length := bytes.Index(text[at:], last)
	if length < 0 {
		return text, false
	}
	return bytes.Join([][]byte{text[:at], []byte(table), text[at+length:]}, nil), true
}

// markdown is the table for README.
func (b *bench) markdown() string {
	var t strings.Builder
	fmt.Fprintf(&t, "%s; medians of %s.\n\n", b.machine(), count(b.runs, "round"))
	fmt.Fprintln(&t, "| | measured | ratio | target | |\n|---|--:|--:|--:|---|")
	for _, f := range b.figures {
		fmt.Fprintf(&t, "| %s | %s | %s | %s | %s |\n", f.what, f.measured, f.ratio, f.target, f.verdict)
	}
	return t.String()
}
