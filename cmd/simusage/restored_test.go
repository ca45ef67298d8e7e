//go:build runbook

package main

import (
	"context"
	"maps"
	"net/http"
	"net/url"
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
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 34}, fakeapi.Options{})
	as := func(role, database string) string {
		u, err := url.Parse(server.URL(database))
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.User(role)
		return u.String()
	}
	roles := sqlOf(t, "../../deploy/ROLES.md")
	admin := b.with(nil)
	admin.database = server.URL("postgres")
	admin.asks(roles[0])
	maps.Copy(b.env, env{"HERE": t.TempDir(), "ADMIN_URL": admin.database, "OLD_URL": as("simusage_owner", "simusage"), "NEW_URL": as("simusage_owner", "simusage_restored"),
		"MIGRATE_DATABASE_URL": as("simusage_owner", "simusage"), "DATABASE_URL": as("simusage_writer", "simusage")})
	b.must(0, "migrate")
	b.database = b.env["OLD_URL"]
	b.asks(roles[1])
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
	b.database = b.env["NEW_URL"]
	if now := b.everything(); !slices.Equal(now, before) {
		t.Errorf("%d rows were restored of %d%s", len(now), len(before), firstDifference(now, before))
	}
	if len(b.query(`SELECT FROM simusage.list`)) == 0 || len(b.query(`SELECT FROM simusage.slice WHERE lease_expires_at > clock_timestamp()`)) == 0 {
		t.Error("no walk was open and held when the dump was made, so this test says little")
	}
	b.exec(`DO $$ DECLARE stage text; n bigint; BEGIN FOR stage IN SELECT tablename FROM pg_tables WHERE schemaname = 'simusage' AND tablename ~ '^stage_' LOOP
		EXECUTE 'SELECT count(*) FROM simusage.' || stage INTO n; ASSERT n = 0; END LOOP; END $$`)

	b.now = b.now.AddDate(0, 0, 1)
	b.follow(strings.Join(lines[point:], ""))
	b.equal(b.world)
	b.asks(roles[1])
	b.now = b.now.Add(time.Hour)
	b.env["DATABASE_URL"] = as("simusage_writer", "simusage_restored")
	b.must(0, "sync")
	b.equal(b.world)
	if rights := b.query(`SELECT FROM pg_class WHERE relnamespace = 'usage'::regnamespace AND NOT has_table_privilege('usage_reader', oid, 'SELECT')`); len(rights) > 0 {
		t.Errorf("%d views that readers may not read", len(rights))
	}
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
