// Command demo shows simusage at work on invented data, from the empty database to numbers that are proven right.
//
// Nothing in it is acted: it builds the real program and runs it as a process of its own, against a simulated API that
// loses one answer in ten, and a Postgres that lives as long as the demo. In the middle it lets a day pass at the API, so
// that late usage and billing arrive, which is what the program is for. At the end it holds every row of the views against
// what was invented. A demo that only prints numbers would look the same if they were wrong; this one exits non-zero then.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait for the cleaning up
	colour := term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("NO_COLOR") == ""
	os.Exit(run(ctx, os.Args[1:], screen{os.Stdout, colour}, os.Stderr))
}

// run is the demo, and says its exit code.
func run(ctx context.Context, args []string, out screen, stderr io.Writer) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	hold := flags.Bool("hold", false, "leave the API and the database up at the end, to look around, until Ctrl-C")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	err := perform(ctx, out, *hold)
	stopped := ctx.Err() != nil
	if stopped {
		out.say("\nStopped, and everything is cleaned up.")
	}
	switch {
	case err != nil && stopped:
		return 130
	case err != nil:
		fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
	return 0
}

// perform sets the stage, plays the story on it and clears it away, whatever happened.
func perform(ctx context.Context, out screen, hold bool) error {
	s := newStage(time.Now())
	defer s.close()
	out.title("simusage, seen at work")
	out.say("The data is invented: %d SIMs in %d countries, %d days of usage until %s UTC.", len(s.world.Sims()), len(countries), days, s.end.Format("2006-01-02 15:04"))
	out.say("The rest is real: the program, its processes, a Postgres, and HTTP between them.")
	if err := s.play(ctx, out); err != nil {
		return err
	}
	if !hold {
		out.say("\nIt is all gone again now. To keep it and look inside: make demo HOLD=1")
		return nil
	}
	return s.hold(ctx, out)
}
