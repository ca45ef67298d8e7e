// Command simusage keeps a Postgres warehouse equal to what the Super SIM UsageRecords API says.
//
// It is a thin shell: it reads flags and environment, refuses what cannot work before anything is written or asked, and
// turns the outcome into an exit code that a scheduler can act on. The work is done by package pipeline.
package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/sethvargo/go-envconfig"

	"simusage/extract"
)

// version and commit are set by the linker; without it, the toolchain may know the commit.
var version, commit = "dev", ""

func main() {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(50) // pages come and go quickly: half the memory for a few hundredths of the processor time
	}
	limitMemory(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal lets a run end in order, a second one ends the process at once
	os.Exit(run(ctx, os.Args[1:], envconfig.OsLookuper(), os.Stdout, os.Stderr))
}

// limitMemory bounds what comes and goes, beside what is kept for a large fleet (bytes): to 58 MB of the process, however many
// slices at once; with 8 MB less the collector eats what the processor has. A limit that the user sets stays as it is.
func limitMemory(kept int64) {
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(48<<20 + kept)
	}
}

// run is the program as a function: what it is given in, an exit code out.
func run(ctx context.Context, args []string, env envconfig.Lookuper, stdout, stderr io.Writer) int {
	p := &program{env: env, stdout: stdout, stderr: stderr, now: time.Now}
	return p.run(ctx, args)
}

// program is one call of the command and its surroundings. Tests set what main leaves at its default.
type program struct {
	env            envconfig.Lookuper
	stdout, stderr io.Writer
	now            func() time.Time
	screen         *screen       // stderr, where it is a terminal that can be drawn on
	level          slog.LevelVar // of the log
	levelGiven     bool          // by SIMUSAGE_LOG

	patience time.Duration // with a database that does not answer; 0 is load's default
	retry    extract.Retry // of the API; the zero value is extract's defaults
	timing   cron.Schedule // of schedule, instead of SIMUSAGE_CRON
}

// run parses and does the command, and says what went wrong.
func (p *program) run(ctx context.Context, args []string) int {
	if terminal(p.stderr) && !p.dumb() {
		p.screen = newScreen(p.stderr)
		p.stderr = p.screen
	}
	root := p.command()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	p.complain(err)
	return exitCode(ctx, err)
}
