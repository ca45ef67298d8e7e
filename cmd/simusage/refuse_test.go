package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"simusage/extract/fakeapi"
	"simusage/load/pgtest"
)

// env is variables beside those of the bench.
type env = map[string]string

// Promise 12: bad input stops early and says what to do, before anything is written or asked.
func TestBadInputIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{})
	backfill := func(more ...string) []string { return append([]string{"backfill"}, more...) }
	days := func(more ...string) []string {
		return append([]string{"backfill", "--from=2026-03-07", "--to=2026-03-08"}, more...)
	}
	withoutCitus := env{"DATABASE_URL": postgres.MustStart(t, pgtest.Options{}).URL("postgres")}
	before := b.counts()
	for _, c := range []struct {
		args []string
		env  env
		want string // must stand in the line
	}{
		{nil, nil, "--help"},
		{[]string{"snyc"}, nil, `"snyc"; did you mean sync?`},
		{[]string{"frobnicate"}, nil, `"frobnicate"; see simusage --help`},
		{[]string{"sync", "--frobnicate"}, nil, "--frobnicate"},
		{[]string{"sync", "all"}, nil, `"all"`},
		{[]string{"sync", "--from=2026-03-01"}, nil, "--from, which is for accept, backfill, plan, report, verify; see simusage sync --help"},
		{[]string{"sync", "--concurrency"}, nil, "--concurrency"},
		{[]string{"status", "--json=perhaps"}, nil, `--json "perhaps": want true or false`},
		{backfill("--to=2026-03-08"), nil, "--from"},
		{backfill("--from=2026-03-08"), nil, "--to"},
		{backfill("--from=2026-03-08", "--to=2026-03-08"), nil, "--from 2026-03-08 is not before --to 2026-03-08"},
		{backfill("--from=2026-03-08", "--to=2026-03-07"), nil, "--from"},
		{backfill("--from=8.3.2026", "--to=2026-03-09"), nil, "--from"},
		{backfill("--from=2026-02-30", "--to=2026-03-09"), nil, "--from"},
		{backfill("--from=2026-03-01", "--to=yesterday"), nil, "--to"},
		{backfill("--from=2026-04-01", "--to=2026-04-02"), nil, "--from 2026-04-01 lies in the future"},
		{backfill("--from=2024-03-01", "--to=2026-03-01"), nil, "the earliest possible date is 2024-09-17"},
		{[]string{"plan", "--from=2024-03-01", "--to=2026-03-01"}, nil, "2024-09-17"},
		{[]string{"plan", "--again"}, nil, "--from"},
		{[]string{"plan", "--sims=0"}, nil, "--sims 0 --countries 5: want 1 to"},
		{[]string{"plan", "--countries=9"}, nil, "--sims 0"},
		{[]string{"plan", "--sims=9", "--countries=0"}, nil, "--countries 0"},
		{[]string{"plan", "--sims=9", "--from=2026-03-01"}, nil, "without --from"},
		{[]string{"plan", "--sims=9"}, env{"SIMUSAGE_PAGE_SIZE": "1001"}, "SIMUSAGE_PAGE_SIZE"},
		{[]string{"plan", "--sims=9"}, env{"SIMUSAGE_PROVIDER": "twillio"}, "SIMUSAGE_PROVIDER"},
		{[]string{"plan", "--sims=9"}, env{"SIMUSAGE_STREAMS": "hour"}, "SIMUSAGE_STREAMS"},
		{days("--again", "2026-03-01"), nil, "--again=2026-03-01"},
		{days("--again=tomorrow"), nil, "--again"},
		{days("--again=2026-04-01"), nil, "--again"},
		{days("--stream=hour/fleet"), nil, "--stream hour/fleet"},
		{days("--stream=hour"), nil, "--stream"},
		{days("--stream=hour/total", "--stream=hour/total"), nil, "--stream"},
		{days("--max-duration=-5m"), nil, "--max-duration"},
		{days("--max-duration=0s"), nil, "--max-duration"},
		{days("--max-duration=5"), nil, "--max-duration"},
		{[]string{"sync", "--concurrency=0"}, nil, "--concurrency"},
		{[]string{"sync", "--concurrency=-1"}, nil, "--concurrency"},
		{[]string{"sync", "--concurrency=many"}, nil, "--concurrency"},
		{[]string{"sync"}, env{"SIMUSAGE_CONCURRENCY": "65"}, "SIMUSAGE_CONCURRENCY"},
		{[]string{"sync"}, env{"SIMUSAGE_CONCURRENCY": "99999999999999999999"}, "SIMUSAGE_CONCURRENCY"},
		{[]string{"sync"}, env{"DATABASE_URL": ""}, "DATABASE_URL is missing"},
		{[]string{"sync"}, env{"DATABASE_URL": "mysql://u:geheim@localhost/x?y=z"}, "DATABASE_URL"},
		{[]string{"status"}, env{"DATABASE_URL": "postgres://u:geheim@localhost:port/x"}, "DATABASE_URL"},
		{[]string{"status"}, env{"DATABASE_URL": "postgres://u:secret@geheim@localhost/x"}, "with @ as %40"},
		{[]string{"migrate"}, env{"DATABASE_URL": "postgres://u:12/geheim@localhost/x"}, "/ as %2F"},
		{[]string{"migrate"}, env{"MIGRATE_DATABASE_URL": "localhost"}, "MIGRATE_DATABASE_URL"},
		{[]string{"sync"}, env{"DATABASE_URL": "", "DATABASE_URL_FILE": "/nowhere/geheim"}, "DATABASE_URL_FILE"},
		{[]string{"sync"}, env{"DATABASE_URL_FILE": "/nowhere/geheim"}, "DATABASE_URL_FILE"},
		{[]string{"sync"}, env{"TWILIO_AUTH_TOKEN": "", "TWILIO_AUTH_TOKEN_FILE": secretFile(t, "\n")}, "TWILIO_AUTH_TOKEN_FILE"},
		{[]string{"sync"}, env{"TWILIO_AUTH_TOKEN": ""}, "TWILIO_AUTH_TOKEN"},
		{[]string{"sync"}, env{"TWILIO_ACCOUNT_SID": ""}, "TWILIO_ACCOUNT_SID"},
		{[]string{"sync"}, env{"TWILIO_ACCOUNT_SID": "SK0123"}, "TWILIO_API_KEY"},
		{[]string{"sync"}, env{"TWILIO_API_KEY": "SK0123"}, "TWILIO_API_SECRET"},
		{[]string{"sync"}, env{"TWILIO_API_SECRET": "geheim"}, "TWILIO_API_KEY"},
		{[]string{"sync"}, env{"SIMUSAGE_PROVIDER": "kore"}, "KORE_CLIENT_ID"},
		{[]string{"sync"}, env{"SIMUSAGE_PROVIDER": "kore", "KORE_CLIENT_ID": "x"}, "KORE_CLIENT_SECRET"},
		{[]string{"sync"}, env{"SIMUSAGE_PROVIDER": "vodafone"}, "SIMUSAGE_PROVIDER"},
		{[]string{"sync"}, env{"SIMUSAGE_BASE_URL": "http://api.example.com"}, "SIMUSAGE_BASE_URL"},
		{[]string{"sync"}, env{"SIMUSAGE_BASE_URL": "https://u:geheim@api.example.com"}, "SIMUSAGE_BASE_URL"},
		{[]string{"sync"}, env{"SIMUSAGE_BASE_URL": "api.example.com"}, "SIMUSAGE_BASE_URL"},
		{[]string{"sync"}, env{"SIMUSAGE_TOKEN_URL": "https://api.example.com/token"}, "SIMUSAGE_TOKEN_URL"},
		{[]string{"sync"}, env{"SIMUSAGE_PROVIDER": "kore", "KORE_CLIENT_ID": "x", "KORE_CLIENT_SECRET": "geheim", "SIMUSAGE_TOKEN_URL": "http://api.example.com/token"}, "SIMUSAGE_TOKEN_URL"},
		{[]string{"sync"}, env{"SIMUSAGE_STREAMS": "hour/total,minute/total"}, "SIMUSAGE_STREAMS"},
		{[]string{"sync"}, env{"SIMUSAGE_STREAMS": "hour/total,"}, "SIMUSAGE_STREAMS"},
		{[]string{"sync"}, env{"SIMUSAGE_STREAMS": "hour/total,hour/sim:country=de,hour/sim:country=DE"}, "SIMUSAGE_STREAMS"},
		{[]string{"sync"}, env{"SIMUSAGE_STREAMS": "hour/sim:country=DE,hour/sim:country=FR"}, "SIMUSAGE_STREAMS"},
		{[]string{"sync"}, env{"SIMUSAGE_PAGE_SIZE": "1001"}, "SIMUSAGE_PAGE_SIZE"},
		{[]string{"sync"}, env{"SIMUSAGE_PAGE_SIZE": "0"}, "SIMUSAGE_PAGE_SIZE"},
		{[]string{"sync", "--page-size=250"}, env{"SIMUSAGE_PROVIDER": "kore", "KORE_CLIENT_ID": "x", "KORE_CLIENT_SECRET": "geheim"}, "--page-size"},
		{[]string{"sync"}, env{"SIMUSAGE_RATE": "0"}, "SIMUSAGE_RATE"},
		{[]string{"sync"}, env{"SIMUSAGE_RATE": "NaN"}, "SIMUSAGE_RATE"},
		{[]string{"sync", "--since=soon"}, nil, "--since"},
		{[]string{"sync"}, env{"SIMUSAGE_SINCE": "2027-01-01"}, "SIMUSAGE_SINCE"},
		{[]string{"sync"}, env{"SIMUSAGE_SINCE": "-30d"}, "SIMUSAGE_SINCE"},
		{[]string{"sync"}, env{"SIMUSAGE_SETTLE": "-1h"}, "SIMUSAGE_SETTLE"},
		{[]string{"sync"}, env{"SIMUSAGE_REFRESH": "1 hour"}, "SIMUSAGE_REFRESH"},
		{[]string{"sync"}, env{"SIMUSAGE_LEASE": "10ms"}, "SIMUSAGE_LEASE"},
		{[]string{"sync"}, env{"SIMUSAGE_LOG": "loud"}, "SIMUSAGE_LOG"},
		{[]string{"sync"}, env{"SIMUSAGE_ACCOUNTS": "main,"}, "SIMUSAGE_ACCOUNTS"},
		{[]string{"sync"}, env{"SIMUSAGE_ACCOUNTS": "main,emea"}, "SIMUSAGE_ACCOUNTS"},
		{[]string{"sync"}, env{"SIMUSAGE_ACCOUNTS": "main,emea", "EMEA_TWILIO_AUTH_TOKEN": "geheim"}, "EMEA_TWILIO_ACCOUNT_SID"},
		{[]string{"sync"}, env{"SIMUSAGE_ACCOUNTS": "emea", "EMEA_SIMUSAGE_RATE": "x"}, "EMEA_SIMUSAGE_RATE"},
		{[]string{"sync"}, env{"SIMUSAGE_ACCOUNTS": "emea", "EMEA_SIMUSAGE_SINCE": "30d"}, "EMEA_SIMUSAGE_SINCE"},
		{[]string{"sync"}, env{"SIMUSAGE_FROM": "30d"}, "SIMUSAGE_FROM"},
		{[]string{"sync"}, env{"SIMUSAGE_TO": "2026-03-15T06:00:00Z"}, "SIMUSAGE_TO"},
		{[]string{"sync"}, env{"SIMUSAGE_FROM": "2026-03-15", "SIMUSAGE_TO": "2026-03-15"}, "SIMUSAGE_FROM 2026-03-15 is not before SIMUSAGE_TO 2026-03-15"},
		{[]string{"sync"}, env{"SIMUSAGE_ACCOUNTS": "emea", "EMEA_SIMUSAGE_FROM": "2026-03-15", "SIMUSAGE_STREAMS": "day/total"}, "EMEA_SIMUSAGE_FROM 2026-03-15: want the first of a month"},
		{[]string{"migrate", "--check", "--to=3"}, nil, "--check and --to"},
		{[]string{"migrate", "--distribute", "--undistribute"}, nil, "--distribute and --undistribute"},
		{[]string{"migrate", "--distribute"}, withoutCitus, "run CREATE EXTENSION citus in it"},
		{[]string{"migrate", "--undistribute"}, withoutCitus, "nothing was changed"},
		{[]string{"migrate", "--to=0"}, nil, "it cannot go back to 0"},
		{[]string{"migrate", "--to=99"}, nil, "it cannot go back to 99"},
		{[]string{"forget"}, nil, "--account is missing"},
		{[]string{"forget", "--account=AC00000000000000000000000000000000"}, nil, "no such account"},
		{[]string{"schedule"}, env{"SIMUSAGE_JITTER": "soon"}, "SIMUSAGE_JITTER"},
		{[]string{"schedule"}, env{"SIMUSAGE_CRON": "hourly"}, "SIMUSAGE_CRON"},
		{[]string{"schedule", "--cron=0 0 30 2 *"}, nil, "--cron"},
		{[]string{"schedule", "--cron=TZ=0"}, nil, "--cron"},
	} {
		t.Run(fmt.Sprint(c.args, c.env), func(t *testing.T) {
			bad := b.with(c.env)
			bad.t = t
			r := bad.run(c.args...)
			lines := r.complaints()
			if r.code != 2 || len(lines) != 1 || strings.Count(r.stderr, "\n") != 1 || r.stdout != "" {
				t.Fatalf("exit code %d, %d lines on stderr, stdout %q; want 2, one, none", r.code, strings.Count(r.stderr, "\n"), r.stdout)
			}
			if !strings.HasPrefix(lines[0], "simusage: ") || !strings.Contains(lines[0], c.want) {
				t.Errorf("the line does not name %s", c.want)
			}
			if strings.Contains(r.stderr, "geheim") {
				t.Error("the line shows a secret")
			}
		})
	}
	if after := b.counts(); !slices.Equal(after, before) {
		t.Errorf("something was written: %v, before %v", after, before)
	}
	if n := len(b.api.Requests()); n > 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// counts is how many rows each table has.
func (b *bench) counts() []string {
	b.t.Helper()
	return b.query(`SELECT table_name::text, (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM simusage.%I', table_name), false, true, '')))[1]::text
		FROM information_schema.tables WHERE table_schema = 'simusage' AND table_type = 'BASE TABLE'`)
}

func TestGoodInputIsTaken(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 1}, fakeapi.Options{})
	before := b.counts()
	for _, e := range []env{
		{"SIMUSAGE_SINCE": "3d"}, {"SIMUSAGE_SINCE": "72h"}, {"SIMUSAGE_SINCE": "2020-01-01"}, {"SIMUSAGE_SINCE": "2026-03-01T06:00:00+02:00"},
		{"SIMUSAGE_SETTLE": "0s"}, {"SIMUSAGE_REFRESH": "1d"}, {"SIMUSAGE_RATE": "0.5"}, {"SIMUSAGE_PAGE_SIZE": "1000"}, {"SIMUSAGE_PAGE_SIZE": " 7 "},
		{"SIMUSAGE_CONCURRENCY": "64"}, {"SIMUSAGE_LOG": "DEBUG"}, {"SIMUSAGE_STREAMS": "day/total, day/sim@fleet"},
	} {
		b.with(e).must(0, "plan")
	}
	b.must(0, "plan", "--from=2024-09-17", "--to=2026-03-10T06:00:00+02:00", "--stream=hour/total", "--again=2026-03-10T12:00:00Z")
	if after := b.counts(); !slices.Equal(after, before) {
		t.Errorf("plan has written: %v, before %v", after, before)
	}
	if n := len(b.api.Requests()); n > 0 {
		t.Errorf("%d requests were sent", n)
	}
}
