package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"simusage/extract"
	"simusage/extract/fakeapi"
	"simusage/load"
	"simusage/load/pgtest"
)

var postgres = pgtest.NewCluster(os.Getenv)

func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }

func migrate(ctx context.Context, url string) error {
	_, err := load.Migrate(ctx, url)
	return err
}

// prepare migrates, and distributes where the tests run on Citus.
func prepare(ctx context.Context, url string) error {
	if !postgres.Distributed() {
		return migrate(ctx, url)
	}
	_, err := load.Distribute(ctx, url)
	return err
}

// bench is a world, the API that shows it, a warehouse, and a clock for all of them.
type bench struct {
	t        *testing.T
	world    *fakeapi.World
	api      *fakeapi.Server
	apiURL   string
	database string
	clock    *fakeapi.Clock
	streams  []extract.Stream
	pageSize int
	settle   time.Duration
	lease    time.Duration
	listRows int64     // a piece of a slice that is cut
	since    time.Time // from when on the warehouse is complete

	// around, when set, stands between a process and the network.
	around    http.RoundTripper
	dial      pgconn.DialFunc
	silence   time.Duration // and patience, of load.Options
	patience  time.Duration
	processes int
}

// newBench makes a small world of ten days until 2026-03-11, of which the clock stands at the last noon.
func newBench(t *testing.T, cfg fakeapi.WorldConfig, opts fakeapi.Options) *bench {
	t.Helper()
	t.Parallel()
	return newBenchAlone(t, cfg, opts)
}

// newBenchAlone is newBench for a test that looks at what all of the process has, and runs while no other does.
func newBenchAlone(t *testing.T, cfg fakeapi.WorldConfig, opts fakeapi.Options) *bench {
	t.Helper()
	if cfg.End.IsZero() {
		cfg.End = at("2026-03-11")
	}
	if cfg.Start.IsZero() {
		cfg.Start = cfg.End.AddDate(0, 0, -10)
	}
	b := &bench{t: t, world: fakeapi.NewWorld(cfg), clock: fakeapi.NewClock(at("2026-03-10 12:07")), pageSize: 40, settle: 72 * time.Hour, lease: 2 * time.Second,
		since: at("2026-03-01")}
	opts.Clock = b.clock.Now
	b.api = fakeapi.New(b.world, opts)
	server := httptest.NewServer(b.api)
	t.Cleanup(server.Close)
	b.apiURL = server.URL
	b.database = postgres.Database(t, pgtest.Template{Name: "migrated", Prepare: prepare})
	b.streams = parseStreams(t, "hour/total", "hour/country", "hour/sim@country")
	return b
}

// process is a Job as a fresh process would have it: its own connections, its own client, its own name.
func (b *bench) process() *Job {
	b.t.Helper()
	job, err := b.tryProcess(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return job
}

func (b *bench) tryProcess(ctx context.Context) (*Job, error) {
	b.t.Helper()
	b.processes++
	log := slog.New(slog.NewTextHandler(testWriter{b.t}, &slog.HandlerOptions{Level: slog.LevelInfo}))
	store, err := load.Open(ctx, b.database, load.Options{Owner: fmt.Sprintf("process %d", b.processes), Log: log, Dial: b.dial,
		Lease: b.lease, ListRows: b.listRows, Silence: b.silence, Patience: b.patience})
	if err != nil {
		return nil, err
	}
	b.t.Cleanup(store.Close)
	return b.job(store, log), nil
}

func (b *bench) job(store *load.Store, log *slog.Logger) *Job {
	b.t.Helper()
	provider, err := extract.ProviderByName("twilio")
	if err != nil {
		b.t.Fatal(err)
	}
	provider.BaseURL = b.apiURL
	client, err := extract.New(extract.Config{
		Provider:    provider,
		Credentials: extract.Credentials{AccountSID: b.world.AccountSID(), AuthToken: "fake-auth-token"},
		Transport:   b.around,
		PageSize:    b.pageSize,
		Concurrency: 4,
		Retry:       extract.Retry{Attempts: 12, Base: time.Millisecond, Cap: 10 * time.Millisecond},
		Log:         log,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return &Job{
		Store:    store,
		Accounts: []Account{{SID: b.world.AccountSID(), Streams: b.streams, Client: client}},
		Now:      b.clock.Now, Since: Since{At: b.since}, Settle: b.settle, Refresh: time.Hour, Shrink: 0.2, Concurrency: 2, Log: log,
	}
}

func (b *bench) sync() Summary {
	b.t.Helper()
	s, err := b.process().Sync(b.t.Context(), load.RunStart{Command: "sync"})
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// views are the families and what the oracle must be asked to get the same.
var views = map[string][]string{"total": nil, "country": {"country"}, "sim": {"sim"}, "sim_country": {"sim", "country"},
	"fleet": {"fleet"}, "network": {"network"}}

// equal holds the views of families against the oracle: every row, bytes and money.
func (b *bench) equal(families ...string) {
	b.t.Helper()
	now := b.clock.Now()
	for _, family := range families {
		for _, grain := range []string{"hour", "day", "month"} {
			got := b.view(family, grain)
			want := lines(b.world.Sum(now, b.since, now.Truncate(time.Hour), grain, views[family]...))
			difference(b.t, family+" by "+grain, got, want)
		}
	}
}

// view reads a view in the oracle's notation.
func (b *bench) view(family, grain string) []string {
	b.t.Helper()
	dims := map[string]string{"sim": "''", "fleet": "''", "network": "''", "country": "''"}
	columns := map[string]string{"sim": "sim_sid", "fleet": "fleet_sid", "network": "network_sid", "country": "iso_country"}
	for _, d := range views[family] {
		dims[d] = columns[d]
	}
	name := family + "_" + map[string]string{"hour": "hourly", "day": "daily", "month": "monthly"}[grain]
	return b.query(fmt.Sprintf(`SELECT to_char(%[1]s::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24'), %[2]s, %[3]s, %[4]s, %[5]s, data_upload, data_download, data_total,
		trim_scale(data_total_billed)::text, coalesce(billed_unit, '') FROM usage.%[6]s`, grain, dims["sim"], dims["fleet"], dims["network"], dims["country"], name))
}

// query returns the rows of a query as sorted lines.
func (b *bench) query(sql string, args ...any) []string {
	b.t.Helper()
	conn, err := pgx.Connect(b.t.Context(), b.database)
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(b.t.Context()))
	if _, err := conn.Exec(b.t.Context(), "SET timezone = 'UTC'"); err != nil {
		b.t.Fatal(err)
	}
	rows, err := conn.Query(b.t.Context(), sql, args...)
	if err != nil {
		b.t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		values, err := row.Values()
		return strings.TrimSpace(fmt.Sprintln(values...)), err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// exec changes the database behind the program's back.
func (b *bench) exec(sql string, args ...any) {
	b.t.Helper()
	conn, err := pgx.Connect(b.t.Context(), b.database)
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(b.t.Context()))
	if _, err := conn.Exec(b.t.Context(), sql, args...); err != nil {
		b.t.Fatal(err)
	}
}

// expireLeases lets the leases of killed processes run out at once.
func (b *bench) expireLeases() {
	b.t.Helper()
	b.exec(`UPDATE simusage.slice SET lease_expires_at = clock_timestamp() - interval '1 second' WHERE leased_by IS NOT NULL`)
}

func lines(rows []fakeapi.Row) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = strings.TrimSpace(fmt.Sprintln(r.Start.UTC().Format("2006-01-02 15"), r.Sim, r.Fleet, r.Network, r.Country, r.Upload, r.Download, r.Total, r.Billed, r.Unit))
	}
	slices.Sort(out)
	return out
}

// difference reports the first lines that only one side has.
func difference(t *testing.T, what string, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		if len(want) == 0 {
			t.Errorf("%s: nothing to compare", what)
		}
		return
	}
	t.Errorf("%s: %d rows, want %d", what, len(got), len(want))
	show := func(mark string, a, b []string) {
		shown := 0
		for _, line := range a {
			if _, ok := slices.BinarySearch(b, line); !ok && shown < 5 {
				t.Errorf("%s %s", mark, line)
				shown++
			}
		}
	}
	show("got ", got, want)
	show("want", want, got)
}

func parseStreams(t *testing.T, texts ...string) []extract.Stream {
	t.Helper()
	var out []extract.Stream
	for _, text := range texts {
		s, err := extract.ParseStream(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

// at reads "2026-03-10" or "2026-03-10 12:07", UTC.
func at(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		t, err = time.Parse("2006-01-02", text)
	}
	if err != nil {
		panic(err)
	}
	return t
}

// testWriter sends the log to the test's output, which is shown when it fails.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}
