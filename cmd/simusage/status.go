package main

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"simusage/load"
)

func (p *program) statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how complete and how fresh the warehouse is, and what is wrong",
		Long: "status says in its first line whether all is well, then what is wrong and which command mends it, then for each stream until\n" +
			"when it is complete and settled. It changes nothing and needs no credentials of the API. Times are UTC.\n\n" +
			"The exit code is 0 also when something is wrong; for alerts there is \"ok\" in --json. Colours are for terminals only;\n" +
			"NO_COLOR or TERM=dumb turn them off.\n\n" +
			"--json writes one object. Fields are only ever added:\n" + statusFields(),
		Example: "  simusage status\n  simusage status --json | jq -e .ok",
		Args:    noArguments,
	}
	asJSON := cmd.Flags().Bool("json", false, "the same for machines")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s := p.source(cmd)
		c, err := p.databaseConfig(s, "DATABASE_URL")
		if err != nil {
			return err
		}
		e, err := s.read("")
		if err != nil {
			return err
		}
		if c.refresh, err = s.span("SIMUSAGE_REFRESH", e.Refresh); err != nil {
			return err
		}
		if c.since, err = s.since(e.Since, p.now()); err != nil {
			return err
		}
		store, err := p.open(cmd.Context(), c)
		if err != nil {
			return err
		}
		defer store.Close()
		status, err := store.Status(cmd.Context())
		if err != nil {
			return orStopped(cmd.Context(), err)
		}
		j := judge(status, p.now(), c.since.About(p.now()), c.refresh)
		if *asJSON {
			out := json.NewEncoder(p.stdout)
			out.SetEscapeHTML(false)
			out.SetIndent("", "  ")
			return out.Encode(j)
		}
		return writeStatus(p.stdout, j, p.painter(p.stdout))
	}
	return cmd
}

// statusFields is the documentation of status --json: a line for each field.
func statusFields() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	writeFields(w, reflect.TypeFor[judged](), "")
	w.Flush()
	return b.String()
}

func writeFields(w io.Writer, of reflect.Type, path string) {
	for field := range of.Fields() {
		if field.Anonymous {
			writeFields(w, field.Type, path)
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" {
			continue
		}
		t, kind, null := field.Type, "", ""
		if t.Kind() == reflect.Pointer {
			t, null = t.Elem(), " or null"
		}
		switch name = path + name; {
		case t == reflect.TypeFor[time.Time]():
			kind = "time"
		case t.Kind() == reflect.Slice:
			name, t, kind = name+"[]", t.Elem(), "object"
		case t.Kind() == reflect.Map:
			name, kind = name+"{}", "number"
		case t.Kind() == reflect.Struct:
			kind = "object"
		case t.Kind() == reflect.String:
			kind = "text"
		case t.Kind() == reflect.Bool:
			kind = "true or false"
		default:
			kind = "number"
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\n", name, kind+null, field.Tag.Get("doc"))
		if kind == "object" {
			writeFields(w, t, name+".")
		}
	}
}

// databaseConfig is the configuration of what only looks at a database.
func (p *program) databaseConfig(s *source, name string) (config, error) {
	e, err := s.read("")
	if err != nil {
		return config{}, err
	}
	c := config{concurrency: 1}
	if c.log, err = p.logger(e); err != nil {
		return c, err
	}
	url := e.DatabaseURL
	if name == "MIGRATE_DATABASE_URL" {
		url = e.MigrateURL
	}
	c.databaseURL, err = s.database(name, url)
	return c, err
}

// writeStatus writes for people: the verdict, what is wrong and how to mend it, then the streams. Problems begin with "!",
// so that nobody needs the colours.
func writeStatus(w io.Writer, j judged, paint func(color, string) string) error {
	good := green
	if !j.OK {
		good = red
	}
	var b strings.Builder
	fmt.Fprintln(&b, paint(good, j.Verdict))
	for _, p := range j.Problems {
		p.write(&b, paint)
	}
	if len(j.Streams) > 0 {
		fmt.Fprintln(&b)
		writeStreams(&b, j, paint)
	}
	if r := j.LastRun; r != nil {
		fmt.Fprintf(&b, "\nlast run: %d, %s, %s; began %s, ended %s\n", r.ID, r.Command, r.Outcome, minute(&r.StartedAt), minute(r.FinishedAt))
	}
	for _, a := range j.Accounts {
		fmt.Fprintf(&b, "names%s read at: %s\n", of(a.Account), minute(a.NamesAt))
		if a.EndsAt != nil {
			fmt.Fprintf(&b, "nothing%s is asked for from %s on\n", of(a.Account), day(*a.EndsAt))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// write writes a problem, its details, and the command.
func (p problem) write(b *strings.Builder, paint func(color, string) string) {
	const most = 10
	if p.Wrong {
		fmt.Fprintln(b, "\n"+paint(red, "! "+p.What))
	} else {
		fmt.Fprintln(b, "\n"+paint(yellow, "- "+p.What))
	}
	for i, line := range p.detail {
		if i == most && len(p.detail) > most+1 {
			fmt.Fprintf(b, "    and %d more; --json has them\n", len(p.detail)-most)
			break
		}
		fmt.Fprintln(b, "    "+line)
	}
	if p.hint != "" {
		fmt.Fprintln(b, "    "+p.hint)
	}
	if p.Mend != "" {
		fmt.Fprintln(b, "    run: "+p.Mend)
	}
}

// writeStreams writes a line for each stream, under its account where there are several. One that something is wrong with
// begins with "!".
func writeStreams(b *strings.Builder, j judged, paint func(color, string) string) {
	var lines strings.Builder
	table := tabwriter.NewWriter(&lines, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "  stream\tcomplete until\tsettled until\tmissing\tagree with total\tlast loaded")
	for _, s := range j.Streams {
		agrees, mark := "-", " "
		if n := s.Reconciled + s.Unreconciled; n > 0 {
			agrees = fmt.Sprintf("%d of %d", s.Reconciled, n)
		}
		if s.Read && (s.Holes > 0 || s.Unreconciled > s.Unattributed || j.concerns(s)) {
			mark = "!"
		}
		fmt.Fprintf(table, "%s %s\t%s\t%s\t%d\t%s\t%s\n", mark, s.Stream, minute(s.CompleteUntil), minute(s.SettledUntil), s.Holes, agrees, minute(s.LastSuccessAt))
	}
	table.Flush() // to memory
	account := ""
	for i, line := range strings.Split(strings.TrimSuffix(lines.String(), "\n"), "\n") {
		if i > 0 && j.Streams[i-1].Account != account {
			account = j.Streams[i-1].Account
			fmt.Fprintln(b, account+":")
		}
		if strings.HasPrefix(line, "!") {
			line = paint(red, line)
		}
		fmt.Fprintln(b, line)
	}
}

// concerns says whether a slice of the stream failed or is held back.
func (j *judged) concerns(s load.StreamStatus) bool {
	return slices.ContainsFunc(j.Failures, func(f load.Failure) bool { return f.Account == s.Account && f.Stream == s.Stream }) ||
		slices.ContainsFunc(j.Held, func(h load.HeldSlice) bool { return h.Account == s.Account && h.Stream == s.Stream })
}

// minute is a time of day in a table, in UTC.
func minute(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04")
}
