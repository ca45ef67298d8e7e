package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// allocations measures what a row costs in allocations on its way from the answer to the bytes for Postgres. What does that
// is not exported, so it is the benchmarks of the two packages that count, for a page of a thousand rows each.
func (b *bench) allocations(ctx context.Context) error {
	total := 0.0
	for _, of := range []struct{ benchmark, folder string }{{"BenchmarkDecode", "./extract"}, {"BenchmarkEncode", "./load"}} {
		cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^"+of.benchmark+"$", "-benchmem", "-benchtime", "100x", of.folder)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("run %s: %w\n%s", of.benchmark, err, out)
		}
		said := regexp.MustCompile(of.benchmark + `.*\s([0-9]+) allocs/op`).FindSubmatch(out)
		if said == nil {
			return fmt.Errorf("run %s: it does not say what it allocates\n%s", of.benchmark, out)
		}
		allocs, err := strconv.ParseFloat(string(said[1]), 64)
		if err != nil {
			return err
		}
		b.say("\n%s: %s allocations for 1,000 rows", strings.TrimPrefix(of.benchmark, "Benchmark"), number(allocs))
		total += allocs / 1000
	}
	b.hold("allocations to decode and encode a row", "", total, "", atMost(1))
	return nil
}
