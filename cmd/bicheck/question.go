package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"simusage/extract/fakeapi"
)

// null is how a NULL is written in all CSV here; no name is called so.
const null = `\N`

// question is what every client is asked, and the right answer.
type question struct {
	name    string
	sql     string   // with a ? for each of days
	days    []string // parameters, dates
	columns []string
	rows    [][]string
}

// column is a column of a view, as Postgres or a client describes it.
type column struct{ view, name, kind, size, comment string }

// sized is the column with its size apart from its type: varchar(34).
func (c column) sized() column {
	if kind, size, found := strings.Cut(c.kind, "("); found {
		c.kind, c.size = kind, strings.TrimSuffix(size, ")")
	}
	return c
}

// truth is all that is right.
type truth struct {
	questions []question
	refused   []question        // statements that no reader may run
	views     map[string]string // name → comment
	columns   []column
	imported  question // all rows of the view that Calc imports
}

// byMonth is the question that the pivot table answers too.
const byMonth = "countries by month"

// pivoted is the view that Calc makes its pivot table of.
const pivoted = "usage.sim_country_monthly"

// truth asks the owner of the database and the simulated world.
func (s *stage) truth(ctx context.Context) (truth, error) {
	owner, err := pgx.Connect(ctx, s.postgres.URL(database))
	if err != nil {
		return truth{}, err
	}
	defer owner.Close(context.WithoutCancel(ctx))
	t := truth{refused: []question{
		{name: "read the machine room", sql: "SELECT count(*) FROM simusage.usage_hourly"},
		{name: "read what a view is made of", sql: "SELECT count(*) FROM simusage.sim"},
		{name: "change what a view shows", sql: "UPDATE usage.country SET country_name = ''"},
		{name: "read files of the server", sql: "SELECT pg_read_file('postgresql.conf')"},
	}}
	if err := t.describe(ctx, owner); err != nil {
		return t, fmt.Errorf("describe the views: %w", err)
	}
	t.questions = s.asked()
	for _, view := range slices.Sorted(maps.Keys(t.views)) {
		t.questions = append(t.questions, t.open(view))
	}
	for i := range t.questions {
		if err := t.questions[i].answer(ctx, owner); err != nil {
			return t, err
		}
	}
	t.imported = question{name: pivoted, sql: "SELECT * FROM " + pivoted}
	return t, t.imported.answer(ctx, owner)
}

// describe reads the catalog.
func (t *truth) describe(ctx context.Context, owner *pgx.Conn) error {
	rows, err := owner.Query(ctx, `
		SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum), obj_description(c.oid)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = 'usage'::regnamespace AND c.relkind = 'v' ORDER BY c.relname, a.attnum`)
	if err != nil {
		return err
	}
	t.views = make(map[string]string)
	var c column
	var comment string
	_, err = pgx.ForEachRow(rows, []any{&c.view, &c.name, &c.kind, &c.comment, &comment}, func() error {
		t.columns = append(t.columns, c.sized())
		t.views[c.view] = comment
		return nil
	})
	return err
}

// open is the question for all columns of a view.
func (t *truth) open(view string) question {
	var order []string
	for _, c := range t.columns {
		if c.view == view {
			order = append(order, strconv.Itoa(len(order)+1))
		}
	}
	return question{name: "usage." + view, sql: "SELECT * FROM usage." + view + " ORDER BY " + strings.Join(order, ", ") + " LIMIT 300"}
}

// asked are the questions whose answers are known without asking Postgres, and the one with parameters.
func (s *stage) asked() []question {
	day := func(n int) string { return s.since.AddDate(0, 0, n).Format(time.DateOnly) }
	sum := func(grain string, dims ...string) []fakeapi.Row {
		return s.world.Sum(s.now, s.since, s.now, grain, dims...)
	}
	sims := question{name: "names of SIMs", sql: `SELECT sim_sid, sim_name FROM usage.sim WHERE gone_at IS NULL ORDER BY 1`, columns: []string{"sim_sid", "sim_name"}}
	for _, sim := range s.world.Sims() {
		name := sim.UniqueName
		if name == "" {
			name = null
		}
		sims.rows = append(sims.rows, []string{sim.SID, name})
	}
	slices.SortFunc(sims.rows, slices.Compare[[]string])

	hours := question{name: "SIMs by country and hour", columns: []string{"hour", "sim_sid", "iso_country", "data_upload", "data_download", "data_total", "data_total_billed", "billed_unit"},
		sql: `SELECT hour, sim_sid, iso_country, data_upload, data_download, data_total, trim_scale(data_total_billed), coalesce(billed_unit, '') FROM usage.sim_country_hourly ORDER BY 1, 2, 3`}
	for _, r := range sum("hour", "sim", "country") {
		hours.rows = append(hours.rows, []string{r.Start.Format("2006-01-02 15:04:05+00"), r.Sim, r.Country, decimal(r.Upload), decimal(r.Download), decimal(r.Total), r.Billed, r.Unit})
	}
	months := question{name: byMonth, columns: []string{"month", "iso_country", "bytes"},
		sql: `SELECT month, iso_country, sum(data_total) FROM usage.country_monthly GROUP BY 1, 2 ORDER BY 1, 2`}
	for _, r := range sum("month", "country") {
		months.rows = append(months.rows, []string{r.Start.Format(time.DateOnly), r.Country, decimal(r.Total)})
	}
	settings := question{name: "the session", columns: []string{"current_user", "jit", "read only", "TLS"}, rows: [][]string{{reader, "off", "on", "t"}},
		sql: `SELECT current_user::text, current_setting('jit'), current_setting('default_transaction_read_only'), ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()`}
	between := question{name: "a range of days", days: []string{day(3), day(20)},
		sql: `SELECT count(*), sum(data_total), max(data_total), min(day), sum(data_total_billed) FROM usage.sim_daily WHERE day >= ? AND day < ?`}
	return []question{settings, sims, hours, months, between}
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// answer asks Postgres, in its own writing, unless the answer is known. No answer may be empty: it would prove nothing.
func (q *question) answer(ctx context.Context, owner *pgx.Conn) error {
	if q.rows == nil {
		var text bytes.Buffer
		if _, err := owner.PgConn().CopyTo(ctx, &text, "COPY ("+q.literal()+") TO STDOUT (FORMAT csv, HEADER, NULL '"+null+"')"); err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
		records, err := csv.NewReader(&text).ReadAll()
		if err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
		q.columns, q.rows = records[0], records[1:]
	}
	if len(q.rows) == 0 {
		return fmt.Errorf("%s: no rows to compare", q.name)
	}
	return nil
}

// literal is the question with its parameters written into it.
func (q question) literal() string {
	sql := q.sql
	for _, day := range q.days {
		sql = strings.Replace(sql, "?", "date '"+day+"'", 1)
	}
	return sql
}

// write makes the file of questions that clients read: lines of fields between tabs.
func (t truth) write(path string) error {
	var file strings.Builder
	for _, q := range t.questions {
		fmt.Fprintln(&file, strings.Join(append([]string{"ask", q.name, q.sql}, q.days...), "\t"))
	}
	for _, q := range t.refused {
		fmt.Fprintln(&file, strings.Join([]string{"refused", q.name, q.sql}, "\t"))
	}
	return os.WriteFile(path, []byte(file.String()), 0o600)
}
