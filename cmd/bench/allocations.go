package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
)

// allocations measures what a row costs in allocations on its way from the answer to the bytes for Postgres. What does that
// is not exported, so it is the benchmarks of the two packages that count, for a page of a thousand rows each.
func (b *bench) allocations(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^Benchmark(Decode|Encode)$", "-benchmem", "-benchtime", "100x", "./extract", "./load")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("run the benchmarks: %w\n%s", err, out)
	}
	said := regexp.MustCompile(`Benchmark(Decode|Encode).*\s([0-9]+) allocs/op`).FindAllSubmatch(out, -1)
	if len(said) != 2 {
		return fmt.Errorf("run the benchmarks: they do not say what they allocate\n%s", out)
	}
	b.say("")
	total := 0.0
	for _, benchmark := range said {
		allocs, err := strconv.ParseFloat(string(benchmark[2]), 64)
		if err != nil {
			return err
		}
		b.say("%s: %s allocations for 1,000 rows", benchmark[1], number(allocs))
		total += allocs / 1000
	}
	b.hold("allocations to decode and encode a row", "", total, "", atMost(1))
	return nil
}
