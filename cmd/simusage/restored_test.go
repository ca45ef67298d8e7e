//go:build runbook

package main

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"simusage/extract/fakeapi"
	"simusage/load/pgtest"
)

// A dump is made while a run has got half-way, by a process that is killed then. What is restored equals what was dumped, and
// hours later, when more has been loaded elsewhere, one sync makes it whole.
func TestRunbookRestore(t *testing.T) {
	t.Parallel()
	server := postgres.MustStart(t, pgtest.Options{})
	b := newBench(t, pgtest.Template{}, fakeapi.WorldConfig{Seed: 34}, fakeapi.Options{})
	if err := server.CreateDatabase(t.Context(), "simusage", ""); err != nil {
		t.Fatal(err)
	}
	b.database = server.URL("simusage")
	b.env["DATABASE_URL"], b.env["HERE"] = b.database, t.TempDir()
	b.env["ADMIN_URL"], b.env["RESTORED_URL"] = server.URL("postgres"), server.URL("simusage_restored")
	b.must(0, "migrate")
	b.must(0, "sync")
	b.halfway()
	blocks := runbook(t, "Back-up and restore")
	before := b.everything()
	b.follow(blocks[0])
	if now := b.everything(); !slices.Equal(now, before) {
		t.Fatal("the warehouse changed while it was dumped, so nothing can be compared")
	}

	lines := strings.SplitAfter(blocks[1], "\n")
	point := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "export DATABASE_URL") })
	b.follow(strings.Join(lines[:point], ""))
	restored := b.with(nil)
	restored.database = b.env["RESTORED_URL"]
	if now := restored.everything(); !slices.Equal(now, before) {
		t.Errorf("%d rows were restored of %d%s", len(now), len(before), firstDifference(now, before))
	}
	if left := restored.query(`SELECT FROM simusage.list`); len(left) == 0 {
		t.Error("no walk was open when the dump was made, so this test says little")
	}
	restored.asks(`DO $$ DECLARE stage text; n bigint; BEGIN FOR stage IN SELECT tablename FROM pg_tables WHERE schemaname = 'simusage' AND tablename ~ '^stage_' LOOP
		EXECUTE 'SELECT count(*) FROM simusage.' || stage INTO n; ASSERT n = 0; END LOOP; END $$`)

	b.now = b.now.AddDate(0, 0, 1)
	b.database = b.env["RESTORED_URL"]
	b.follow(strings.Join(lines[point:], ""))
	b.equal(b.world)
}

// halfway leaves what a process leaves that was killed half-way: some slices are published, walks are open, leases are held.
func (b *bench) halfway() {
	b.t.Helper()
	ctx, kill := context.WithCancel(b.t.Context())
	b.api.Inject(fakeapi.Fault{After: 9, Every: 1, Do: func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		kill()
		<-r.Context().Done()
	}})
	b.env["SIMUSAGE_PAGE_SIZE"] = "10"
	b.now = b.now.Add(time.Minute)
	if r := b.runIn(ctx, "backfill", "--from=2026-03-07", "--to=2026-03-10", "--again"); r.code != 75 {
		b.t.Fatalf("exit code %d", r.code)
	}
	b.exec(`UPDATE simusage.slice SET leased_by = 'the dead', lease_expires_at = clock_timestamp() + interval '5 seconds' WHERE walk_started_at IS NOT NULL`)
	b.api.ClearFaults()
}
