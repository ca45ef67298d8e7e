package pipeline

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strconv"
	"testing"
	"time"

	"simusage/extract/fakeapi"
	"simusage/load"
)

var soakDays = flag.Int("soak", 1, "`days` of hourly runs in TestSoak; make soak takes 60")

// soak is one hour after another of a process that lives a run long, as a CronJob's does, and of what may go wrong meanwhile.
type soak struct {
	*bench
	random *rand.Rand
	stop   func() // ends the run that goes on, when a request comes that is to end it
	runs   int
}

// hour lets the world go on by an hour, and makes a run in it that may be disturbed.
func (s *soak) hour() {
	s.t.Helper()
	now := s.clock.Advance(time.Hour)
	switch s.random.IntN(12) {
	case 0: // the vendor corrects what is not settled yet
		s.world.Amend(now, func(e *fakeapi.Event) bool {
			e.Download++
			return e.Start.After(now.Add(-24*time.Hour)) && e.Start.Before(now.Add(-2*time.Hour)) && s.random.IntN(10) == 0
		})
	case 1: // stopped in the middle, as by a pod that is moved
		s.api.Inject(fakeapi.Fault{After: s.random.IntN(8), Do: func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
			s.stop()
			<-r.Context().Done()
		}})
	case 2:
		for _, fault := range []fakeapi.Action{fakeapi.Throttle(""), fakeapi.Status(503), fakeapi.Cut(), fakeapi.Drop(), fakeapi.Truncate(), fakeapi.HTML(502)} {
			s.api.Inject(fakeapi.Fault{After: s.random.IntN(12), Times: 1 + s.random.IntN(2), Do: fault})
		}
	case 3: // the token is too old
		s.api.Inject(fakeapi.Fault{Match: fakeapi.WithToken, Do: fakeapi.Status(400)})
	}
	s.run()
}

// run makes one run in a process of its own. Nothing of it stays but what is in the database.
func (s *soak) run() {
	s.t.Helper()
	s.runs++
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	s.stop = cancel
	store, err := load.Open(ctx, s.database, load.Options{Owner: fmt.Sprint("run ", s.runs), Log: log, Lease: s.lease})
	if err != nil {
		s.t.Fatal(err)
	}
	defer store.Close()
	summary, err := s.job(store, log).Sync(ctx, load.RunStart{Command: "sync"})
	if err != nil && !errors.Is(err, context.Canceled) && summary.Outcome != Partly {
		s.t.Errorf("at %s the run %s: %v", s.clock.Now(), summary.Outcome, err)
	}
}

// extent is what must not grow without need: in the program, and in the database beside the facts.
type extent struct {
	heap, routines, connections, stages, lists, partitions int
	books                                                  int // bytes of the tables that are no facts, and no row a run or slice
}

func (s *soak) extent() (e extent) {
	s.t.Helper()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	s.rest()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	e.heap, e.routines = int(m.HeapAlloc), runtime.NumGoroutine()
	s.exec(`VACUUM`)
	for query, into := range map[string]*int{
		`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND application_name !~ '^citus'`: &e.connections,
		`SELECT count(*) FROM pg_tables WHERE schemaname = 'simusage' AND tablename LIKE 'stage%'`:                                                                                  &e.stages,
		`SELECT count(*) FROM simusage.list`:                                                   &e.lists,
		`SELECT count(*) FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE relkind = 'r'`: &e.partitions,
		`SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c WHERE relnamespace = 'simusage'::regnamespace AND relkind = 'r' AND NOT relispartition
			AND relname NOT IN ('run', 'slice', 'slice_sum', 'usage_monthly', 'series', 'restatement', 'sim_history')`: &e.books,
	} {
		*into = s.number(query)
	}
	return e
}

// number is the answer of a query that counts.
func (s *soak) number(query string) int {
	s.t.Helper()
	n, err := strconv.Atoi(s.query(query)[0])
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// rest waits until the server has ended what belonged to connections that are closed; it does so in its own time. What is
// left after ten seconds is left.
func (s *soak) rest() {
	for began := time.Now(); time.Since(began) < 10*time.Second; {
		// A new look each time: within a transaction, Postgres says the same again.
		if s.query(`SELECT count(*) FROM pg_stat_activity, pg_sleep(0.01) WHERE datname = current_database() AND pid <> pg_backend_pid()
			AND backend_type = 'client backend' AND application_name !~ '^citus'`)[0] == "0" {
			return
		}
	}
}

// Days of hourly runs with late usage, late billing, corrections, faults and stopped runs, in minutes: in the end the warehouse
// says what the API says, and nothing has grown but the data.
func TestSoak(t *testing.T) {
	begin := at("2026-03-02 00:07")
	end := begin.AddDate(0, 0, *soakDays)
	b := newBenchAlone(t, fakeapi.WorldConfig{Seed: 70, Sims: 8, Start: at("2026-03-01"), End: end.AddDate(0, 0, 1)}, fakeapi.Options{})
	b.clock.Set(begin)
	b.around = roundTrip(http.DefaultTransport.RoundTrip)
	s := &soak{bench: b, random: rand.New(rand.NewPCG(70, 0))}
	var before extent
	for hour := range 24 * *soakDays {
		s.hour()
		s.api.Reset()
		if hour == 11 { // all caches are warm
			before = s.extent()
		}
		if hour%24 == 23 {
			t.Logf("day %d: %+v", hour/24+1, s.extent())
		}
	}
	after := s.extent()
	for began := time.Now(); after.routines > before.routines+2 && time.Since(began) < 10*time.Second; { // closed connections take their time
		after = s.extent()
	}
	s.api.Reset()
	s.run() // what the last one left
	b.equal("total", "country", "sim", "sim_country")
	if unsettled := b.query(`SELECT stream, settled_until FROM usage.freshness WHERE settled_until < $1 OR holes > 0`, end.AddDate(0, 0, -4)); len(unsettled) > 0 {
		t.Errorf("not settled: %v", unsettled)
	}

	months := (end.Year()-2026)*12 + int(end.Month()) - 2 // from March on
	if after.stages > 0 || after.lists > 0 || after.connections > 0 {
		t.Errorf("%d stages, %d lists, %d connections are left", after.stages, after.lists, after.connections)
	}
	if after.partitions > 2*months { // hours and days
		t.Errorf("%d partitions for %d months", after.partitions, months)
	}
	// What is dead in the facts is room for what comes: they are not much larger than if they were written anew.
	facts := `SELECT sum(pg_total_relation_size(relid))::bigint FROM unnest(ARRAY['simusage.usage_hourly', 'simusage.usage_daily']::regclass[]) parent, pg_partition_tree(parent)`
	written := s.number(facts)
	s.exec(`VACUUM (FULL) simusage.usage_hourly`)
	s.exec(`VACUUM (FULL) simusage.usage_daily`)
	if anew := s.number(facts); written > anew+anew/2+128<<10 {
		t.Errorf("%d bytes of facts would be %d, written anew", written, anew)
	} else {
		t.Logf("%d bytes of facts, %d written anew", written, anew)
	}
	if after.routines > before.routines+2 || after.heap > before.heap+8<<20 {
		t.Errorf("%d goroutines and %d bytes became %d and %d", before.routines, before.heap, after.routines, after.heap)
	}
	if after.books > before.books+128<<10 {
		t.Errorf("%d bytes of books became %d", before.books, after.books)
	}
}
