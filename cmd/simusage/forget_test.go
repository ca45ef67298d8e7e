package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"simusage/extract/fakeapi"
)

// twoAccounts is a bench of the accounts main and emea, each of which has something in every table: two currencies, records
// that were set aside, restatements, usage that only the total has, a walk that was killed, streams that no view reads.
func twoAccounts(t *testing.T) (b *bench, emea *fakeapi.World, calm func()) {
	t.Helper()
	b = newBench(t, migrated, fakeapi.WorldConfig{Seed: 3, Unattributed: 0.2}, fakeapi.Options{DropUnattributed: true})
	emea = fakeapi.NewWorld(fakeapi.WorldConfig{Seed: 4, Sims: 6, Start: b.since, End: noon.AddDate(0, 0, 1), Unattributed: 0.2, Unit: "EUR"})
	api := fakeapi.New(emea, fakeapi.Options{Profile: fakeapi.Kore, DropUnattributed: true, Clock: func() time.Time { return b.now }})
	url := serve(t, api)
	maps.Copy(b.env, env{"SIMUSAGE_ACCOUNTS": "main,emea",
		"EMEA_SIMUSAGE_PROVIDER": "kore", "EMEA_SIMUSAGE_BASE_URL": url, "EMEA_SIMUSAGE_TOKEN_URL": url + fakeapi.TokenPath,
		"EMEA_KORE_CLIENT_ID": "fake-client", "EMEA_KORE_CLIENT_SECRET": "fake-secret"})
	b.must(0, "sync", "--settle=0s")
	b.now = b.now.Add(time.Hour)
	for _, world := range []*fakeapi.World{b.world, emea} {
		world.Amend(time.Time{}, func(e *fakeapi.Event) bool { e.Upload += 7; return e.Start.Before(noon.AddDate(0, 0, -1)) })
	}
	for _, s := range []*fakeapi.Server{b.api, api} {
		s.Inject(fakeapi.Fault{Every: 1, Match: func(r *http.Request) bool { return r.URL.Query().Get("Group") == "" }, Do: fakeapi.BadRow(`{"data_total": -1, "note": "lost"}`)})
	}
	b.must(0, "backfill", "--from=2026-03-07", "--to=2026-03-10", "--again", "--settle=0s")
	// A walk that nobody ended, and a run that failed and says of whom.
	for _, account := range []string{"main", "emea"} {
		b.exec(`WITH walk AS (SELECT min(slice.id) AS id FROM simusage.slice JOIN simusage.stream ON stream.id = stream_id JOIN simusage.account ON account.id = account_id WHERE account.name = $1)
			INSERT INTO simusage.list (slice_id, no, value) SELECT id, 0, '' FROM walk`, account)
		b.exec(fmt.Sprintf(`DO $$ DECLARE a record; BEGIN
				SELECT account.id, account.sid, min(slice.id) AS slice, min(fleet.sid) AS fleet INTO a FROM simusage.account JOIN simusage.stream ON account_id = account.id
					JOIN simusage.slice ON stream_id = stream.id JOIN simusage.fleet ON fleet.account_id = account.id WHERE account.name = '%s' GROUP BY 1, 2;
				EXECUTE format('CREATE UNLOGGED TABLE simusage.stage_%%s_span (data text)', a.slice);
				EXECUTE format('CREATE UNLOGGED TABLE simusage.names_%%s_99_sims (sid text)', a.id);
				INSERT INTO simusage.run (command, arguments, host, pid, version, error) VALUES ('sync', '', '', 1, '', 'the credentials are of ' || a.sid),
					('backfill', '--stream=hour/sim:fleet=' || a.fleet, '', 1, '', NULL);
			END $$`, account))
	}
	return b, emea, func() { b.api.ClearFaults(); api.ClearFaults() }
}

// everything is all rows of the machine room as text, with their tables in front.
func (b *bench) everything() []string {
	b.t.Helper()
	var all []string
	for _, table := range b.query(`SELECT tablename::text FROM pg_tables WHERE schemaname = 'simusage' AND tablename !~ '_20\d\d_\d\d$|^(stage|names)_'`) {
		for _, row := range b.query(`SELECT to_jsonb(t)::text FROM simusage.` + table + ` t`) {
			all = append(all, table+" "+row)
		}
	}
	return all
}

// An account that is forgotten is nowhere any more, and nobody else has lost or gained anything.
func TestForget(t *testing.T) {
	t.Parallel()
	b, emea, calm := twoAccounts(t)
	// What can be found of an account: its number, those of its streams, slices and series, its SID, and the SIDs of its SIMs and fleets.
	numbers := func(sql string) map[string]bool {
		found := make(map[string]bool)
		for _, n := range b.query(sql) {
			found[n] = true
		}
		return found
	}
	const of = ` FROM simusage.account JOIN simusage.stream ON stream.account_id = account.id `
	streams := numbers(`SELECT stream.id` + of + `WHERE account.name = 'emea'`)
	slicesOf := numbers(`SELECT slice.id` + of + `JOIN simusage.slice ON slice.stream_id = stream.id WHERE account.name = 'emea'`)
	texts := b.query(`SELECT sid FROM simusage.account WHERE name = 'emea' UNION SELECT sim.sid FROM simusage.sim JOIN simusage.account ON account.id = account_id WHERE account.name = 'emea'
		UNION SELECT fleet.sid FROM simusage.fleet JOIN simusage.account ON account.id = account_id WHERE account.name = 'emea' UNION SELECT 'emea'`)
	account := b.query(`SELECT id FROM simusage.account WHERE name = 'emea'`)[0]
	its := func(row string) bool {
		for _, column := range []struct {
			name string
			ids  map[string]bool
		}{{"account_id", map[string]bool{account: true}}, {"stream_id", streams}, {"slice_id", slicesOf}} {
			if _, after, found := strings.Cut(row, `"`+column.name+`": `); found && column.ids[after[:strings.IndexAny(after, ",}")]] {
				return true
			}
		}
		return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(row, text) })
	}
	before := b.everything()
	tables := make(map[string]bool)
	var others []string // what is not its; runs, which are of all accounts, say less afterwards
	for _, row := range before {
		if table, _, _ := strings.Cut(row, " "); its(row) {
			tables[table] = true
		} else if table != "run" {
			others = append(others, row)
		}
	}
	for _, table := range []string{"account", "stream", "feed", "series", "usage_hourly", "usage_daily", "usage_monthly", "slice", "list", "slice_sum", "restatement", "rejected",
		"run", "sim", "sim_history", "fleet", "drift"} {
		if !tables[table] {
			t.Errorf("table %s has nothing of the account, so this test says nothing of it", table)
		}
	}

	const days = `SELECT account_sid, day, data_total FROM usage.total_daily WHERE day < '2026-03-10'`
	total := b.query(days)
	if r := b.must(0, "forget", "--account=emea"); !strings.Contains(r.stdout, "nothing was deleted; to delete all of this for ever: simusage forget --account=emea --yes\n") {
		t.Errorf("forget says\n%s", r.stdout)
	}
	if now := b.everything(); !slices.Equal(now, before) {
		t.Errorf("forget without --yes has changed something%s", firstDifference(now, before))
	}
	r := b.must(0, "forget", "--account=emea", "--yes")
	if !strings.Contains(r.stdout, `forgotten: account "emea" `+emea.AccountSID()+"\n") {
		t.Errorf("forget says\n%s", r.stdout)
	}
	var after []string
	for _, row := range b.everything() {
		if its(row) {
			t.Errorf("left: %s", row)
		} else if !strings.HasPrefix(row, "run ") {
			after = append(after, row)
		}
	}
	if !slices.Equal(after, others) {
		t.Errorf("%d rows are left, others had %d%s", len(after), len(others), firstDifference(after, others))
	}
	stages := b.query(`SELECT tablename::text FROM pg_tables WHERE schemaname = 'simusage' AND tablename ~ '_span$|_sims$'`)
	if len(stages) != 2 {
		t.Errorf("stages %v, want those of the other account", stages)
	}
	b.must(2, "forget", "--account=emea", "--yes")
	b.must(2, "forget", "--yes")

	// The other account goes on, and whoever comes again begins anew.
	calm()
	b.must(0, "sync")
	if again := b.query(days); !slices.Equal(again, total) || len(again) != 6 {
		t.Errorf("loaded anew, the days are %v, they were %v", again, total)
	}
}

// Whoever is at work on an account keeps it: nothing of it may be written behind the back of who forgets it.
func TestForgetWaits(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 3}, fakeapi.Options{})
	b.must(0, "sync")
	b.exec(`UPDATE simusage.slice SET leased_by = 'somebody', lease_expires_at = clock_timestamp() + interval '1 hour' WHERE id = 1`)
	before := b.everything()
	if r := b.must(1, "forget", "--account=", "--yes"); !strings.Contains(r.stderr, "take the account out of the configuration") {
		t.Errorf("forget says %s", r.stderr)
	}
	if now := b.everything(); !slices.Equal(now, before) {
		t.Errorf("it has changed something%s", firstDifference(now, before))
	}
	b.exec(`UPDATE simusage.slice SET lease_expires_at = clock_timestamp()`)
	// A rollup that has begun is waited for, and what it wrote goes too.
	conn := b.connect()
	defer conn.Close(context.WithoutCancel(t.Context()))
	for _, sql := range []string{`BEGIN`, `SELECT FROM simusage.account FOR KEY SHARE`, `INSERT INTO simusage.usage_monthly SELECT '2026-01-01', series_id, 1, 1, 2, now(), stream_id, 0, NULL FROM simusage.usage_monthly LIMIT 1`} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	code := make(chan int)
	go func() { code <- b.run("forget", "--account="+b.world.AccountSID(), "--yes").code }()
	for len(b.query(`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`)) == 0 {
		select {
		case c := <-code:
			t.Fatalf("it did not wait: exit code %d", c)
		case <-time.After(10 * time.Millisecond):
		}
	}
	if _, err := conn.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if c := <-code; c != 0 {
		t.Errorf("exit code %d", c)
	}
	if left := b.query(`SELECT FROM simusage.usage_monthly`); len(left) > 0 {
		t.Errorf("%d months are left", len(left))
	}
}
