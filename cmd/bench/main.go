// Command bench measures the whole program: the real binary, a real Postgres that flushes to disk, and between them HTTP.
//
// Rows a second say little: they are this machine's, today. What stays is how the program stands to something else that
// runs on the same machine in the same minute, so each figure is a ratio within one run, A against B, taken in turns, and
// the median of some rounds. Two comparands bound the program from above and from below:
//
//   - CEILING is what Postgres can take in at all: the same rows, encoded beforehand, SIDs as text, by one binary COPY into
//     an unlogged table without an index. No checkpoints, no proof. Of more than five million rows it takes as many.
//   - SCRIPT is what fleet owners write themselves: one page at a time, encoding/json, one upsert a row, each committed.
//
// The API is simulated by a process of its own that copies a day made beforehand and puts the date in, so that it costs
// little and none of that in the program's process. It answers plain, without gzip.
//
// A fast wrong answer is no answer. After each load every fact is counted and summed and held against what was invented,
// and each slice must agree with its total; else the benchmark ends there.
//
// All of them use one server with the settings of stage.go. Before each load it vacuums, as autovacuum would have done by
// then, and makes a checkpoint, so that nobody pays for what was before.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait for the cleaning up
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the benchmark, or one of the processes that it starts of itself, and says its exit code. A target that is missed
// is a result, not a failure.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if role := roleOf(args); role != "" {
		return exit(ctx, play(ctx, role, os.Stdin, stdout), stderr)
	}
	o, code := parse(args, stderr)
	if code >= 0 {
		return code
	}
	b := &bench{options: o, out: stdout}
	err := b.perform(ctx)
	if err == nil {
		err = b.publish()
	}
	return exit(ctx, err, stderr)
}

func exit(ctx context.Context, err error, stderr io.Writer) int {
	switch {
	case err != nil && ctx.Err() != nil:
		fmt.Fprintln(stderr, "bench: stopped, and everything is cleaned up")
		return 130
	case err != nil:
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}
