package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// command is the tree of commands. Whatever is wrong with flags and arguments is misuse, told in one line.
func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "simusage",
		Short: "Keep a Postgres warehouse equal to what the Super SIM UsageRecords API says",
		Long: "simusage keeps a Postgres warehouse equal to what the Super SIM UsageRecords API says: every hour, every SIM, every\n" +
			"country, late billing and corrections included.\n\n" +
			"Exit codes: 0 all done; 1 failed, nothing done; 2 usage, configuration, credentials or schema: do not retry;\n" +
			"3 partly done, the rest is due again; 5 verify found a difference; 75 stopped by signal or deadline, progress kept.\n\n" + variablesHelp(),
		Example: "  simusage migrate\n  simusage sync\n  simusage status",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				meant := ""
				if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
					meant = "; did you mean " + strings.Join(similar, " or ") + "?"
				}
				return misusef("unknown command %q%s; see simusage --help", args[0], meant)
			}
			return misusef("a command is missing; see simusage --help")
		},
		SuggestionsMinimumDistance: 2,

		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetFlagErrorFunc(flagMisuse)
	root.AddCommand(p.syncCommand(), p.backfillCommand(), p.planCommand(), p.statusCommand(), p.rejectedCommand(), p.verifyCommand(), p.acceptCommand(), p.reportCommand(),
		p.namesCommand(), p.forgetCommand(), p.trimCommand(), p.migrateCommand(), p.scheduleCommand(), p.versionCommand())
	p.completions(root)
	return root
}

// runCodes is what the exit codes of a run mean.
const runCodes = "\n\nExit codes: 0 nothing is due any more; 1 failed, nothing was done: run it again later; 2 refused: mend what the message\n" +
	"names; 3 partly done: run it again, status says what failed; 75 stopped by a signal or --max-duration: run it again, it\n" +
	"goes on there."

// noArguments refuses arguments: everything is given by flags.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if again := cmd.Flags().Lookup("again"); again != nil && again.Changed && again.Value.String() == again.NoOptDefVal {
		return misusef("argument %q: the time of --again goes behind an equals sign, --again=%[1]s", args[0])
	}
	return misusef("argument %q is not expected, everything is given by flags; see %s --help", args[0], cmd.CommandPath())
}

// flagMisuse says what is wrong with a flag, and which commands have one that this one has not.
func flagMisuse(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &invalid): // all but those of yes and no are looked at later
		return misusef("--%s %q: want true or false, or nothing for true", invalid.GetFlag().Name, invalid.GetValue())
	case errors.As(err, &unknown):
		var others []string
		for _, other := range cmd.Root().Commands() {
			if other.Flags().Lookup(unknown.GetSpecifiedName()) != nil {
				others = append(others, other.Name())
			}
		}
		if len(others) > 0 {
			return misusef("%w, which is for %s; see %s --help", err, strings.Join(others, ", "), cmd.CommandPath())
		}
	}
	return misusef("%w; see %s --help", err, cmd.CommandPath())
}

// runFlags adds the flags of everything that runs slices.
func runFlags(flags *pflag.FlagSet, except ...string) {
	skip := "," + strings.Join(except, ",") + ","
	for _, v := range variables() {
		if v.Flag == "" || strings.Contains(skip, ","+v.Flag+",") {
			continue
		}
		preset := ""
		if v.Default != "" {
			preset = ", default " + v.Default
		}
		flags.Var(&text{kind: v.Value}, v.Flag, fmt.Sprintf("%s (%s%s)", v.Help, v.Name, preset))
	}
}

// text is a flag that is kept as it was given and checked together with its variable.
type text struct{ value, kind string }

func (t *text) String() string     { return t.value }
func (t *text) Set(s string) error { t.value = s; return nil }
func (t *text) Type() string       { return t.kind }

// source is where the settings of a command come from.
func (p *program) source(cmd *cobra.Command) *source {
	given := make(map[string]string)
	for _, v := range variables() {
		if v.Flag != "" && cmd.Flags().Changed(v.Flag) {
			given[v.Name] = cmd.Flags().Lookup(v.Flag).Value.String()
		}
	}
	return newSource(given, p.env)
}

// arguments are the flags as they were given, for the row of the run. None holds a secret.
func arguments(cmd *cobra.Command) string {
	var given []string
	cmd.Flags().Visit(func(f *pflag.Flag) { given = append(given, "--"+f.Name+"="+f.Value.String()) })
	return strings.Join(given, " ")
}

// errDeadline is the end of --max-duration.
var errDeadline = errors.New("--max-duration is over")

func deadlineFlag(flags *pflag.FlagSet, what string) *string {
	return flags.String("max-duration", "", "end "+what+" in order after this `DURATION`: exit code 75, progress kept (default no limit)")
}

// parseDeadline reads --max-duration; 0 is no limit.
func parseDeadline(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := parseSpan(text)
	if err != nil {
		return 0, misusef("--max-duration %w", err)
	}
	if d == 0 {
		return 0, misusef("--max-duration %q: want more than nothing", text)
	}
	return d, nil
}

// within bounds ctx.
func within(ctx context.Context, deadline time.Duration) (context.Context, context.CancelFunc) {
	if deadline == 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, deadline, errDeadline)
}
