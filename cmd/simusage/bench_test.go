package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/sethvargo/go-envconfig"

	"simusage/extract"
	"simusage/extract/fakeapi"
	"simusage/load"
	"simusage/load/pgtest"
)

var postgres = pgtest.NewCluster(os.Getenv)

func TestMain(m *testing.M) {
	code := postgres.Run(m)
	os.RemoveAll(built.dir)
	os.Exit(code)
}

var migrated = pgtest.Template{Name: "migrated", Prepare: func(ctx context.Context, url string) error {
	change := load.Migrate
	if postgres.Distributed() {
		change = load.Distribute
	}
	_, err := change(ctx, url)
	return err
}}

// noon is when the tests of this package take place, as far as they run in this process.
var noon = time.Date(2026, 3, 10, 12, 7, 0, 0, time.UTC)

// bench is a world, the API that shows it, a warehouse, and the environment that leads to both.
type bench struct {
	t        *testing.T
	world    *fakeapi.World
	api      *fakeapi.Server
	database string
	env      map[string]string
	since    time.Time
	now      time.Time
}

// newBench makes a small world of some days until noon, for a Twilio account.
func newBench(t *testing.T, template pgtest.Template, cfg fakeapi.WorldConfig, opts fakeapi.Options) *bench {
	t.Helper()
	b := &bench{t: t, now: noon, since: time.Date(2026, 3, 7, 0, 0, 0, 0, time.UTC)}
	if cfg.Start.IsZero() {
		cfg.Start, cfg.End = b.since, noon.AddDate(0, 0, 1)
	}
	if cfg.Sims == 0 {
		cfg.Sims = 6
	}
	if opts.Clock == nil {
		opts.Clock = func() time.Time { return b.now }
	}
	b.since = cfg.Start
	b.world = fakeapi.NewWorld(cfg)
	b.api = fakeapi.New(b.world, opts)
	b.database = postgres.Database(t, template)
	b.env = map[string]string{
		"DATABASE_URL":       b.database,
		"TWILIO_ACCOUNT_SID": b.world.AccountSID(),
		"TWILIO_AUTH_TOKEN":  "fake-auth-token",
		"SIMUSAGE_SINCE":     b.since.Format(time.DateOnly),
		"SIMUSAGE_PAGE_SIZE": "40",
		"SIMUSAGE_BASE_URL":  serve(t, b.api),
		"SIMUSAGE_LISTEN":    "127.0.0.1:0",
	}
	return b
}

func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// result is what a call of the program left.
type result struct {
	code           int
	stdout, stderr string
}

// program is the program in these surroundings, impatient.
func (b *bench) program(out, log *bytes.Buffer) *program {
	return &program{env: envconfig.MapLookuper(b.env), stdout: out, stderr: log, now: func() time.Time { return b.now },
		patience: 300 * time.Millisecond, retry: extract.Retry{Attempts: 3, Base: time.Millisecond, Cap: 5 * time.Millisecond}}
}

// run calls the program as main does.
func (b *bench) run(args ...string) result {
	b.t.Helper()
	return b.runIn(b.t.Context(), args...)
}

func (b *bench) runIn(ctx context.Context, args ...string) result {
	b.t.Helper()
	var out, log bytes.Buffer
	code := b.program(&out, &log).run(ctx, args)
	b.t.Logf("simusage %s: %d\n%s%s", strings.Join(args, " "), code, out.String(), log.String())
	return result{code, out.String(), log.String()}
}

// must calls the program and wants an exit code.
func (b *bench) must(code int, args ...string) result {
	b.t.Helper()
	r := b.run(args...)
	if r.code != code {
		b.t.Fatalf("simusage %s: exit code %d, want %d", strings.Join(args, " "), r.code, code)
	}
	return r
}

// with is the bench with some variables set otherwise; an empty value unsets.
func (b *bench) with(env map[string]string) *bench {
	other := *b
	other.env = maps.Clone(b.env)
	maps.Copy(other.env, env)
	return &other
}

// complaints are the lines on stderr that are not the log.
func (r result) complaints() []string {
	var lines []string
	for line := range strings.Lines(r.stderr) {
		if !strings.HasPrefix(line, "{") {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

func (b *bench) connect() *pgx.Conn {
	b.t.Helper()
	conn, err := pgx.Connect(b.t.Context(), b.database)
	if err != nil {
		b.t.Fatal(err)
	}
	return conn
}

// query returns the rows of a query as sorted lines.
func (b *bench) query(sql string, args ...any) []string {
	b.t.Helper()
	conn := b.connect()
	defer conn.Close(context.WithoutCancel(b.t.Context()))
	rows, err := conn.Query(b.t.Context(), sql, args...)
	if err != nil {
		b.t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		values, err := row.Values()
		return strings.TrimSpace(fmt.Sprintln(values...)), err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}

func (b *bench) exec(sql string, args ...any) {
	b.t.Helper()
	conn := b.connect()
	defer conn.Close(context.WithoutCancel(b.t.Context()))
	if _, err := conn.Exec(b.t.Context(), sql, args...); err != nil {
		b.t.Fatal(err)
	}
}

// families are the views and what the oracle must be asked to get the same.
var families = map[string][]string{"total": nil, "country": {"country"}, "sim": {"sim"}, "sim_country": {"sim", "country"}}

// equal holds the views of an account against the sums of its world, from b.since until the hour of b.now: every row,
// bytes and money.
func (b *bench) equal(world *fakeapi.World) {
	b.t.Helper()
	columns := map[string]string{"sim": "sim_sid", "country": "iso_country"}
	for family, dims := range families {
		for grain, suffix := range map[string]string{"hour": "hourly", "day": "daily", "month": "monthly"} {
			shown := map[string]string{"sim": "''", "country": "''"}
			for _, d := range dims {
				shown[d] = columns[d]
			}
			got := b.query(fmt.Sprintf(`SELECT to_char(%s::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24'), %s, %s, data_upload, data_download,
				data_total, trim_scale(data_total_billed)::text, coalesce(billed_unit, '') FROM usage.%s_%s WHERE account_sid = $1`,
				grain, shown["sim"], shown["country"], family, suffix), world.AccountSID())
			var want []string
			for _, r := range world.Sum(b.now, b.since, b.now.Truncate(time.Hour), grain, dims...) {
				want = append(want, strings.TrimSpace(fmt.Sprintln(r.Start.UTC().Format("2006-01-02 15"), r.Sim, r.Country, r.Upload, r.Download, r.Total, r.Billed, r.Unit)))
			}
			slices.Sort(want)
			if !slices.Equal(got, want) || len(want) == 0 {
				b.t.Errorf("%s by %s: %d rows, want %d%s", family, grain, len(got), len(want), firstDifference(got, want))
			}
		}
	}
}

func firstDifference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		g, w := "(none)", "(none)"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			return fmt.Sprintf("\ngot  %s\nwant %s", g, w)
		}
	}
	return ""
}
