package load

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"simusage/extract"
	"simusage/load/pgtest"
)

var (
	postgres = pgtest.NewCluster(os.Getenv)
	update   = flag.Bool("update", false, "rewrite the listings in testdata")
)

func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }

func migrated(ctx context.Context, url string) error {
	_, err := Migrate(ctx, url)
	return err
}

// noon is when the tests take place: 2026-03-10 is under way, 2026-03-07 is just about to settle.
var noon = at("2026-03-10 12:07")

const accountSID = "AC0000000000000000000000000000000a"

// warehouse is a migrated database, a process that works on it, and a look behind the program's back.
type warehouse struct {
	tb  testing.TB
	url string
	*Store
	account Account
	conn    *pgx.Conn
}

func newWarehouse(tb testing.TB) *warehouse {
	tb.Helper()
	return openWarehouse(tb, postgres.Database(tb, prepared))
}

// newServerWarehouse is a warehouse on a server of its own, to kill it or to measure it.
func newServerWarehouse(tb testing.TB, opts pgtest.Options) (*warehouse, *pgtest.Server) {
	tb.Helper()
	server := postgres.MustStart(tb, opts)
	if err := server.CreateDatabase(tb.Context(), "warehouse", ""); err != nil {
		tb.Fatal(err)
	}
	if err := migrated(tb.Context(), server.URL("warehouse")); err != nil {
		tb.Fatal(err)
	}
	return openWarehouse(tb, server.URL("warehouse")), server
}

func openWarehouse(tb testing.TB, url string) *warehouse {
	tb.Helper()
	h := &warehouse{tb: tb, url: url}
	h.Store, h.conn = h.process("process 1", time.Minute), MustConnect(tb, url)
	var err error
	if h.account, err = h.Account(tb.Context(), "", accountSID, at("2026-03-01")); err != nil {
		tb.Fatal(err)
	}
	return h
}

// process is a Store as another process would have it.
func (h *warehouse) process(owner string, lease time.Duration) *Store {
	h.tb.Helper()
	s, err := Open(h.tb.Context(), h.url, Options{Owner: owner, Lease: lease, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		h.tb.Fatal(err)
	}
	h.tb.Cleanup(s.Close)
	return s
}

func MustConnect(tb testing.TB, url string) *pgx.Conn {
	tb.Helper()
	cfg, err := ParseURL(url)
	if err != nil {
		tb.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(tb.Context(), cfg.ConnConfig)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close(context.WithoutCancel(tb.Context())) })
	return conn
}

// exec changes the database behind the program's back.
func (h *warehouse) exec(sql string, args ...any) {
	h.tb.Helper()
	if _, err := h.conn.Exec(h.tb.Context(), sql, args...); err != nil {
		h.tb.Fatalf("%s: %v", sql, err)
	}
}

// rows are the rows of a query as Postgres writes them, a line each, with "-" for NULL.
func (h *warehouse) rows(sql string, args ...any) []string {
	h.tb.Helper()
	return MustRows(h.tb, h.conn, sql, args...)
}

func MustRows(tb testing.TB, conn *pgx.Conn, sql string, args ...any) []string {
	tb.Helper()
	rows, err := conn.Query(tb.Context(), sql, append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
	if err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
	lines, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var fields []string
		for _, raw := range row.RawValues() {
			if raw == nil {
				raw = []byte("-")
			}
			fields = append(fields, string(raw))
		}
		return strings.Join(fields, " "), nil
	})
	if err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
	return lines
}

// one is the only row of a query.
func (h *warehouse) one(sql string, args ...any) string {
	h.tb.Helper()
	rows := h.rows(sql, args...)
	if len(rows) != 1 {
		h.tb.Fatalf("%s: %d rows", sql, len(rows))
	}
	return rows[0]
}

func (h *warehouse) stream(text string) Stream {
	h.tb.Helper()
	return MustStream(h.tb, h.Store, h.account, text)
}

// feed makes streams and lets the views read them.
func (h *warehouse) feed(texts ...string) []Stream {
	h.tb.Helper()
	var streams []Stream
	for _, text := range texts {
		streams = append(streams, h.stream(text))
	}
	h.setFeeds(streams...)
	return streams
}

// setFeeds lets the views read these streams, as far as they are complete.
func (h *warehouse) setFeeds(streams ...Stream) []Switch {
	h.tb.Helper()
	var wanted []extract.Stream
	for _, st := range streams {
		wanted = append(wanted, st.Stream)
	}
	feeds, err := Feeds(wanted)
	if err != nil {
		h.tb.Fatal(err)
	}
	switches, err := h.SetFeeds(h.tb.Context(), streams[0].Account, feeds, streams)
	if err != nil {
		h.tb.Fatal(err)
	}
	return switches
}

func MustStream(tb testing.TB, s *Store, a Account, text string) Stream {
	tb.Helper()
	x, err := extract.ParseStream(text)
	if err != nil {
		tb.Fatal(err)
	}
	st, err := s.Stream(tb.Context(), a, x)
	if err != nil {
		tb.Fatal(err)
	}
	return st
}

// due makes all slices of a stream due that overlap the days from first until before last.
func due(st Stream, first, last string) Due {
	slices := st.Slices(extract.Window{Start: at(first), End: at(last)})
	return Due{
		Streams: []DueStream{{Stream: st, Window: extract.Window{Start: slices[0].Start, End: slices[len(slices)-1].End},
			Finished: st.Finished(noon), Wall: extract.Wall(noon)}},
		RefreshBefore: noon.Add(-time.Hour), AgainBefore: noon.Add(time.Hour), Recent: noon.Add(-72 * time.Hour),
	}
}

// lease takes the slice of a day, due or not.
func (h *warehouse) lease(s *Store, st Stream, day string) *Walk {
	h.tb.Helper()
	d := due(st, day, at(day).AddDate(0, 0, 1).Format("2006-01-02"))
	if err := s.Plan(h.tb.Context(), d); err != nil {
		h.tb.Fatal(err)
	}
	w, err := s.Lease(h.tb.Context(), d, nil)
	if err != nil {
		h.tb.Fatal(err)
	}
	if w == nil {
		h.tb.Fatalf("%s %s is not free", st, day)
	}
	return w
}

// walk leases the slice of a day and begins its walk, or goes on with it.
func (h *warehouse) walk(s *Store, st Stream, day string) *Walk {
	h.tb.Helper()
	w := h.lease(s, st, day)
	if err := w.Begin(h.tb.Context(), st.Ask(w.Window, noon), noon); err != nil {
		h.tb.Fatal(err)
	}
	return w
}

// page makes an answer of records, a text each: "05 HS1 DE 10 20 0.05 USD" is hour (or day) 5 of the slice, counted from 0, the
// SIM (or fleet, or network), the country, bytes up and down, money and its unit; "-" is nothing, and what is left out at
// the end too.
func (h *warehouse) page(w *Walk, next string, records ...string) *extract.Page[extract.Record] {
	h.tb.Helper()
	p := &extract.Page[extract.Record]{Next: next}
	for _, text := range records {
		f := append(strings.Fields(text), "-", "-", "-", "-", "-", "-")
		for i := range f {
			if f[i] == "-" {
				f[i] = ""
			}
		}
		number := func(text string) (n int64) {
			if text != "" {
				var err error
				if n, err = strconv.ParseInt(text, 10, 64); err != nil {
					h.tb.Fatalf("record %q: %v", text, err)
				}
			}
			return n
		}
		start := w.Window.Start.Add(time.Duration(number(f[0])) * time.Hour)
		if w.Stream.Granularity != extract.Hour {
			start = w.Window.Start.AddDate(0, 0, int(number(f[0])))
		}
		r := extract.Record{AccountSID: w.Stream.Account.SID, Start: start, IsoCountry: f[2],
			Upload: number(f[3]), Download: number(f[4]), Billed: f[5], Unit: f[6]}
		switch w.Stream.Group {
		case extract.Fleet:
			r.FleetSID = f[1]
		case extract.Network:
			r.NetworkSID = f[1]
		default:
			r.SimSID = f[1]
		}
		r.Total = r.Upload + r.Download
		p.Records = append(p.Records, r)
	}
	return p
}

// stage takes pages into the only list of a walk; the last one ends it.
func (h *warehouse) stage(w *Walk, pages ...[]string) {
	h.tb.Helper()
	for i, records := range pages {
		next := ""
		if i < len(pages)-1 {
			next = fmt.Sprint("https://api/next/", i+1)
		}
		if err := w.Stage(h.tb.Context(), w.Lists[0], h.page(w, next, records...)); err != nil {
			h.tb.Fatal(err)
		}
	}
}

// publish takes over what the walk says, however little that is.
func (h *warehouse) publish(w *Walk, settled bool) Published {
	h.tb.Helper()
	h.exec(`UPDATE simusage.slice SET accepted = true WHERE id = $1`, w.ID)
	p, err := w.Parts[0].Publish(h.tb.Context(), settled, Caution{})
	if err != nil {
		h.tb.Fatal(err)
	}
	return p
}

// load walks and publishes the slice of a day, each list as one page.
func (h *warehouse) load(st Stream, day string, settled bool, records ...string) Published {
	h.tb.Helper()
	w := h.walk(h.Store, st, day)
	for i := 0; i < len(w.Lists); i++ { // the first one of a fan-out adds the others
		l, p := w.Lists[i], h.page(w, "", records...)
		if !w.Discovers(l) {
			p.Records = slices.DeleteFunc(p.Records, func(r extract.Record) bool { return r.Get(st.FanOut) != l.Value || !l.Ask.Contains(r.Start) })
		}
		if err := w.Stage(h.tb.Context(), l, p); err != nil {
			h.tb.Fatal(err)
		}
	}
	return h.publish(w, settled)
}

// await asks until the query's only row is what is wanted. There is nothing to wait for but Postgres, so each question is a wait.
func (h *warehouse) await(want, sql string, args ...any) {
	h.tb.Helper()
	conn := MustConnect(h.tb, h.url)
	got := ""
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if got = strings.Join(MustRows(h.tb, conn, sql, args...), "\n"); got == want {
			return
		}
	}
	h.tb.Fatalf("%s: still %q, want %q", sql, got, want)
}

// blocked is the number of the backend that waits for a lock with a statement like this.
func (h *warehouse) blocked(statement string) string {
	h.tb.Helper()
	where := `FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE $1`
	h.await("1", `SELECT count(*) `+where, statement)
	return h.one(`SELECT pid `+where, statement)
}

// equal compares lines.
func equal(tb testing.TB, what string, got []string, want ...string) {
	tb.Helper()
	if slices.Equal(got, want) {
		return
	}
	same := 0 // lines at the beginning, which say nothing
	for same < min(len(got), len(want)) && got[same] == want[same] {
		same++
	}
	show := func(lines []string) string {
		if len(lines) > 20 {
			same := max(same-2, 0)
			lines = lines[same:min(same+20, len(lines))]
		}
		return strings.Join(lines, "\n")
	}
	tb.Errorf("%s: %d lines:\n%s\nwant %d:\n%s", what, len(got), show(got), len(want), show(want))
}

// golden compares lines with a committed file; -update rewrites it.
func golden(tb testing.TB, file string, got []string) {
	tb.Helper()
	text := strings.Join(got, "\n") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		tb.Fatalf("%v; go test -update makes it", err)
	}
	if text == string(want) {
		return
	}
	tb.Errorf("%s differs; go test -update rewrites it", file)
	missing := make(map[string]bool)
	for _, line := range strings.Split(string(want), "\n") {
		missing[line] = true
	}
	for _, line := range strings.Split(text, "\n") {
		if !missing[line] {
			tb.Errorf("got  %s", line)
		}
		delete(missing, line)
	}
	for line := range missing {
		tb.Errorf("want %s", line)
	}
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
