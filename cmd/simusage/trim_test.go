package main

import (
	"strings"
	"testing"
	"time"

	"simusage/extract/fakeapi"
)

// trimBench is a bench of which March is settled and April has begun, at whatever time.
func trimBench(t *testing.T, now string) *bench {
	t.Helper()
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 40, Start: on("2026-03-28 00:00"), End: on("2026-04-07 00:00"), Late: -1}, fakeapi.Options{})
	b.now = on("2026-04-06 12:07")
	b.must(0, "sync")
	b.now = on(now)
	return b
}

func TestTrim(t *testing.T) {
	t.Parallel()
	b := trimBench(t, "2026-05-10 12:07")
	for _, args := range [][]string{{"trim"}, {"trim", "--keep-months=0"}, {"trim", "--keep-months=-1", "--yes"}, {"trim", "--keep-months=x"}, {"trim", "12"}} {
		b.must(2, args...)
	}
	hours := b.query(`SELECT * FROM simusage.usage_hourly`)
	if r := b.must(0, "trim", "--keep-months=2", "--yes"); r.stdout != "nothing to trim: no hours are older than 2026-03-01\n" {
		t.Errorf("trim says\n%s", r.stdout)
	}
	r := b.must(0, "trim", "--keep-months=1")
	if !strings.Contains(r.stdout, "2026-03  12 ") || !strings.Contains(r.stdout, "may go\n") || !strings.HasSuffix(r.stdout, "nothing was dropped; to drop these hours for ever: simusage trim --keep-months=1 --yes\n") {
		t.Errorf("trim says\n%s", r.stdout)
	}
	b.exec(`UPDATE simusage.slice SET settled = false WHERE window_start = '2026-03-30'`)
	b.must(0, "trim", "--keep-months=1")
	if r := b.must(3, "trim", "--keep-months=1", "--yes"); !strings.Contains(r.stdout, "KEPT: hour/total 2026-03-30 is not settled, and 2 more\n") || len(r.complaints()) != 1 {
		t.Errorf("trim says\n%s%s", r.stdout, r.stderr)
	}
	if now := b.query(`SELECT * FROM simusage.usage_hourly`); len(now) != len(hours) {
		t.Fatalf("%d hours, before %d", len(now), len(hours))
	}
	b.exec(`UPDATE simusage.slice SET settled = true WHERE window_start = '2026-03-30'`)
	b.now = on("2026-04-06 12:08")
	status, days := b.must(0, "status", "--json").stdout, b.query(`SELECT * FROM usage.sim_daily`)
	b.now = on("2026-05-10 12:07")
	if r := b.must(0, "trim", "--keep-months=1", "--yes"); !strings.Contains(r.stdout, "dropped\n") {
		t.Errorf("trim says\n%s", r.stdout)
	}
	if r := b.must(0, "trim", "--keep-months=1", "--yes"); !strings.HasPrefix(r.stdout, "nothing to trim") {
		t.Errorf("trim once more says\n%s", r.stdout)
	}
	b.now = on("2026-04-06 12:08")
	if now := b.must(0, "status", "--json").stdout; now != status {
		t.Errorf("status is another:\n%s\nit was\n%s", now, status)
	}
	if now := b.query(`SELECT * FROM usage.sim_daily`); len(now) != len(days) {
		t.Errorf("%d days, before %d", len(now), len(days))
	}
	if first := b.query(`SELECT to_char(min(hour) AT TIME ZONE 'UTC', 'MM-DD') FROM usage.sim_hourly`); first[0] != "04-01" {
		t.Errorf("the first hour is of %s", first[0])
	}

	// Whoever asks for that time is told; nothing is asked for.
	const note = "note: hours of 2026-03-28 up to before 2026-04-01 were dropped (simusage trim); those days are final and not read again\n"
	b.world.Amend(time.Time{}, func(e *fakeapi.Event) bool { e.Upload++; return e.Start.Before(on("2026-03-29 00:00")) })
	b.api.Reset()
	for _, command := range []string{"plan --again", "backfill --again", "accept"} {
		args := append(strings.Fields(command), "--from=2026-03-28", "--to=2026-04-01")
		if r := b.must(0, args...); strings.Count(r.stdout, note) != 1 {
			t.Errorf("%s says\n%s", command, r.stdout)
		}
	}
	if n := len(b.api.Requests()); n > 0 {
		t.Errorf("%d requests for days whose hours were dropped", n)
	}
	r = b.must(0, "verify", "--from=2026-03-28", "--to=2026-04-03")
	if strings.Count(r.stdout, "final, its hours were dropped: the warehouse has") != 3 || strings.Contains(r.stdout, "DIFFERS") || strings.Count(r.stdout, note) != 1 {
		t.Errorf("verify says\n%s", r.stdout)
	}
	if r := b.must(0, "backfill", "--from=2026-04-01", "--to=2026-04-03", "--again"); strings.Contains(r.stdout, "note:") {
		t.Errorf("backfill of days with hours says\n%s", r.stdout)
	}
}

func TestRunbookTrim(t *testing.T) {
	t.Parallel()
	b := trimBench(t, "2027-04-10 12:07")
	for _, block := range runbook(t, "Hours for some months only") {
		b.follow(block)
	}
	if left := b.query(`SELECT FROM usage.sim_hourly WHERE hour < '2026-04-01'`); len(left) > 0 {
		t.Errorf("%d hours are left", len(left))
	}
	if days := b.query(`SELECT FROM usage.sim_daily WHERE day < '2026-04-01'`); len(days) == 0 {
		t.Error("the days are gone")
	}
}
