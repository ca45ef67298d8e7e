package pipeline

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"simusage/extract"
	"simusage/extract/fakeapi"
	"simusage/load"
)

func TestSyncEqualsTheOracle(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{})
	b.sync()
	b.equal("total", "country", "sim", "sim_country")
	for _, line := range b.query(`SELECT stream, window_start, reconciled FROM usage.reconciliation WHERE reconciled IS NOT TRUE`) {
		t.Errorf("not reconciled: %s", line)
	}
	if n := len(b.query(`SELECT window_start FROM usage.reconciliation`)); n != 20 {
		t.Errorf("%d slices to reconcile, want 2 streams × 10 days", n)
	}
}

func TestSyncWithAThirdOfAllAnswersFaulty(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 2}, fakeapi.Options{})
	b.api.Flaky(0.33, 7)
	b.sync()
	b.equal("total", "country", "sim", "sim_country")
	for _, status := range []int{429, 500, 502} {
		if b.api.Statuses()[status] == 0 {
			t.Errorf("no answer was made to fail with %d: %v", status, b.api.Statuses())
		}
	}
}

func TestLateUsageAndBillingArrive(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 3, Sims: 10, Late: 0.3}, fakeapi.Options{})
	for range 4 {
		b.sync()
		b.equal("total", "country", "sim", "sim_country")
		b.clock.Advance(5 * time.Hour)
	}
}

// Every group and every fan-out, at every granularity that feeds views.
func TestStreamsFeedTheirViews(t *testing.T) {
	for _, c := range []struct{ streams, families string }{
		{"hour/total hour/sim hour/country", "total sim country"},
		{"hour/fleet hour/network", "fleet network"},
		{"hour/sim@fleet hour/sim@network", "sim fleet network"},
		{"hour/country@sim", "sim country sim_country"},
	} {
		t.Run(c.streams, func(t *testing.T) {
			b := newBench(t, fakeapi.WorldConfig{Seed: 4, Sims: 8}, fakeapi.Options{})
			b.streams = parseStreams(t, strings.Fields(c.streams)...)
			b.sync()
			b.equal(strings.Fields(c.families)...)
		})
	}
}

// Streams by day and by month feed the views of their grain and coarser ones, and ask for finished days only.
func TestStreamsByDayAndByMonth(t *testing.T) {
	for _, c := range []struct {
		streams string
		grains  []string
	}{{"day/total day/sim@country", []string{"day", "month"}}, {"all/total all/sim@country", []string{"month"}}} {
		t.Run(c.streams, func(t *testing.T) {
			b := newBench(t, fakeapi.WorldConfig{Seed: 4, Sims: 8, Start: at("2026-02-20")}, fakeapi.Options{RefuseFuture: true, RefuseUnaligned: true})
			b.since = at("2026-02-01")
			b.streams = parseStreams(t, strings.Fields(c.streams)...)
			b.sync()
			for _, family := range []string{"total", "country", "sim", "sim_country"} {
				for _, grain := range c.grains {
					difference(t, family+" by "+grain, b.view(family, grain), lines(b.world.Sum(b.clock.Now(), b.since, at("2026-03-10"), grain, views[family]...)))
				}
			}
		})
	}
}

func TestASecondRunAsksForNothing(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 6, Sims: 6, Late: -1}, fakeapi.Options{})
	first := b.sync()
	b.api.Reset()
	if s := b.sync(); s.Requests != 0 || s.Slices != 0 || len(b.api.Requests()) != 0 {
		t.Errorf("the second run asked %d times for %d slices", s.Requests, s.Slices)
	}
	// An hour on, the slices that are not settled are asked for, and only these; what is unchanged is not written.
	facts := `SELECT xmin, ctid, * FROM simusage.usage_hourly WHERE period_start < '2026-03-09'`
	before := b.query(facts)
	b.clock.Advance(time.Hour)
	s := b.sync()
	if want := 3 * 4; s.Slices != want {
		t.Errorf("%d slices after an hour, want the %d that are not settled", s.Slices, want)
	}
	for _, r := range b.api.Requests() {
		if strings.Contains(r.Query, "StartTime=2026-03-0") && !strings.Contains(r.Query, "StartTime=2026-03-07") &&
			!strings.Contains(r.Query, "StartTime=2026-03-08") && !strings.Contains(r.Query, "StartTime=2026-03-09") {
			t.Errorf("a settled slice was asked for: %s", r.Query)
		}
	}
	if first.Inserted == 0 || s.Deleted != 0 {
		t.Errorf("first run %+v, second run %+v", first, s)
	}
	difference(t, "settled and billed facts as rows of the disk", b.query(facts), before)
	b.equal("total", "country", "sim", "sim_country")
}

// The list restarts from its first page when its token is refused, once; a slice is not lost by it.
func TestPromise8ARefusedTokenRestartsTheList(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 7, Sims: 6}, fakeapi.Options{StaleTokenCode: 21481})
	b.streams = parseStreams(t, "hour/sim")
	b.pageSize = 10
	b.api.Inject(fakeapi.Fault{After: 3, Match: fakeapi.WithToken, Do: b.api.RefuseToken()})
	b.sync()
	b.equal("sim")

	b.clock.Advance(time.Hour)
	b.api.Inject(fakeapi.Fault{Times: -1, Match: fakeapi.WithToken, Do: b.api.RefuseToken()})
	s, err := b.process().Sync(t.Context(), load.RunStart{Command: "sync"})
	if !errors.Is(err, extract.ErrTokenRefused) || s.Outcome == Done {
		t.Errorf("tokens that are always refused: outcome %s, error %v", s.Outcome, err)
	}
}

// Rows that repeat or shift between pages are counted once.
func TestShiftedPages(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 8, Sims: 8}, fakeapi.Options{})
	b.streams = parseStreams(t, "hour/sim")
	b.pageSize = 20
	b.api.Inject(fakeapi.Fault{Every: 3, Match: fakeapi.WithToken, Do: fakeapi.ShiftRows(3)}, fakeapi.Fault{Every: 4, Match: fakeapi.WithToken, Do: fakeapi.RepeatPreviousPage()})
	b.sync()
	b.equal("sim")
}

func TestBadRecordsAreSetAside(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 9, Sims: 6}, fakeapi.Options{})
	b.streams = parseStreams(t, "hour/sim")
	b.pageSize = 1000
	raw := `{"sim_sid":"HSaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","period":null,"data_total":5}`
	b.api.Inject(fakeapi.Fault{After: 1, Do: fakeapi.BadRow(raw)})
	if s := b.sync(); s.Rejected != 1 {
		t.Errorf("%d records set aside, want 1", s.Rejected)
	}
	b.equal("sim")
	if got := b.query(`SELECT raw FROM simusage.rejected`); len(got) != 1 || got[0] != raw {
		t.Errorf("set aside: %q", got)
	}
}

// A stream whose question the API refuses is set aside; the others go on, and the run does not say that all is well.
func TestARefusedStreamDoesNotStopTheOthers(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 10, Sims: 6}, fakeapi.Options{RefusePairs: []string{"sim+IsoCountry"}})
	s, err := b.process().Sync(t.Context(), load.RunStart{Command: "sync"})
	if s.Outcome != Partly || !errors.Is(err, extract.ErrRefused) {
		t.Errorf("outcome %s, error %v", s.Outcome, err)
	}
	b.equal("total")
	asked := 0
	for _, r := range b.api.Requests() {
		if r.Status == http.StatusBadRequest {
			asked++
		}
	}
	if asked > 2 {
		t.Errorf("the refused question was asked %d times, want once for each worker at most", asked)
	}
	// The country views were to read the refused stream. Without it in the configuration they read what there is.
	b.streams = b.streams[:2]
	b.sync()
	b.equal("total", "country")
}

func TestOneAccountsBadCredentialsDoNotStopTheOthers(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 11, Sims: 6}, fakeapi.Options{})
	job := b.process()
	provider, _ := extract.ProviderByName("twilio")
	provider.BaseURL = b.apiURL
	bad, err := extract.New(extract.Config{Provider: provider, Credentials: extract.Credentials{AccountSID: "AC" + strings.Repeat("0", 32), AuthToken: "wrong"}})
	if err != nil {
		t.Fatal(err)
	}
	job.Accounts[0].Name = "main"
	job.Accounts = append(job.Accounts, Account{Name: "emea", SID: "AC" + strings.Repeat("0", 32), Streams: b.streams, Client: bad})
	s, err := job.Sync(t.Context(), load.RunStart{Command: "sync"})
	if s.Outcome != Partly || !errors.Is(err, extract.ErrCredentials) || s.LeftDue != 30 {
		t.Errorf("outcome %s, %d left due, error %v", s.Outcome, s.LeftDue, err)
	}
	b.equal("total", "country", "sim", "sim_country")
}

func TestAnAccountThatIsNotWhoItWasIsLeftOut(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 16, Sims: 6}, fakeapi.Options{})
	b.exec(`INSERT INTO simusage.account (name, sid, created_at) VALUES ('main', 'AC` + strings.Repeat("9", 32) + `', now())`)
	job := b.process()
	other := job.Accounts[0]
	other.Name, other.SID = "main", "AC"+strings.Repeat("8", 32)
	job.Accounts[0].Name = "emea"
	job.Accounts = append([]Account{other}, job.Accounts...)
	s, err := job.Sync(t.Context(), load.RunStart{Command: "sync"})
	if s.Outcome != Partly || !errors.Is(err, load.ErrAccount) {
		t.Errorf("outcome %s, error %v", s.Outcome, err)
	}
	b.equal("total", "country", "sim", "sim_country")

	job.Accounts = job.Accounts[:1]
	if s, err := job.Sync(t.Context(), load.RunStart{Command: "sync"}); s.Outcome != Refused || !errors.Is(err, load.ErrAccount) {
		t.Errorf("alone: outcome %s, error %v", s.Outcome, err)
	}
}

func TestFeedsSwitchWithoutCountingTwice(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 12, Sims: 6, Late: -1}, fakeapi.Options{})
	b.streams = parseStreams(t, "hour/total", "hour/sim", "hour/country")
	b.sync()
	b.equal("total", "country", "sim")

	// The new stream is complete for the last days only: it takes over from there.
	b.streams = parseStreams(t, "hour/total", "hour/sim@country")
	job := b.process()
	job.Since = Since{At: at("2026-03-06")}
	if _, err := job.Sync(t.Context(), load.RunStart{Command: "sync"}); err != nil {
		t.Fatal(err)
	}
	b.equal("total", "country", "sim")
	want := []string{"hour/sim -infinity 2026-03-06", "hour/sim@country 2026-03-06 infinity"}
	difference(t, "feeds", b.query(`SELECT concat_ws(' ', stream, valid_from::date, valid_to::date) FROM usage.feeds WHERE family = 'sim' AND grain = 'hour'`), want)

	// A backfill of the rest lets it take over altogether.
	_, err := b.process().Backfill(t.Context(), load.RunStart{Command: "backfill"}, Range{Window: extract.Window{Start: b.since, End: at("2026-03-06")}})
	if err != nil {
		t.Fatal(err)
	}
	b.equal("total", "country", "sim", "sim_country")
	want = []string{"hour/sim -infinity 2026-03-01", "hour/sim@country 2026-03-01 infinity"}
	difference(t, "feeds", b.query(`SELECT concat_ws(' ', stream, valid_from::date, valid_to::date) FROM usage.feeds WHERE family = 'sim' AND grain = 'hour'`), want)
}

func TestBackfillAgain(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 13, Sims: 6, Late: -1}, fakeapi.Options{})
	b.sync()
	changed := b.world.Amend(time.Time{}, func(e *fakeapi.Event) bool {
		if e.Start.Format("2006-01-02") != "2026-03-02" {
			return false
		}
		e.Upload += 1000
		return true
	})
	window := extract.Window{Start: at("2026-03-02"), End: at("2026-03-04")}
	if s, err := b.process().Backfill(t.Context(), load.RunStart{}, Range{Window: window}); err != nil || s.Slices != 0 {
		t.Errorf("settled slices were asked for without --again: %d, %v", s.Slices, err)
	}
	b.clock.Advance(time.Minute)
	s, err := b.process().Backfill(t.Context(), load.RunStart{}, Range{Window: window, AgainBefore: b.clock.Now()})
	if err != nil || s.Slices != 6 || s.Unchanged != 3 {
		t.Errorf("again: %d slices, %d unchanged, %v; want 3 streams × 2 days, one of them unchanged", s.Slices, s.Unchanged, err)
	}
	b.equal("total", "country", "sim", "sim_country")
	if n := len(b.query(`SELECT * FROM usage.restatements WHERE stream = 'hour/sim@country'`)); n == 0 || n > changed {
		t.Errorf("%d restatements of %d changed events", n, changed)
	}
}

func TestEstimateAsksAndWritesNothing(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 14, Sims: 6}, fakeapi.Options{})
	tables := `SELECT (SELECT count(*) FROM simusage.account) + (SELECT count(*) FROM simusage.slice) + (SELECT count(*) FROM simusage.run)`
	estimates, err := b.process().Estimate(t.Context(), Range{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range estimates {
		if e.Slices != 10 || e.Lists < 2 || e.Requests < e.Lists {
			t.Errorf("%s before the first load: %d slices, %d requests", e.Stream.Stream, e.Slices, e.Requests)
		}
	}
	if got := b.query(tables); got[0] != "0" || len(b.api.Requests()) != 0 {
		t.Errorf("the estimate wrote %s rows and asked %d times", got, len(b.api.Requests()))
	}
	s := b.sync()
	again, err := b.process().Estimate(t.Context(), Range{Window: extract.Window{Start: b.since, End: at("2026-03-11")}, AgainBefore: b.clock.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	var requests int64
	for _, e := range again {
		requests += e.Requests
	}
	if low, high := s.Requests*7/10, s.Requests*13/10; requests < low || requests > high {
		t.Errorf("reading all again is estimated at %d requests, the first time took %d", requests, s.Requests)
	}
}

func TestStopKeepsProgress(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 15, Sims: 6}, fakeapi.Options{})
	m := &mortal{} // never dies; its life can be ended
	life := m.life(t.Context())
	b.around = roundTrip(func(r *http.Request) (*http.Response, error) {
		if len(b.api.Requests()) >= 20 {
			m.end()
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	s, err := b.process().Sync(life, load.RunStart{Command: "sync"})
	if s.Outcome != Stopped || err == nil {
		t.Fatalf("outcome %s, %v", s.Outcome, err)
	}
	if held := b.query(`SELECT id FROM simusage.slice WHERE leased_by IS NOT NULL`); len(held) > 0 {
		t.Errorf("%d slices are still leased after a stop in order", len(held))
	}
	b.around = nil
	b.sync()
	b.equal("total", "country", "sim", "sim_country")
	seen := make(map[string]int)
	again := 0
	for _, r := range b.api.Requests() {
		page := fmt.Sprint(r.Path, r.Query, r.Page)
		if seen[page]++; seen[page] > 1 {
			again++
		}
	}
	if again > 2 {
		t.Errorf("%d pages were asked for again, want at most one for each of the 2 open lists", again)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
