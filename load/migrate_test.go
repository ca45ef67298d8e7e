package load

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"simusage/load/pgtest"
)

// schemaSQL lists all that the database says it has of ours: relations with their columns, indexes, constraints, comments,
// rights. Partitions are made as data comes and are left out.
const schemaSQL = `
WITH relation AS (
	SELECT n.nspname || '.' || c.relname AS name, c.*
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname IN ('simusage', 'usage') AND NOT c.relispartition AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'i', 'I', 'f')
)
SELECT line FROM (
	SELECT name || ' is a ' || CASE relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table by ' || pg_get_partkeydef(oid) WHEN 'v' THEN 'view' ELSE relkind::text END
		|| coalesce(' with ' || array_to_string(reloptions, ', '), '') || coalesce(': ' || obj_description(oid, 'pg_class'), '') AS line
	FROM relation WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
	UNION ALL
	SELECT name || ' ' || to_char(attnum, '00') || ' ' || attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' not null' ELSE '' END
		|| CASE attidentity WHEN 'a' THEN ' identity' ELSE '' END || coalesce(' default ' || pg_get_expr(adbin, adrelid), '') || coalesce(': ' || col_description(attrelid, attnum), '')
	FROM relation JOIN pg_attribute a ON attrelid = relation.oid AND attnum > 0 AND NOT attisdropped
	LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
	UNION ALL
	SELECT relation.name || ' index ' || pg_get_indexdef(indexrelid) FROM relation JOIN pg_index ON indrelid = relation.oid
	UNION ALL
	SELECT relation.name || ' constraint ' || conname || ' ' || pg_get_constraintdef(k.oid) FROM relation JOIN pg_constraint k ON conrelid = relation.oid AND contype IN ('c', 'f', 'p', 'u')
	UNION ALL
	SELECT relation.name || ' grants ' || privilege_type || ' to ' || grantee.rolname
	FROM relation CROSS JOIN aclexplode(relacl) a JOIN pg_roles grantee ON grantee.oid = a.grantee WHERE a.grantee <> relowner
	UNION ALL
	SELECT 'schema ' || nspname || coalesce(': ' || obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname IN ('simusage', 'usage')
	UNION ALL
	SELECT 'schema ' || nspname || ' grants ' || privilege_type || ' to ' || coalesce(grantee.rolname, 'all')
	FROM pg_namespace CROSS JOIN aclexplode(nspacl) a LEFT JOIN pg_roles grantee ON grantee.oid = a.grantee WHERE nspname IN ('simusage', 'usage') AND a.grantee <> nspowner
) lines ORDER BY line COLLATE "C"`

func MustSchema(tb testing.TB, conn *pgx.Conn) []string {
	tb.Helper()
	return MustRows(tb, conn, schemaSQL)
}

func MustMigrate(tb testing.TB, url string) {
	tb.Helper()
	schema, err := Migrate(tb.Context(), url)
	if err != nil || schema.Err() != nil {
		tb.Fatal(err, schema.Err())
	}
}

// The schema is what is committed, and the way down and up again leads to the same.
func TestMigrateUpDownUp(t *testing.T) {
	t.Parallel()
	url := postgres.Database(t, pgtest.Template{})
	conn := MustConnect(t, url)
	empty := MustRows(t, conn, `SELECT nspname FROM pg_namespace ORDER BY 1`)
	MustMigrate(t, url)
	up := MustSchema(t, conn)
	golden(t, "testdata/schema.txt", up)

	files, _, err := viewFiles(false)
	if err != nil {
		t.Fatal(err)
	}
	if err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error { return dropViews(t.Context(), tx, files) }); err != nil {
		t.Fatal(err)
	}
	m, err := migration(conn.Config())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Down(); err != nil {
		t.Fatal(err)
	}
	m.Close()
	equal(t, "what is left of the tables", MustRows(t, conn, `SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname IN ('simusage', 'usage') ORDER BY 1`),
		"schema_migrations", "schema_migrations_pkey")
	equal(t, "what is left of the schemas", MustRows(t, conn, `SELECT nspname FROM pg_namespace WHERE nspname <> 'simusage' ORDER BY 1`), empty...)
	MustMigrate(t, url)
	equal(t, "the schema after the way down and up", MustSchema(t, conn), up...)
}

// Migrate again changes nothing and loses nothing; many at once take turns.
func TestMigrateAgainAndAtOnce(t *testing.T) {
	t.Parallel()
	url := postgres.Database(t, pgtest.Template{})
	var group errgroup.Group
	for range 6 {
		group.Go(func() error {
			schema, err := Migrate(t.Context(), url)
			return errors.Join(err, schema.Err())
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	h := openWarehouse(t, url)
	h.load(h.feed("hour/sim")[0], "2026-03-10", false, "00 a - 1 1")
	before := MustSchema(t, h.conn)
	MustMigrate(t, url)
	equal(t, "schema", MustSchema(t, h.conn), before...)
	equal(t, "rows", h.rows(seenSQL), "1 2 2")
}

func TestMigrateStopsWhereItMust(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	before := MustSchema(t, h.conn)
	newest := latest()
	cases := []struct {
		name, state, want string
		migrates          bool
	}{
		{"dirty", `UPDATE simusage.schema_migrations SET dirty = true, version = 1`, "another program began migration 1 and did not note its end", false},
		{"newer", `UPDATE simusage.schema_migrations SET dirty = false, version = 99`, fmt.Sprintf("the database is at version 99, newer than this program, which knows %d", newest), false},
		{"other views", fmt.Sprintf(`UPDATE simusage.schema_migrations SET version = %d; UPDATE simusage.view_install SET digest = 'x'`, newest), "the views are not the ones of this program; run: simusage migrate", true},
		{"no views", `DELETE FROM simusage.view_install`, "the views are not the ones", true},
	}
	for _, c := range cases {
		h.exec(c.state)
		schema, err := h.Schema(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if said := schema.Err(); !errors.Is(said, ErrSchema) || !strings.Contains(said.Error(), c.want) {
			t.Errorf("%s: %v", c.name, said)
		}
		if _, err := Migrate(t.Context(), h.url); (err == nil) != c.migrates || err != nil && err.Error() != schema.Err().Error() {
			t.Errorf("%s: migrate: %v", c.name, err)
		}
		equal(t, c.name+": the schema", MustSchema(t, h.conn), before...)
	}
	if (Schema{Version: 1, Latest: 2}).Err() == nil || !strings.Contains((Schema{Version: 1, Latest: 2}).Err().Error(), "is at version 1, this program needs 2; run: simusage migrate") {
		t.Error("an older schema passes")
	}

	s, err := Open(t.Context(), postgres.Database(t, pgtest.Template{}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	schema, err := s.Schema(t.Context())
	if err != nil || schema.Err() == nil || !strings.Contains(schema.Err().Error(), "never migrated; run: simusage migrate") {
		t.Errorf("an empty database: %v, %v", schema.Err(), err)
	}
	for _, bad := range []string{"", "localhost:5432", "postgres://u:secret@%zz/"} {
		if _, err := Migrate(t.Context(), bad); !errors.Is(err, ErrDatabaseURL) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	missing := strings.Replace(h.url, h.conn.Config().Database, "nowhere", 1)
	if _, err := Migrate(t.Context(), missing); !errors.Is(err, ErrRefused) {
		t.Errorf("no such database: %v", err)
	}
}

// Readers may read every view of schema usage and nothing of the machine room. Everything that they see is explained.
func TestReadersRights(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	h.load(h.feed("hour/sim")[0], "2026-03-10", false, "00 a - 1 1") // its partitions are tables too
	views := h.rows(`SELECT relname FROM pg_class WHERE relnamespace = 'usage'::regnamespace ORDER BY 1`)
	tables := h.rows(`SELECT relname FROM pg_class WHERE relnamespace = 'simusage'::regnamespace AND relkind IN ('r', 'p', 'v') ORDER BY 1`)
	if len(views) < 20 || len(tables) < 15 {
		t.Fatalf("%d views, %d tables", len(views), len(tables))
	}
	equal(t, "without a comment", h.rows(`SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
		WHERE c.relnamespace = 'usage'::regnamespace AND (coalesce(obj_description(c.oid, 'pg_class'), '') = '' OR coalesce(col_description(c.oid, a.attnum), '') = '')`))
	equal(t, "tables without a comment", h.rows(`SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'simusage'::regnamespace AND c.relkind IN ('r', 'p')
		AND NOT c.relispartition AND c.relname <> 'schema_migrations' AND obj_description(c.oid, 'pg_class') IS NULL`))
	h.exec(`SET ROLE ` + h.reader())
	for _, view := range views {
		h.rows(`SELECT * FROM usage.` + view)
	}
	for _, table := range tables {
		if postgres.Distributed() && slices.Contains(slices.Concat(distributed, replicated, lent), table) {
			continue // TestReadersOnCitus says why
		}
		if _, err := h.conn.Exec(t.Context(), `SELECT FROM simusage.`+table); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("a reader may read simusage.%s: %v", table, err)
		}
	}
	for _, statement := range []string{`CREATE TABLE usage.mine ()`, `DELETE FROM usage.runs`, `CREATE TABLE simusage.mine ()`} {
		if _, err := h.conn.Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

// The owner of the database needs no other right: not to make roles, not to use schema public. An administrator makes
// the role of readers later.
func TestMigrateAsOwnerOfTheDatabase(t *testing.T) {
	t.Parallel()
	server := postgres.MustStart(t, pgtest.Options{})
	admin := MustConnect(t, server.URL("postgres"))
	for _, statement := range []string{`CREATE ROLE warehouse LOGIN`, `CREATE DATABASE warehouse OWNER warehouse`} {
		if _, err := admin.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	inside := MustConnect(t, server.URL("warehouse"))
	if _, err := inside.Exec(t.Context(), `DROP SCHEMA public`); err != nil {
		t.Fatal(err)
	}
	as, err := url.Parse(server.URL("warehouse"))
	if err != nil {
		t.Fatal(err)
	}
	as.User = url.User("warehouse")
	MustMigrate(t, as.String())
	equal(t, "roles", MustRows(t, inside, `SELECT count(*) FROM pg_roles WHERE rolname = 'usage_reader'`), "0")
	h := openWarehouse(t, as.String())
	st := h.feed("hour/sim")[0]
	h.load(st, "2026-03-10", false, "00 a - 1 1 1 USD")
	h.load(st, "2026-03-10", true, "00 a - 1 2 1 USD", "01 a - 1 1")
	equal(t, "rows", h.rows(seenSQL), "2 5 5")

	if _, err := admin.Exec(t.Context(), `CREATE ROLE usage_reader`); err != nil {
		t.Fatal(err)
	}
	MustMigrate(t, as.String())
	if _, err := inside.Exec(t.Context(), `SET ROLE usage_reader`); err != nil {
		t.Fatal(err)
	}
	equal(t, "rows as a reader", MustRows(t, inside, seenSQL), "2 5 5")
}

// An Open gives up at once where waiting cannot help.
func TestOpenRefused(t *testing.T) {
	t.Parallel()
	h := newWarehouse(t)
	missing := strings.Replace(h.url, h.conn.Config().Database, "nowhere", 1)
	began := time.Now()
	if _, err := Open(t.Context(), missing, Options{}); !errors.Is(err, ErrRefused) || time.Since(began) > 10*time.Second {
		t.Errorf("no such database: %v after %v", err, time.Since(began))
	}
}
