package main

import (
	"context"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"simusage/extract/fakeapi"
	"simusage/load/pgtest"
)

// sqlOf is the blocks of SQL of a document.
func sqlOf(t *testing.T, path string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, block[1])
	}
	return blocks
}

// The roles of deploy/ROLES.md, made with its own commands, on a server of their own: migrate runs as the owner of the
// database, sync as a role that owns nothing but the fact tables, and neither is a superuser.
func TestLeastPrivileges(t *testing.T) {
	t.Parallel()
	server := postgres.MustStart(t, pgtest.Options{})
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 80}, fakeapi.Options{})
	blocks := sqlOf(t, "../../deploy/ROLES.md")
	if len(blocks) != 3 {
		t.Fatalf("deploy/ROLES.md has %d blocks of SQL, want the roles, the rights and a reader", len(blocks))
	}
	as := func(role, database string) string {
		u, err := url.Parse(server.URL(database))
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.User(role)
		return u.String()
	}
	do := func(url, statements string) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.WithoutCancel(t.Context()))
		for statement := range strings.SplitSeq(statements, ";\n") { // one by one: CREATE DATABASE takes no company
			if _, err := conn.Exec(t.Context(), statement); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
	}
	do(server.URL("postgres"), blocks[0])
	owner, writer := b.with(nil), b.with(nil)
	owner.env["DATABASE_URL"] = as("simusage_owner", "simusage")
	owner.must(0, "migrate")
	do(owner.env["DATABASE_URL"], blocks[1])
	owner.must(0, "migrate")

	writer.env["DATABASE_URL"] = as("simusage_writer", "simusage")
	writer.must(0, "sync")
	for _, command := range []string{"plan", "status", "names", "verify"} {
		args := []string{command}
		if command == "verify" {
			args = append(args, "--from=2026-03-07", "--to=2026-03-09")
		}
		writer.must(0, args...)
	}
	writer.must(0, "backfill", "--from=2026-02-27", "--to=2026-03-10", "--again") // a month that has no partition yet
	owner.database = server.URL("simusage")
	owner.equal(b.world)
	owner.must(0, "migrate") // also on partitions that the writer has made

	do(server.URL("postgres"), blocks[2])
	do(as("dashboard", "simusage"), `SELECT * FROM usage.sim_daily`)
	if reader, err := pgx.Connect(t.Context(), as("dashboard", "simusage")); err != nil {
		t.Error(err)
	} else {
		defer reader.Close(context.WithoutCancel(t.Context()))
		var jit string
		if err := reader.QueryRow(t.Context(), `SHOW jit`).Scan(&jit); err != nil || jit != "off" {
			t.Errorf("the reader's plans are compiled: %q, %v", jit, err)
		}
		if _, err := reader.Exec(t.Context(), `SELECT * FROM simusage.slice`); err == nil {
			t.Error("the reader may read the machine room")
		}
	}

	conn, err := pgx.Connect(t.Context(), writer.env["DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for _, statement := range []string{`DROP TABLE simusage.slice`, `ALTER TABLE simusage.slice ADD COLUMN x int`, `CREATE SCHEMA mine`, `DROP VIEW usage.sim_daily`,
		`CREATE ROLE mine`, `CREATE TABLE usage.mine ()`, `UPDATE simusage.schema_migrations SET version = 1`, `COPY simusage.slice TO PROGRAM 'true'`,
		`DELETE FROM simusage.restatement`, `UPDATE simusage.restatement SET slice_id = 1`} {
		_, err := conn.Exec(t.Context(), statement)
		if pg, ok := err.(*pgconn.PgError); !ok || pg.Code != "42501" {
			t.Errorf("the writer: %s: %v", statement, err)
		}
	}
	if r := writer.run("forget", "--account=", "--yes"); r.code != 2 || !strings.Contains(r.stderr, "run this as the owner of the tables") {
		t.Errorf("the writer forgets: exit code %d, %s", r.code, r.stderr)
	}
	// What the writer has made the owner may drop.
	do(server.URL("simusage"), `UPDATE simusage.slice SET settled = true`)
	owner.now = owner.now.AddDate(0, 2, 0)
	owner.must(0, "trim", "--keep-months=1", "--yes")
	if left := owner.query(`SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'simusage.usage_hourly'::regclass`); len(left) > 0 {
		t.Errorf("partitions %v are left", left)
	}
	// A right that is taken away is told as what it is, and nothing is half done.
	do(owner.env["DATABASE_URL"], `REVOKE INSERT ON simusage.series FROM simusage_writer`)
	b.world.AddSims()
	do(server.URL("simusage"), `TRUNCATE simusage.account CASCADE`)
	if r := writer.run("sync"); r.code == 0 || !strings.Contains(r.stderr, "permission denied for table series") {
		t.Errorf("without a right: exit code %d, %s", r.code, r.stderr)
	}
	do(owner.env["DATABASE_URL"], `GRANT INSERT ON simusage.series TO simusage_writer`)
	writer.must(0, "sync")
	owner.must(0, "forget", "--account=", "--yes")
	if left := owner.query(`SELECT FROM simusage.stream`); len(left) > 0 {
		t.Errorf("%d streams are left", len(left))
	}
}
