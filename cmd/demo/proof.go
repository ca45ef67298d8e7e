package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"simusage/extract/fakeapi"
)

// family is a set of views and what the simulated world must be asked to get the same rows.
type family struct {
	name         string
	sim, country bool
}

// grain is a length of time as the world calls it, as the views' names end, and how the views tell its start in UTC
// whatever time zone the session is in.
type grain struct{ name, suffix, start string }

// prove holds every row of the views against the world's own sums. The two share no code: the sums go through what was
// invented, event by event, and know neither pages nor slices nor SQL.
func (s *stage) prove(ctx context.Context, out screen, reader *pgx.Conn) error {
	grains := []grain{{"hour", "hourly", "hour AT TIME ZONE 'UTC'"}, {"day", "daily", "day::timestamp"}, {"month", "monthly", "month::timestamp"}}
	columns := []string{"rows of"}
	for _, g := range grains {
		columns = append(columns, g.suffix)
	}
	var table [][]string
	var wrong []string
	compared, views := 0, 0
	for _, f := range []family{{name: "total"}, {name: "country", country: true}, {name: "sim", sim: true}, {name: "sim_country", sim: true, country: true}} {
		row := []string{f.name}
		for _, g := range grains {
			got, err := f.read(ctx, reader, g)
			if err != nil {
				return err
			}
			want := f.invented(s, g)
			wrong = append(wrong, difference("usage."+f.name+"_"+g.suffix, got, want)...)
			row = append(row, strconv.Itoa(len(got)))
			compared, views = compared+len(want), views+1
		}
		table = append(table, row)
	}
	out.table("Compared", columns, table)
	out.say("")
	if len(wrong) > 0 {
		for _, line := range wrong {
			out.say("  %s", line)
		}
		out.say("%s", out.style(bad, fmt.Sprintf("%d rows of %d views compared: NOT all equal.", compared, views)))
		return errors.New("the views do not say what was invented")
	}
	out.say("%s", out.style(good, fmt.Sprintf("%d rows of %d views compared: all equal.", compared, views)))
	return nil
}

// read is a view as sorted lines.
func (f family) read(ctx context.Context, reader *pgx.Conn, g grain) ([]string, error) {
	sim, country := "''", "''"
	if f.sim {
		sim = "sim_sid"
	}
	if f.country {
		country = "iso_country"
	}
	view := "usage." + f.name + "_" + g.suffix
	_, rows, err := query(ctx, reader, fmt.Sprintf(`
		SELECT to_char(%s, 'YYYY-MM-DD HH24'), %s, %s, data_upload::text, data_download::text, data_total::text,
			trim_scale(data_total_billed)::text, coalesce(billed_unit, '') FROM %s`, g.start, sim, country, view))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", view, err)
	}
	all := make([]string, len(rows))
	for i, row := range rows {
		all[i] = strings.Join(row, " ")
	}
	slices.Sort(all)
	return all, nil
}

// invented is what the view must say, in the same form.
func (f family) invented(s *stage, g grain) []string {
	var dims []string
	if f.sim {
		dims = append(dims, "sim")
	}
	if f.country {
		dims = append(dims, "country")
	}
	rows := s.world.Sum(s.clock.Now(), s.start, s.end, g.name, dims...)
	all := make([]string, len(rows))
	for i, r := range rows {
		all[i] = line(r)
	}
	slices.Sort(all)
	return all
}

func line(r fakeapi.Row) string {
	return fmt.Sprintf("%s %s %s %d %d %d %s %s", r.Start.UTC().Format("2006-01-02 15"), r.Sim, r.Country, r.Upload, r.Download, r.Total, r.Billed, r.Unit)
}

// difference says, in a few lines, what only one side has; nothing when both are the same. Both are sorted. A view
// without any row has nothing to be equal about.
func difference(view string, got, want []string) []string {
	if slices.Equal(got, want) && len(want) > 0 {
		return nil
	}
	said := []string{fmt.Sprintf("%s has %d rows, %d were invented; the first that differ:", view, len(got), len(want))}
	only := func(mark string, these, others []string) {
		shown := 0
		for _, line := range these {
			if _, found := slices.BinarySearch(others, line); !found && shown < 3 {
				said = append(said, "  "+mark+" "+line)
				shown++
			}
		}
	}
	only("view    ", got, want)
	only("invented", want, got)
	return said
}
