package deploy

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"simusage/extract"
	"simusage/extract/fakeapi"
	"simusage/load"
	"simusage/load/pgtest"
	"simusage/pipeline"
)

var postgres = pgtest.NewCluster(os.Getenv)

func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }

// today is the day that the tests take place on. What the dashboards ask compares with the clock of Postgres, so the
// simulated usage goes on until now.
var today = time.Now().UTC().Truncate(24 * time.Hour)

// daysBefore is the UTC day that many days ago.
func daysBefore(n int) time.Time { return today.AddDate(0, 0, -n) }

// empty is a warehouse that was migrated and never filled.
func empty(t *testing.T) string {
	t.Helper()
	return postgres.Database(t, pgtest.Template{Name: "empty", Prepare: func(ctx context.Context, url string) error {
		_, err := load.Migrate(ctx, url)
		return err
	}})
}

// filled is a warehouse that one sync has filled with 45 days of a small fleet, until now.
func filled(t *testing.T) string {
	t.Helper()
	return postgres.Database(t, pgtest.Template{Name: "filled", Prepare: fill})
}

// odd and silent are the SIMs that the panels for trouble must show: odd uses a hundred times as much on one day and has
// usage that is not billed yet, silent uses nothing.
const (
	odd    = "HS0000000000000000000000000000000d"
	silent = "HS0000000000000000000000000000005e"
)

var world = makeWorld()

func makeWorld() *fakeapi.World {
	// The usage of unknown countries is left out of the breakdown by country, for ever: a difference to the total that is
	// explained, and no trouble.
	w := fakeapi.NewWorld(fakeapi.WorldConfig{Seed: 40, Sims: 12, Density: 0.05, Late: -1, Unattributed: 0.02, Start: daysBefore(45), End: time.Now()})
	w.Amend(time.Time{}, func(e *fakeapi.Event) bool {
		huge := e.Download > 1<<53
		if huge {
			e.Download = 1 << 20
		}
		return huge
	})
	fleet := []fakeapi.Move{{At: daysBefore(100), Fleet: w.Fleets()[0].SID}}
	w.AddSims(fakeapi.Sim{SID: odd, UniqueName: "odd", Status: "active", Created: daysBefore(100), Moves: fleet},
		fakeapi.Sim{SID: silent, UniqueName: "silent", Status: "active", Created: daysBefore(100), Moves: fleet})
	for n := range 45 {
		e := fakeapi.Event{Start: daysBefore(n).Add(-time.Hour), Sim: odd, Fleet: fleet[0].Fleet, Network: w.Networks()[0].SID, Country: "DE",
			Upload: 1000, Download: 1_000_000 + int64(n), Billed: 2e10, Unit: "USD"}
		switch n {
		case 1: // the day before yesterday, so that 24 hours have passed since its end
			e.Billed, e.Unit = 0, ""
		case 4:
			e.Download *= 100
		}
		w.Add(e)
	}
	w.Add(fakeapi.Event{Start: time.Now().Add(-time.Hour), Sim: odd, Fleet: fleet[0].Fleet, Network: w.Networks()[0].SID, Country: "DE", Upload: 1})
	return w
}

// fill has the program load the world, as its pods do.
func fill(ctx context.Context, url string) error {
	if _, err := load.Migrate(ctx, url); err != nil {
		return err
	}
	now := time.Now()
	clock := func() time.Time { return now }
	api := httptest.NewServer(fakeapi.New(world, fakeapi.Options{Clock: clock, DropUnattributed: true}))
	defer api.Close()
	log := slog.New(slog.DiscardHandler)
	store, err := load.Open(ctx, url, load.Options{Owner: "deploy", Log: log})
	if err != nil {
		return err
	}
	defer store.Close()
	provider, err := extract.ProviderByName("twilio")
	if err != nil {
		return err
	}
	provider.BaseURL = api.URL
	client, err := extract.New(extract.Config{Provider: provider, Log: log,
		Credentials: extract.Credentials{AccountSID: world.AccountSID(), AuthToken: "fake-auth-token"}})
	if err != nil {
		return err
	}
	var streams []extract.Stream
	for _, text := range []string{"hour/total", "hour/country", "hour/sim@country"} {
		s, err := extract.ParseStream(text)
		if err != nil {
			return err
		}
		streams = append(streams, s)
	}
	job := &pipeline.Job{Store: store, Accounts: []pipeline.Account{{SID: world.AccountSID(), Streams: streams, Client: client}}, Now: clock,
		Since: pipeline.Since{At: daysBefore(45)}, Settle: 72 * time.Hour, Refresh: time.Hour, Shrink: 0.2, Concurrency: 2, Log: log}
	_, err = job.Sync(ctx, load.RunStart{Command: "sync"})
	return err
}

// connect opens a connection that ends with the test; as a reader it may do what the role usage_reader may.
func connect(t *testing.T, url string, reader bool) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	if reader {
		execute(t, conn, `SET ROLE usage_reader`)
		execute(t, conn, `SET jit = off`)                      // as ROLES.md says of a reader
		execute(t, conn, `SET timezone = 'America/Sao_Paulo'`) // UTC must come from the views, not from the reader's settings
	}
	return conn
}

func execute(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// answer is what a query returned: the columns by their order, the kind of each (time, text, number), and the rows.
type answer struct {
	columns, kinds []string
	rows           [][]any
}

// ask runs a query in Postgres' simple protocol, as Grafana does.
func ask(t *testing.T, conn *pgx.Conn, sql string) answer {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
	var a answer
	for _, f := range rows.FieldDescriptions() {
		kind := "other"
		if typ, known := conn.TypeMap().TypeForOID(f.DataTypeOID); known {
			kind = typ.Name
		}
		switch {
		case strings.HasPrefix(kind, "timestamp") || kind == "date":
			kind = "time"
		case kind == "text" || kind == "varchar":
			kind = "text"
		case strings.HasPrefix(kind, "int") || kind == "numeric" || strings.HasPrefix(kind, "float"):
			kind = "number"
		}
		a.columns, a.kinds = append(a.columns, f.Name), append(a.kinds, kind)
	}
	a.rows, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) {
		values, err := row.Values()
		for i, v := range values {
			if a.kinds[i] == "number" && v != nil {
				values[i], err = strconv.ParseFloat(string(row.RawValues()[i]), 64) // Grafana has no other numbers
			}
		}
		return values, err
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
	return a
}

// column is one column of an answer.
func (a answer) column(t *testing.T, name string) []any {
	t.Helper()
	i := slices.Index(a.columns, name)
	if i < 0 {
		t.Fatalf("no column %s among %v", name, a.columns)
	}
	var values []any
	for _, row := range a.rows {
		values = append(values, row[i])
	}
	return values
}
