package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	rows    int
	runs    int
	only    []string
	fill    []int
	script  int
	latency time.Duration
	history int
	readme  string
	plans   string
	command string // the flags as given, which name the place in README
}

// parse reads the flags; the code is below zero when there is something to do.
func parse(args []string, stderr io.Writer) (options, int) {
	o := options{}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.rows, "rows", million, "about how many `rows` a load has; more rows are more SIMs and more days alike")
	flags.IntVar(&o.runs, "runs", 5, "how many `rounds` the medians are of; where a page takes its latency, three at most")
	only := flags.String("only", "", "`parts` to run, such as first,reread (default "+strings.Join(standard(), ",")+"; also "+strings.Join(special, ",")+")")
	fill := flags.String("fill", "", "`rows` that are stored already when more are loaded, such as 1000000,50000000 (default 1 and 5 times -rows)")
	flags.IntVar(&o.script, "script", 20_000, "`rows` that the plain script loads")
	flags.DurationVar(&o.latency, "latency", 150*time.Millisecond, "how long the API takes for a page, where that is measured")
	flags.IntVar(&o.history, "history", 0, "`days` that are stored where the books are measured and requests are counted (default all that the API remembers)")
	flags.StringVar(&o.plans, "plans", "", "`directory` that the plans of the questions are written to")
	flags.StringVar(&o.readme, "readme", "README.md", "`file` that shows the table, where it has a place for these flags")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return o, 0
	case err != nil:
		return o, 2
	}
	o.command = "bench"
	flags.Visit(func(f *flag.Flag) {
		if f.Name != "readme" && f.Name != "plans" {
			o.command += " -" + f.Name + " " + f.Value.String()
		}
	})
	if err := o.complete(*only, *fill, flags.Args()); err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return o, 2
	}
	return o, -1
}

// complete reads the lists among the flags and checks all of them.
func (o *options) complete(only, fill string, rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("argument %q is not expected", rest[0])
	case o.rows < 1000 || o.rows > 100*million:
		return fmt.Errorf("-rows %d: want 1000 to %d", o.rows, 100*million)
	case o.runs < 1 || o.script < 1 || o.history < 0 || o.latency <= 0:
		return errors.New("-runs, -script, -history and -latency: want more than nothing")
	}
	o.only = standard()
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	for _, name := range o.only {
		if !slices.Contains(partNames(), name) {
			return fmt.Errorf("-only %q: want some of %s", name, strings.Join(partNames(), ","))
		}
	}
	o.fill = []int{o.rows, 5 * o.rows}
	if fill == "" {
		return nil
	}
	o.fill = nil
	for text := range strings.SplitSeq(fill, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1000 || n > 100*million || len(o.fill) > 0 && n <= o.fill[len(o.fill)-1] {
			return fmt.Errorf("-fill %q: want numbers of rows, 1000 to %d, growing", fill, 100*million)
		}
		o.fill = append(o.fill, n)
	}
	return nil
}
