package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"simusage/extract/fakeapi"
	"simusage/load"
	"simusage/load/pgtest"
)

// runLine is the line about a run, with everything in it; times as people read them.
var runLine = regexp.MustCompile(`(?m)"msg":"run","summary":\{"outcome":"done","run":1,"took":"[^"]+s","slices":12,"unchanged":0,"failed":0,"left_due":0,"held":0,"pages":\d+,` +
	`"rows":\d+,"inserted":\d+,"updated":0,"deleted":0,"rejected":0,"requests":\d+,"retries":0,"throttled":0,` +
	`"statuses":\{"200":\d+\},"waited":"[^"]*s","phases":\{"months":"[^"]+s","names":"[^"]+s","walk":"[^"]+s"\}\}\}$`)

// From nothing to views that say what the world says, with each way to sign in.
func TestFromEmptyDatabaseToEqualViews(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opts fakeapi.Options
		env  map[string]string
	}{
		"twilio token": {},
		"twilio key": {fakeapi.Options{APIKey: "SKfake", APISecret: "fake-api-secret"},
			map[string]string{"TWILIO_API_KEY": "SKfake", "TWILIO_API_SECRET": "fake-api-secret", "TWILIO_AUTH_TOKEN": "", "TWILIO_ACCOUNT_SID": ""}},
		"kore": {fakeapi.Options{Profile: fakeapi.Kore},
			map[string]string{"SIMUSAGE_PROVIDER": "kore", "KORE_CLIENT_ID": "fake-client", "KORE_CLIENT_SECRET": "fake-secret"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, pgtest.Template{}, fakeapi.WorldConfig{Seed: 1}, c.opts).with(c.env)
			b.t = t
			if b.env["SIMUSAGE_PROVIDER"] == "kore" {
				b.env["SIMUSAGE_TOKEN_URL"] = b.env["SIMUSAGE_BASE_URL"] + fakeapi.TokenPath
			}
			b.must(2, "sync")
			b.must(2, "migrate", "--check")
			b.must(0, "migrate")
			b.must(0, "migrate", "--check")
			if r := b.must(0, "plan"); len(b.api.Requests()) > 0 || !strings.Contains(r.stdout, "hour/sim@country") {
				t.Errorf("plan asked %d requests and said:\n%s", len(b.api.Requests()), r.stdout)
			}
			r := b.must(0, "sync")
			if len(r.complaints()) > 0 || strings.Count(r.stdout, "\n") != 1 || !strings.HasPrefix(r.stdout, "done: 12 slices, ") {
				t.Errorf("sync says %q and %q", r.stdout, r.complaints())
			}
			if lines := runLine.FindAllString(r.stderr, -1); len(lines) != 1 {
				t.Errorf("want one line about the run:\n%s", r.stderr)
			}
			b.equal(b.world)
			if r := b.must(0, "names"); r.stdout != "names: up to date\n" {
				t.Errorf("names says %q", r.stdout)
			}
			var status load.Status
			if err := json.Unmarshal([]byte(b.must(0, "status", "--json").stdout), &status); err != nil {
				t.Fatal(err)
			}
			if len(status.Streams) != 3 || status.LastRun == nil || status.LastRun.Outcome != "done" || len(status.Failures) > 0 {
				t.Errorf("status %+v", status)
			}
			for _, s := range status.Streams {
				if until := b.now.Truncate(time.Hour); s.Holes > 0 || s.CompleteUntil == nil || !s.CompleteUntil.Equal(until) || s.Unreconciled > 0 {
					t.Errorf("status of %s: %+v", s.Stream, s)
				}
			}
			if text := b.must(0, "status").stdout; !strings.HasPrefix(text, "complete until 2026-03-10 12:00 UTC (7 minutes ago), all slices agree with the total\n") {
				t.Errorf("status says\n%s", text)
			}
		})
	}
}

// A sync that finds nothing due asks nothing; a backfill reads settled slices only when told to.
func TestAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 2}, fakeapi.Options{})
	b.must(0, "sync")
	asked := len(b.api.Requests())
	b.must(0, "sync")
	b.must(0, "backfill", "--from", "2026-03-07", "--to", "2026-03-10")
	if n := len(b.api.Requests()); n != asked {
		t.Errorf("%d requests for what was complete", n-asked)
	}
	b.now = b.now.Add(time.Minute)
	plan := b.must(0, "plan", "--from", "2026-03-07", "--to", "2026-03-08", "--again", "--stream", "hour/total").stdout
	if !strings.Contains(plan, " all       1      1    2") {
		t.Errorf("the plan says\n%s", plan)
	}
	b.must(0, "verify", "--from", "2026-03-07", "--to", "2099-01-01")
	b.world.Amend(time.Time{}, func(e *fakeapi.Event) bool { e.Upload++; return true })
	if r := b.must(5, "verify", "--from", "2026-03-07", "--to", "2099-01-01"); strings.Count(r.stdout, "DIFFERS") != 9 {
		t.Errorf("verify of 3 days that changed in 3 views says\n%s", r.stdout)
	}
	b.must(0, "backfill", "--from", "2026-03-07", "--to", "2099-01-01", "--again")
	b.must(0, "verify", "--from", "2026-03-07", "--to", "2099-01-01")
	b.equal(b.world)
	asked = len(b.api.Requests())
	b.now = b.now.Add(time.Minute)
	b.must(0, "backfill", "--from", "2026-03-07", "--to", "2026-03-11", "--again=2026-03-10T12:08:00Z")
	if n := len(b.api.Requests()); n != asked {
		t.Errorf("%d requests for what was read since the given time", n-asked)
	}
	b.must(0, "backfill", "--from", "2026-03-07", "--to", "2026-03-08", "--again", "--stream", "hour/total")
	if n := len(b.api.Requests()); n != asked+1 {
		t.Errorf("%d requests for a day of totals, want 1", n-asked)
	}
}

// What the API takes back is held back, and taken over when the operator says so.
func TestAccept(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 5}, fakeapi.Options{})
	b.must(0, "sync")
	b.must(0, "accept", "--from", "2026-03-07", "--to", "2026-03-11")
	b.world.Remove(time.Time{}, func(e fakeapi.Event) bool { return e.Start.Format(time.DateOnly) == "2026-03-09" })
	b.now = b.now.Add(time.Hour)
	if r := b.must(3, "sync"); !strings.Contains(r.stderr, "simusage accept --from 2026-03-09 --to 2026-03-10") || !strings.Contains(r.stdout, "3 slices held back") {
		t.Errorf("sync says %q and %q", r.stdout, r.stderr)
	}
	if r := b.must(0, "status"); !strings.HasPrefix(r.stdout, "3 slices are held back; complete until ") ||
		!strings.Contains(r.stdout, "    run: simusage accept --from 2026-03-09 --to 2026-03-10 && simusage sync\n") {
		t.Errorf("status says\n%s", r.stdout)
	}
	if r := b.must(0, "accept", "--from", "2026-03-09", "--to", "2026-03-10"); !strings.HasPrefix(r.stdout, "accept: 3 slices") {
		t.Errorf("accept says %q", r.stdout)
	}
	b.must(0, "sync")
	b.equal(b.world)
}

// Two accounts of two vendors, with secrets in files, in one warehouse.
func TestTwoAccounts(t *testing.T) {
	t.Parallel()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 3}, fakeapi.Options{})
	emea := fakeapi.NewWorld(fakeapi.WorldConfig{Seed: 4, Sims: 6, Start: b.since, End: noon.AddDate(0, 0, 1)})
	url := serve(t, fakeapi.New(emea, fakeapi.Options{Profile: fakeapi.Kore, Clock: func() time.Time { return b.now }}))
	two := b.with(map[string]string{
		"SIMUSAGE_ACCOUNTS": "main, emea", "TWILIO_AUTH_TOKEN": "", "TWILIO_AUTH_TOKEN_FILE": secretFile(t, "fake-auth-token\n"),
		"EMEA_SIMUSAGE_PROVIDER": "kore", "EMEA_SIMUSAGE_BASE_URL": url, "EMEA_SIMUSAGE_TOKEN_URL": url + fakeapi.TokenPath,
		"EMEA_KORE_CLIENT_ID": "fake-client", "EMEA_KORE_CLIENT_SECRET_FILE": secretFile(t, "fake-secret"),
		"DATABASE_URL": "", "DATABASE_URL_FILE": secretFile(t, b.database),
	})
	two.must(0, "sync")
	two.equal(b.world)
	two.equal(emea)
	if plan := two.must(0, "plan").stdout; !strings.Contains(plan, "emea hour/total") {
		t.Errorf("the plan says\n%s", plan)
	}
}

func secretFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Several pods may start with a migration at the same moment.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, pgtest.Template{}, fakeapi.WorldConfig{Seed: 5}, fakeapi.Options{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if r := b.run("migrate"); r.code != 0 {
				t.Errorf("migrate: exit code %d: %s", r.code, r.stderr)
			}
		})
	}
	all.Wait()
	b.must(0, "migrate", "--check")
}

func TestVersionAndHelp(t *testing.T) {
	t.Parallel()
	b := &bench{t: t}
	if r := b.must(0, "version"); !strings.HasPrefix(r.stdout, "simusage dev (commit ") {
		t.Errorf("version says %q", r.stdout)
	}
	root := b.must(0, "--help").stdout
	for _, v := range variables() {
		if !strings.Contains(root, v.Name+" ") {
			t.Errorf("--help does not name %s", v.Name)
		}
	}
}
