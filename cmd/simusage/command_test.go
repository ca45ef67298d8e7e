package main

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"simusage/extract/fakeapi"
)

// commands are all commands, by what one types.
func commands(t *testing.T) map[string]*cobra.Command {
	t.Helper()
	all := make(map[string]*cobra.Command)
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Hidden || cmd.Name() == "help" {
			return
		}
		all[cmd.CommandPath()] = cmd
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk((&bench{t: t}).program(nil, nil).command())
	if len(all) < 17 {
		t.Fatalf("%d commands", len(all))
	}
	return all
}

// Each command says what it is for, with examples, and each flag that is a variable, too, names it.
func TestHelp(t *testing.T) {
	t.Parallel()
	for path, cmd := range commands(t) {
		if cmd.Short == "" || cmd.Long == "" || !strings.HasPrefix(cmd.Example, "  ") {
			t.Errorf("%s: short %q, long %q, example %q", path, cmd.Short, cmd.Long, cmd.Example)
		}
		if cmd.Parent() != nil && cmd.Parent().Parent() == nil && !strings.HasPrefix(cmd.Long, cmd.Name()+" ") {
			t.Errorf("%s --help does not begin with its name: %s", path, cmd.Long)
		}
		help := (&bench{t: t}).must(0, append(strings.Fields(path)[1:], "--help")...).stdout
		for _, v := range variables() {
			if v.Flag != "" && strings.Contains(help, "--"+v.Flag+" "+v.Value) && !strings.Contains(help, "("+v.Name) {
				t.Errorf("%s --help does not name %s beside --%s", path, v.Name, v.Flag)
			}
			if path == "simusage" && !strings.Contains(help, v.Name+" ") {
				t.Errorf("--help does not name %s", v.Name)
			}
		}
		for code, says := range map[string]string{"sync": "75 stopped", "backfill": "3 partly", "verify": "5 something differs", "migrate": "2 refused", "schedule": "code is 75", "simusage": "0 all done"} {
			if cmd.Name() == code && !strings.Contains(help, says) {
				t.Errorf("%s --help does not name its exit codes", path)
			}
		}
	}
}

// Each example, of --help and of the README, is right: all that is missing is a database that answers.
func TestExamples(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{}).with(env{"DATABASE_URL": "postgres://simusage@" + closedPort(t) + "/usage"})
	examples := make(map[string]bool)
	add := func(text, before string) {
		for line := range strings.Lines(text) {
			if line, found := strings.CutPrefix(strings.TrimSpace(line), before); found {
				line, _, _ = strings.Cut(line, " #")
				examples[strings.TrimSpace(regexp.MustCompile(` (\||>|<) .*`).ReplaceAllString(line, ""))] = true
			}
		}
	}
	for _, cmd := range commands(t) {
		add(cmd.Example, "simusage ")
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if add(string(readme), "bin/simusage "); len(examples) < 20 {
		t.Errorf("%d examples", len(examples))
	}
	quoted := regexp.MustCompile(`'[^']*'|\S+`)
	for example := range examples {
		t.Run(example, func(t *testing.T) {
			t.Parallel()
			b := b.with(nil)
			b.t = t
			args := quoted.FindAllString(example, -1)
			for i := range args {
				args[i] = strings.Trim(args[i], "'")
			}
			r := b.run(args...)
			if args[0] == "version" || args[0] == "completion" || slices.Contains(args, "--sims") { // need no database
				if r.code != 0 {
					t.Errorf("exit code %d", r.code)
				}
				return
			}
			if r.code != 1 {
				t.Errorf("exit code %d", r.code)
			}
			r.says(t, "connect to Postgres at ")
		})
	}
}

// What shells offer: commands and flags, the streams that are configured, and no files but pages for the report.
func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env  env
		args string
		want []string // some of what is offered; nil for nothing
	}{
		{nil, "", []string{"sync", "backfill", "status", "completion"}},
		{nil, "sync --s", []string{"--since", "--settle", "--shrink"}},
		{nil, "sync ", nil},
		{nil, "backfill --from ", nil},
		{nil, "backfill --to=", nil},
		{nil, "rejected --since ", nil},
		{nil, "report --out ", []string{"html"}},
		{nil, "completion ", []string{"bash", "zsh", "fish", "powershell"}},
		{nil, "backfill --stream ", []string{"hour/total", "hour/country", "hour/sim@country"}},
		{env{"SIMUSAGE_STREAMS": "day/total, day/sim"}, "plan --stream day/sim --stream ", []string{"day/total"}},
		{env{"SIMUSAGE_ACCOUNTS": "main,em-ea", "EM_EA_SIMUSAGE_STREAMS": "day/sim"}, "accept --stream ", []string{"hour/total", "hour/country", "hour/sim@country", "day/sim"}},
		{nil, "accept --stream=hour/", []string{"hour/total"}},
	} {
		b := (&bench{t: t, env: env{}}).with(c.env)
		said := b.must(0, append([]string{"__complete"}, strings.Split(c.args, " ")...)...).stdout
		offered := strings.Split(strings.TrimSpace(said), "\n")
		files := ":4" // none
		if strings.Contains(c.args, "--out") {
			files = ":8" // those that end like what is offered
		}
		if last := offered[len(offered)-1]; last != files {
			t.Errorf("%q ends with %q", c.args, last)
		}
		for i := range offered {
			offered[i], _, _ = strings.Cut(offered[i], "\t")
		}
		if len(c.want) == 0 && len(offered) > 1 {
			t.Errorf("%q is offered %q", c.args, offered)
		}
		for _, want := range c.want {
			if !slices.Contains(offered, want) {
				t.Errorf("%q is offered %q, without %q", c.args, offered, want)
			}
		}
	}
}

// The scripts are there, and bash takes its own.
func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	b := &bench{t: t}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if script := b.must(0, "completion", shell).stdout; !strings.Contains(script, "__complete") {
			t.Errorf("completion %s says %q", shell, script)
		}
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	check := exec.CommandContext(t.Context(), bash, "-n")
	check.Stdin = strings.NewReader(b.must(0, "completion", "bash").stdout)
	if said, err := check.CombinedOutput(); err != nil {
		t.Errorf("bash does not take its script: %v\n%s", err, said)
	}
	b.must(2, "completion", "tcsh").says(t, "want bash, zsh, fish or powershell")
	b.must(2, "completion").says(t, "want bash, zsh, fish or powershell")
	b.must(2, "completion", "bash", "please").says(t, `"please"`)
}
