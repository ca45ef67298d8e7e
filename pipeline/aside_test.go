package pipeline

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"simusage/extract"
	"simusage/extract/fakeapi"
	"simusage/load"
)

// odd are records of 2026-03-08 that cannot be understood, and why.
var odd = []struct{ raw, reason string }{
	{`7`, "not an object"},
	{`"text"`, "not an object"},
	{`[{}]`, "not an object"},
	{`null`, "not an object"},
	{`{}`, "no data_total"},
	{`{"data_upload":1,"data_download":2,"data_total":3}`, "no period that can be read"},
	{`{"period":null,"data_upload":1,"data_download":2,"data_total":3}`, "no period that can be read"},
	{`{"period":{"start_time":"soon"},"data_upload":1,"data_download":2,"data_total":3}`, "no period that can be read"},
	{hour08 + `"data_upload":-1,"data_download":2,"data_total":1}`, "data_upload is no whole number of bytes"},
	{hour08 + `"data_upload":1,"data_download":2.5,"data_total":3}`, "data_download is no whole number of bytes"},
	{hour08 + `"data_upload":1,"data_download":2,"data_total":"3 MB"}`, "data_total is no whole number of bytes"},
	{hour08 + `"data_upload":1,"data_download":2,"data_total":9223372036854775808}`, "data_total is no whole number of bytes"},
	{`{"period":{"start_time":"2026-03-07T23:00:00Z","end_time":"2026-03-08T00:00:00Z"},"data_upload":1,"data_download":2,"data_total":3}`,
		"bucket outside what was asked"},
	{`{"period":{"start_time":"2026-03-08T00:00:00Z","end_time":"2026-03-09T00:00:00Z"},"data_upload":1,"data_download":2,"data_total":3}`,
		"bucket outside what was asked"},
}

const hour08 = `{"period":{"start_time":"2026-03-08T05:00:00Z","end_time":"2026-03-08T06:00:00Z"},`

// onDay matches the lists that cover a day, alone or with others.
func onDay(day string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		from, until := r.URL.Query().Get("StartTime"), r.URL.Query().Get("EndTime")
		return from < day+"T24" && until > day+"T00:00:00Z" // as text, times in UTC are in order
	}
}

// Whatever cannot be understood is set aside, with its text, and everything beside it is loaded. It goes when its slice
// is published again without it; that of other slices stays.
func TestWhatIsNotUnderstoodIsSetAside(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 31}, fakeapi.Options{})
	b.streams, b.settle = parseStreams(t, "hour/total"), time.Hour
	var want []string
	for _, record := range odd {
		b.api.Inject(fakeapi.Fault{Every: 1, Match: onDay("2026-03-08"), Do: fakeapi.BadRow(record.raw)})
		want = append(want, "2026-03-08 "+record.reason+" "+record.raw)
	}
	b.api.Inject(fakeapi.Fault{Every: 1, Match: onDay("2026-03-10"), Do: fakeapi.BadRow("8")})
	aside := func() []string {
		return b.query(`SELECT to_char(window_start, 'YYYY-MM-DD'), reason, raw FROM usage.rejected WHERE stream = 'hour/total' AND list_value = ''`)
	}
	if s := b.sync(); s.Rejected != int64(len(odd)+1) {
		t.Errorf("%d records set aside, want %d", s.Rejected, len(odd)+1)
	}
	b.equal("total")
	slices.Sort(want)
	difference(t, "set aside", aside(), append(slices.Clone(want), "2026-03-10 not an object 8"))

	b.api.ClearFaults()
	b.api.Inject(fakeapi.Fault{Every: 1, Match: onDay("2026-03-10"), Do: fakeapi.BadRow("9")})
	b.clock.Advance(2 * time.Hour)
	b.sync() // today again; the 8th is settled
	difference(t, "set aside after today was read again", aside(), append(slices.Clone(want), "2026-03-10 not an object 9"))

	_, err := b.process().Backfill(t.Context(), load.RunStart{Command: "backfill"},
		Range{Window: extract.Window{Start: at("2026-03-08"), End: at("2026-03-09")}, AgainBefore: b.clock.Now()})
	if err != nil {
		t.Fatal(err)
	}
	difference(t, "set aside after the 8th was read again", aside(), []string{"2026-03-10 not an object 9"})
}

// A walk that is begun anew, because it was left and is too old to be gone on with, sets the same records aside once.
func TestWalkBegunAnewSetsAsideOnce(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 32}, fakeapi.Options{})
	b.streams, b.since = parseStreams(t, "hour/sim@country"), at("2026-03-10")
	grouped := func(by string) func(*http.Request) bool {
		return func(r *http.Request) bool { return onDay("2026-03-10")(r) && r.URL.Query().Get("Group") == by }
	}
	whichCountries := fakeapi.Fault{Every: 1, Match: grouped("isoCountry"), Do: fakeapi.BadRow("7")}
	b.api.Inject(whichCountries, fakeapi.Fault{Every: 1, Match: grouped("sim"), Do: fakeapi.Status(http.StatusBadRequest)})
	aside := `SELECT raw FROM usage.rejected`
	for range 2 {
		if _, err := b.process().Sync(t.Context(), load.RunStart{Command: "sync"}); err == nil {
			t.Fatal("a sync whose second list fails is done")
		}
		difference(t, "set aside by a walk under way", b.query(aside), []string{"7"})
		b.clock.Advance(25 * time.Hour)
	}
	b.api.ClearFaults()
	b.api.Inject(whichCountries)
	b.sync()
	difference(t, "set aside at the end", b.query(aside), []string{"7"})
	difference(t, "kept at the end", b.query(`SELECT raw FROM simusage.rejected`), []string{"7"})
}

// warnings collects the messages of level warn.
type warnings struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *warnings) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(line)
}

// recorded is a process whose store tells its warnings to log.
func (b *bench) recorded(log *warnings) *Job {
	b.t.Helper()
	store, err := load.Open(b.t.Context(), b.database, load.Options{Owner: b.clock.Now().String(), Lease: time.Minute,
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(store.Close)
	return b.job(store, slog.New(slog.DiscardHandler))
}

// renames changes the name of a field in all answers of a list.
func (b *bench) renames(path, old, field string) {
	b.api.Inject(fakeapi.Fault{Every: 1, Match: fakeapi.OnPath("/v1/" + path), Do: fakeapi.Replace(`"`+old+`"`, `"`+field+`"`)})
}

// drifts holds what readers see of drift against what is wanted, and how often the log was told.
func (b *bench) drifts(log *warnings, want ...string) {
	b.t.Helper()
	slices.Sort(want)
	difference(b.t, "drift", b.query(`SELECT resource, kind, field FROM usage.drift WHERE account_sid = $1`, b.world.AccountSID()), want)
	if n := strings.Count(log.text.String(), "the API's answers have changed"); n != len(want) {
		b.t.Errorf("told %d times, want %d:\n%s", n, len(want), log.text.String())
	}
}

// A field that is renamed is told once, as one that is new and one that is missing, however many pages, processes and
// runs see it; what it held is null from then on. The lists of names are no other case.
func TestDriftIsToldOnce(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 33}, fakeapi.Options{})
	b.since = at("2026-03-09")
	b.renames("UsageRecords", "billed_unit", "billed_currency")
	b.renames("Sims", "status", "state")
	b.renames("Fleets", "sms_commands_url", "sms_url")
	b.renames("Networks", "mnc", "network_code")
	var log warnings
	for range 3 {
		if _, err := b.recorded(&log).Sync(t.Context(), load.RunStart{Command: "sync"}); err != nil {
			t.Fatal(err)
		}
		b.clock.Advance(7 * time.Hour)
	}
	b.drifts(&log, "usage_records missing billed_unit", "usage_records new billed_currency",
		"sims missing status", "sims new state", "fleets missing sms_commands_url", "fleets new sms_url",
		"networks.identifiers missing mnc", "networks.identifiers new network_code")
	if n := b.query(`SELECT count(*), count(status), count(fleet_sid) > 0 FROM usage.sim`)[0]; n != fmt.Sprint(len(b.world.Sims()), " 0 true") {
		t.Errorf("SIMs, with a status, with a fleet: %s", n)
	}
}

// Where the field that is renamed is the one that was asked for, each page is refused, and never loaded: what explains it
// is stored all the same, and told once.
func TestDriftOfRefusedPagesIsToldOnce(t *testing.T) {
	b := newBench(t, fakeapi.WorldConfig{Seed: 34}, fakeapi.Options{})
	b.streams, b.since = parseStreams(t, "hour/sim"), at("2026-03-09") // no stream whose pages have drift and are taken in
	b.renames("UsageRecords", "sim_sid", "sim")
	var log warnings
	for range 2 {
		_, err := b.recorded(&log).Sync(t.Context(), load.RunStart{Command: "sync"})
		if err == nil || !strings.Contains(err.Error(), "missing usage_records.sim_sid") {
			t.Fatalf("a sync of pages without a SIM: %v", err)
		}
		b.clock.Advance(2 * time.Hour)
	}
	b.drifts(&log, "usage_records missing sim_sid", "usage_records new sim")

	b.api.ClearFaults()
	b.renames("Sims", "sid", "id")
	for range 2 {
		b.clock.Advance(time.Second)
		if err := b.recorded(&log).Names(t.Context()); err == nil || !strings.Contains(err.Error(), "missing sims.sid") {
			t.Fatalf("a reading of SIMs without SIDs: %v", err)
		}
	}
	b.drifts(&log, "usage_records missing sim_sid", "usage_records new sim", "sims missing sid", "sims new id")
}
