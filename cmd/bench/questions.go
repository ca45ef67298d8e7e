package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// questions is the part that asks what dashboards ask, through the views, in a warehouse that the program has filled: three
// weeks of as many SIMs as make the rows. It is asked as a role that may do nothing but read, set up as deploy/ROLES.md says.
const questions = "questions"

// weeks is how much time the warehouse of the questions has.
const weeks = 3

// asked is a question of a dashboard, with what its plan must not read: no daily or monthly question may read hourly facts, and no
// question about a month another month's.
type asked struct {
	name, what, sql string
	mayNotRead      []string
}

// dashboard is the questions of these names, or all, about the last month of a loading.
func (l loading) dashboard(names ...string) []asked {
	last := l.window.End.AddDate(0, 0, -1)
	all := dashboard(time.Date(last.Year(), last.Month(), 1, 0, 0, 0, 0, time.UTC), simSID(l.fleet.SIMs/2))
	return slices.DeleteFunc(all, func(q asked) bool { return len(names) > 0 && !slices.Contains(names, q.name) })
}

func dashboard(month time.Time, sim string) []asked {
	first, next := month.Format(time.DateOnly), month.AddDate(0, 1, 0).Format(time.DateOnly)
	from := month.AddDate(0, 1, -30).Format(time.DateOnly)
	hourly, daily := "usage_hourly_", "usage_daily_"
	other := hourly + month.AddDate(0, -1, 0).Format("2006_01")
	return []asked{
		{"top", "usage by SIM of a month, top 100",
			`SELECT sim_sid, sim_name, data_total FROM usage.sim_monthly WHERE month = '` + first + `' ORDER BY data_total DESC LIMIT 100`, []string{hourly, daily}},
		{"countries", "usage by country and day, 30 days",
			`SELECT day, iso_country, country_name, data_total FROM usage.country_daily WHERE day >= '` + from + `' AND day < '` + next + `' ORDER BY 1, 2`, []string{hourly}},
		{"sim", "a month of one SIM, by hour",
			`SELECT hour, data_total FROM usage.sim_hourly WHERE sim_sid = '` + sim + `' AND hour >= '` + first + `' AND hour < '` + next + `' ORDER BY 1`, []string{other}},
		{"fleets", "usage by fleet of a month",
			`SELECT fleet_sid, fleet_name, data_total FROM usage.fleet_monthly WHERE month = '` + first + `' ORDER BY 3 DESC`, []string{hourly, daily}},
	}
}

func (b *bench) questions(ctx context.Context) error {
	days := 7 * weeks
	l, err := b.loading(ctx, fleet{SIMs: max(100, b.rows/(24*days)), Countries: 4}, days)
	if err != nil {
		return err
	}
	defer l.api.end()
	b.say("\nquestions: %s", l)
	d, err := b.database(ctx)
	if err != nil {
		return err
	}
	defer b.drop(ctx, d)
	if err := b.fillFor(ctx, l, d); err != nil {
		return err
	}
	return b.dashboards(ctx, d, l.dashboard())
}

// dashboards measures what each question takes.
func (b *bench) dashboards(ctx context.Context, d *database, all []asked) error {
	reader, err := d.reader(ctx)
	if err != nil {
		return err
	}
	defer reader.Close(ctx)
	for _, q := range all {
		took, err := b.ask(ctx, reader, q)
		if err != nil {
			return fmt.Errorf("%s: %w", q.what, err)
		}
		b.say("  %s: %s ms", q.what, number(took.median()))
		b.hold(q.what, "", took.median(), "ms", atMost(100))
	}
	return nil
}

// fillFor lets the program load the window, with fleets, and the names.
func (b *bench) fillFor(ctx context.Context, l loading, d *database) error {
	env := append(environment(d, l.api), "SIMUSAGE_STREAMS=hour/total,hour/country,hour/sim@country,hour/fleet")
	for _, args := range [][]string{
		{"backfill", "--from", l.window.Start.Format(time.DateOnly), "--to", l.window.End.Format(time.DateOnly)},
		{"names"},
	} {
		r, err := b.simusage(ctx, env, args...)
		if err != nil {
			return err
		}
		b.say("  %s: %s", args[0], r.took.Round(time.Second))
	}
	if slices, err := d.agreed(ctx); err != nil || slices != 3*length(l.window) {
		return fmt.Errorf("%d slices agree with their total, want %d: %w", slices, 3*length(l.window), err)
	}
	return d.exec(ctx, `VACUUM (ANALYZE)`) // as autovacuum does in time
}

// reader connects as somebody who may only read.
func (d *database) reader(ctx context.Context) (*pgx.Conn, error) {
	err := d.exec(ctx, `DROP ROLE IF EXISTS dashboard; CREATE ROLE dashboard LOGIN IN ROLE usage_reader; ALTER ROLE dashboard SET jit = off`)
	if err != nil {
		return nil, err
	}
	cfg := d.conn.Config().Copy()
	cfg.User = "dashboard"
	cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol // as psql and most tools do
	return pgx.ConnectConfig(ctx, cfg)
}

// ask asks again and again and returns milliseconds, warm. The plan is kept, and held against what it may not read.
func (b *bench) ask(ctx context.Context, reader *pgx.Conn, q asked) (took series, err error) {
	if err := b.plan(ctx, reader, q); err != nil {
		return nil, err
	}
	for range max(5, b.runs) {
		began := time.Now()
		rows, err := reader.Query(ctx, q.sql)
		if err != nil {
			return nil, err
		}
		n := 0
		for rows.Next() {
			n++
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
		took.add(float64(time.Since(began).Microseconds()) / 1000)
		if n == 0 {
			return nil, fmt.Errorf("the answer is empty")
		}
	}
	return took, nil
}

func (b *bench) plan(ctx context.Context, reader *pgx.Conn, q asked) error {
	rows, err := reader.Query(ctx, `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) `+q.sql)
	if err != nil {
		return err
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, line := range lines {
		for _, table := range q.mayNotRead {
			if strings.Contains(line, " on "+table) && !strings.Contains(line, "never executed") {
				return fmt.Errorf("its plan reads %s: %s", table, strings.TrimSpace(line))
			}
		}
	}
	if b.plans == "" {
		return nil
	}
	text := "-- " + q.what + ", " + thousands(b.rows) + " hourly rows\n" + q.sql + ";\n\n" + strings.Join(lines, "\n") + "\n"
	return os.WriteFile(filepath.Join(b.plans, q.name+".txt"), []byte(text), 0o644)
}
