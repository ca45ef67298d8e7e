package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"simusage/extract"
	"simusage/load/pgtest"
)

// what a reader sees of a slice: rows and bytes by hour, and by day.
const seenSQL = `SELECT (SELECT count(*) FROM usage.sim_hourly), (SELECT sum(data_total) FROM usage.sim_hourly), (SELECT sum(data_total) FROM usage.sim_daily)`

// version is a slice of a thousand SIMs as it is at one time; each version has other bytes everywhere, and other SIMs.
func version(n int) (records []string, seen string) {
	sum := 0
	for i := range 1000 {
		records = append(records, fmt.Sprintf("%02d sim%d - %d 0", i%12, i+100*n, i+n))
		sum += i + n
	}
	return records, fmt.Sprint(1000, sum, sum)
}

// Promise 3: a reader sees a slice as it was or as it is, hours and days alike, whenever it asks.
func TestPromise3ReadersSeeAllOrNothing(t *testing.T) {
	plainOnly(t, "each worker is asked for itself, and a question in several parts several times")
	t.Parallel()
	h := newWarehouse(t)
	st := h.feed("hour/sim")[0]
	const versions = 6
	legal := map[string]bool{"0 - -": true}
	var readers errgroup.Group
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var mu sync.Mutex
	seen := make(map[string]int)
	for range 2 {
		conn := MustConnect(t, h.url)
		readers.Go(func() error {
			for ctx.Err() == nil {
				rows := MustRows(t, conn, seenSQL)
				mu.Lock()
				seen[rows[0]]++
				mu.Unlock()
			}
			return nil
		})
	}
	for n := range versions {
		records, want := version(n)
		legal[want] = true
		h.load(st, "2026-03-10", n > 3, records...)
		equal(t, "after the publish", h.rows(seenSQL), want)
	}
	stop()
	readers.Wait()
	for what, times := range seen {
		if !legal[what] {
			t.Errorf("%d times a reader saw %s", times, what)
		}
	}
	t.Logf("seen: %v", seen)
}

// Promise 3, at the worst moment: all facts are written, the commit has not come yet. Readers see the old slice, without
// waiting for the new one.
func TestPromise3ReadersSeeTheOldSliceUntilTheCommit(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.feed("hour/sim")[0]
	before, old := version(0)
	after, now := version(1)
	h.load(st, "2026-03-10", false, before...)
	w := h.walk(h.Store, st, "2026-03-10")
	h.stage(w, after)
	h.exec(`BEGIN; SELECT FROM simusage.list FOR UPDATE`) // the checkpoint goes last
	var publish errgroup.Group
	publish.Go(func() error { _, err := w.Parts[0].Publish(t.Context(), false, Caution{Shrink: 0.5}); return err })
	h.blocked(`DELETE FROM simusage.list%`)
	reader := MustConnect(t, h.url)
	equal(t, "before the commit", MustRows(t, reader, seenSQL), old)
	h.exec(`COMMIT`)
	if err := publish.Wait(); err != nil {
		t.Fatal(err)
	}
	equal(t, "after the commit", MustRows(t, reader, seenSQL), now)
}

// Promise 2: killed between the COPY of a page and its commit, the page is not staged and the cursor has not moved.
func TestPromise2KilledBetweenCopyAndCommit(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim")
	w := h.walk(h.Store, st, "2026-03-10")
	if err := w.Stage(t.Context(), w.Lists[0], h.page(w, "https://api/2", "00 a - 1 1", "01 a - 1 1")); err != nil {
		t.Fatal(err)
	}
	at := `SELECT cursor, pages, rows, (SELECT coalesce(sum(rows), 0) FROM ` + w.stage() + `), (SELECT count(*) FROM simusage.rejected) FROM simusage.list`
	equal(t, "after a page", h.rows(at), "https://api/2 1 2 2 0")
	list := *w.Lists[0]

	locker := MustConnect(t, h.url)
	MustRows(t, locker, `BEGIN; SELECT FROM simusage.list FOR UPDATE`)
	page := h.page(w, "https://api/3", "02 a - 1 1", "03 a - 1 1", "04 a - 1 1")
	page.Rejected = []extract.Rejected{{Reason: "no period", Raw: "{\x00\xff}"}}
	var stage errgroup.Group
	stage.Go(func() error { return w.Stage(t.Context(), w.Lists[0], page) })
	pid := h.blocked(`UPDATE simusage.list SET cursor%`)
	equal(t, "terminated", h.rows(`SELECT pg_terminate_backend($1::int)`, pid), "t")
	err := stage.Wait()
	if !Lost(err) || !strings.Contains(err.Error(), "stage page 2 of hour/sim 2026-03-10: ") {
		t.Errorf("killed: %v, Lost %t", err, Lost(err))
	}
	MustRows(t, locker, `ROLLBACK`)
	equal(t, "after the kill", h.rows(at), "https://api/2 1 2 2 0")
	if *w.Lists[0] != list {
		t.Errorf("the list moved to %+v", *w.Lists[0])
	}
	if err := w.Stage(t.Context(), w.Lists[0], page); err != nil {
		t.Fatal(err)
	}
	equal(t, "after another try", h.rows(at), "https://api/3 2 5 5 1")
	equal(t, "rejected", h.rows(`SELECT reason, raw FROM simusage.rejected`), "no period {�}")
	h.stage(w, []string{"05 a - 1 1"})
	if p := h.publish(w, false); p.Inserted != 6 {
		t.Errorf("published %+v", p)
	}
	equal(t, "rejected records outlive the walk", h.rows(`SELECT count(*) FROM simusage.rejected`), "1")
}

// A list that begins again forgets its own rows and rejected records, and no others.
func TestRestartForgetsOneList(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	w := h.walk(h.Store, h.stream("hour/sim@country"), "2026-03-10")
	stage := func(l *List, next string, records ...string) {
		t.Helper()
		p := h.page(w, next, records...)
		p.Rejected = []extract.Rejected{{Reason: "odd", Raw: l.Value}}
		if err := w.Stage(t.Context(), l, p); err != nil {
			t.Fatal(err)
		}
	}
	stage(w.Lists[0], "https://api/2", "00 - DE 1 1", "01 - DE 1 1", "00 - - 1 1") // usage of no country is a list too
	stage(w.Lists[0], "", "00 - FR 1 1", "00 - DE 1 1")
	if len(w.Lists) != 4 || w.Lists[1].Value != "DE" || !w.Unnamed(w.Lists[2]) || w.Lists[3].Value != "FR" {
		t.Fatalf("found %d lists", len(w.Lists))
	}
	stage(w.Lists[1], "", "00 a DE 1 1", "00 b DE 2 2")
	stage(w.Lists[2], "", "00 - - 3 3", "00 - DE 9 9") // grouped by country: what has one is in its own list
	stage(w.Lists[3], "https://api/fr", "00 a FR 4 4")
	if err := w.Restart(t.Context(), w.Lists[3]); err != nil {
		t.Fatal(err)
	}
	lists := `SELECT no, value, cursor, pages, rows, restarts, done, (SELECT coalesce(sum(p.rows), 0) FROM ` + w.stage() + ` p WHERE list_no = no), (SELECT count(*) FROM simusage.rejected WHERE list_no = no)
		FROM simusage.list ORDER BY no`
	equal(t, "lists", h.rows(lists), "0 *  2 0 0 t 0 2", "1 DE  1 2 0 t 2 1", "2   1 1 0 t 1 1", "3 FR  0 0 1 f 0 0")
	if l := w.Lists[3]; *l != (List{No: 3, Value: "FR", Ask: w.Ask, Restarts: 1}) {
		t.Errorf("the list is %+v", *l)
	}
	stage(w.Lists[3], "", "00 a FR 4 5")
	if p := h.publish(w, false); p != (Published{Rows: 4, Inserted: 4}) {
		t.Errorf("published %+v", p)
	}

	// The discovery forgets what it has found, because it may find less the next time.
	w = h.walk(h.Store, w.Stream, "2026-03-10")
	stage(w.Lists[0], "https://api/2", "00 - DE 1 1", "00 - FR 1 1")
	if err := w.Restart(t.Context(), w.Lists[0]); err != nil {
		t.Fatal(err)
	}
	equal(t, "lists after the discovery began again", h.rows(lists), "0 *  0 0 1 f 0 0")
	if len(w.Lists) != 1 {
		t.Errorf("%d lists are left", len(w.Lists))
	}
}

// A crash of Postgres empties the stage but not the checkpoint. The walk finds that out, whenever it looks, and begins
// anew; after an orderly restart it goes on where it was.
func TestPromise2StageEmptiedByACrash(t *testing.T) {
	t.Parallel()
	h, server := newServerWarehouse(t, pgtest.Options{})
	st := h.feed("hour/sim")[0]
	w := h.walk(h.Store, st, "2026-03-10")
	h.stage(w, []string{"00 a - 1 1"}, []string{"01 a - 2 2"})
	again := func() {
		t.Helper()
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := h.Await(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.conn = MustConnect(t, h.url)
	}
	again()
	if err := w.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	w = h.walk(h.Store, st, "2026-03-10")
	if l := w.Lists[0]; l.Pages != 2 || l.Rows != 2 || !l.Done || l.digests == "" {
		t.Errorf("after a restart the list is %+v", *l)
	}

	h.exec(`CREATE TABLE public.flush ()`) // pages do not wait for the disk, this does: all before it is there after the crash
	server.Kill()
	for range 2 { // on the connection that is broken, and when making another
		if err := w.Stage(t.Context(), w.Lists[0], h.page(w, "")); !Lost(err) {
			t.Errorf("after the crash: %v, which is not seen as a loss of the connection", err)
		}
	}
	again()
	equal(t, "checkpoint", h.rows(`SELECT pages, rows FROM simusage.list`), "2 2")
	if _, err := w.Parts[0].Publish(t.Context(), false, Caution{Shrink: 0.5}); !errors.Is(err, ErrStageLost) {
		t.Errorf("publish of an empty stage: %v", err)
	}
	equal(t, "facts", h.rows(factSQL))
	if err := w.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	w = h.lease(h.Store, st, "2026-03-10")
	if err := w.resume(t.Context()); !errors.Is(err, ErrStageLost) {
		t.Errorf("going on with an empty stage: %v", err)
	}
	if err := w.Begin(t.Context(), st.Ask(w.Window, noon), noon.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if l := w.Lists[0]; *l != (List{Ask: w.Ask}) || !w.Started.Equal(noon.Add(time.Minute)) {
		t.Errorf("the walk that begins anew is at %+v since %v", *l, w.Started)
	}
	h.stage(w, []string{"00 a - 1 1"})
	if p := h.publish(w, false); p.Inserted != 1 {
		t.Errorf("published %+v", p)
	}
}

// A walk that is too old to go on with begins anew: its first pages would tell of another time than its last.
func TestWalkOfYesterdayBeginsAnew(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	st := h.stream("hour/sim")
	for _, c := range []struct {
		later time.Duration
		pages int32
	}{{23 * time.Hour, 1}, {24 * time.Hour, 0}} {
		w := h.walk(h.Store, st, "2026-03-10")
		h.stage(w, []string{"00 a - 1 1"}, nil)
		w.Lists[0].Pages = 1
		h.exec(`UPDATE simusage.list SET pages = 1`)
		if err := w.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		w = h.lease(h.Store, st, "2026-03-10")
		if err := w.Begin(t.Context(), st.Ask(w.Window, noon.Add(c.later)), noon.Add(c.later)); err != nil {
			t.Fatal(err)
		}
		if w.Lists[0].Pages != c.pages {
			t.Errorf("%v later the walk goes on at page %d", c.later, w.Lists[0].Pages)
		}
		if asked := w.Ask.End.Equal(at("2026-03-10 12:00")); asked != (c.pages == 1) {
			t.Errorf("%v later the walk asks until %v", c.later, w.Ask.End)
		}
		if !w.Lists[0].Done {
			h.stage(w, []string{"00 a - 1 1"})
		}
		h.publish(w, false)
	}
}

// Postgres itself ends a transaction whose client fell silent: its locks would keep the slice from being taken over.
func TestTransactionsEndWithoutTheirClient(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	var inside string
	err := h.inTx(t.Context(), func(tx pgx.Tx) error {
		return tx.QueryRow(t.Context(), `SHOW idle_in_transaction_session_timeout`).Scan(&inside)
	})
	if err != nil || inside != "1min" {
		t.Errorf("inside a transaction the limit is %q, %v", inside, err)
	}
	// A transaction pooler gives the connection to others: nothing of it may stay.
	if err := h.pool.QueryRow(t.Context(), `SHOW idle_in_transaction_session_timeout`).Scan(&inside); err != nil || inside != "0" {
		t.Errorf("after it %q, %v", inside, err)
	}
	err = h.inTx(t.Context(), func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `SET LOCAL idle_in_transaction_session_timeout = '1ms'`); err != nil {
			return err
		}
		h.await("0", `SELECT count(*) FROM pg_stat_activity WHERE pid = $1::int`, tx.Conn().PgConn().PID())
		_, err := tx.Exec(t.Context(), `SELECT 1`)
		return err
	})
	if !Lost(err) {
		t.Errorf("a transaction that Postgres ended: %v", err)
	}
}

func TestLostAndBroken(t *testing.T) {
	t.Parallel()
	answer := func(code string) error { return fmt.Errorf("stage: %w", &pgconn.PgError{Code: code}) }
	// A server that takes no connection in time is as lost as one that refuses it.
	cfg, err := ParseURL("postgres://nobody@127.0.0.1:1/none?connect_timeout=1")
	if err != nil {
		t.Fatal(err)
	}
	cfg.ConnConfig.ConnectTimeout = time.Millisecond
	cfg.ConnConfig.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	_, silent := pgconn.ConnectConfig(t.Context(), &cfg.ConnConfig.Config)
	cases := []struct {
		name         string
		err          error
		lost, broken bool
	}{
		{"nothing", nil, false, false},
		{"stopped", context.Canceled, false, false},
		{"deadline", context.DeadlineExceeded, false, false},
		{"fenced", ErrFenced, false, false},
		{"shutdown", answer("57P01"), true, false},
		{"statement cancelled", answer("57014"), false, false},
		{"deadlock", answer("40P01"), true, false},
		{"pooler lost its server", answer("08006"), true, false},
		{"disk full", answer("53100"), false, true},
		{"read-only", answer("25006"), false, true},
		{"no right", answer("42501"), false, true},
		{"bad row", answer("22003"), false, false},
		{"no code", answer(""), false, false},
		{"cut", &net.OpError{Op: "read", Err: errors.New("reset")}, true, false},
		{"no answer", silent, true, false},
		{"no answer to a lease", fmt.Errorf("lease a slice: %w", errSilent), true, false},
		{"the API cut its answer", errors.New("read the answer: unexpected EOF"), false, false},
	}
	for _, c := range cases {
		if Lost(c.err) != c.lost || Broken(c.err) != c.broken {
			t.Errorf("%s: %v: lost %t, broken %t", c.name, c.err, Lost(c.err), Broken(c.err))
		}
	}
	if !Lost(answer("53300")) || !Lost(answer("25P03")) {
		t.Error("no room for a connection, and a transaction that Postgres ended, are worth another try")
	}
}
