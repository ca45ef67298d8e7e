package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// migrated is the database that all others are copies of.
const migrated = "migrated"

// database is a warehouse, and bench's connection to it.
type database struct {
	name string
	url  string
	conn *pgx.Conn
}

// database makes an empty warehouse.
func (b *bench) database(ctx context.Context) (*database, error) {
	b.databases++
	name := fmt.Sprintf("bench_%d", b.databases)
	if err := b.postgres.CreateDatabase(ctx, name, migrated); err != nil {
		return nil, err
	}
	d := &database{name: name, url: b.postgres.URL(name)}
	var err error
	d.conn, err = pgx.Connect(ctx, d.url)
	return d, err
}

// drop makes room. When it fails, the server goes soon anyway.
func (b *bench) drop(ctx context.Context, d *database) {
	d.conn.Close(ctx)
	if admin, err := pgx.Connect(ctx, b.postgres.URL("postgres")); err == nil {
		defer admin.Close(ctx)
		admin.Exec(ctx, `DROP DATABASE `+d.name+` WITH (FORCE)`)
	}
}

func (d *database) exec(ctx context.Context, sql string) error {
	_, err := d.conn.Exec(ctx, sql)
	return err
}

func (d *database) scan(ctx context.Context, sql string, args []any, into ...any) error {
	return d.conn.QueryRow(ctx, sql, args...).Scan(into...)
}

// rest lets what went before come to an end: what autovacuum would have done by then, and what a checkpoint would write.
func (d *database) rest(ctx context.Context) error {
	if err := d.exec(ctx, `VACUUM (ANALYZE) simusage.usage_hourly, simusage.usage_daily, simusage.usage_monthly, simusage.series, simusage.slice, simusage.slice_sum, simusage.list`); err != nil {
		return err
	}
	return d.exec(ctx, `CHECKPOINT`)
}

// alone waits until the program is not connected any more: a server process counts what it has written when it ends, which
// is after its client has.
func (d *database) alone(ctx context.Context) error {
	for {
		var others int
		err := d.scan(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'simusage'`,
			nil, &others)
		if err != nil || others == 0 {
			return err
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// pause is a moment between two looks at what another process does.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// position is where the write-ahead log is.
func (d *database) position(ctx context.Context) (lsn string, err error) {
	err = d.scan(ctx, `SELECT pg_current_wal_insert_lsn()::text`, nil, &lsn)
	return lsn, err
}

// factLog is how many bytes of the write-ahead log between two positions are of the facts, roll-ups and their indexes; -1
// where this Postgres cannot tell.
func (d *database) factLog(ctx context.Context, from, to string) (bytes int64, err error) {
	var can bool
	err = d.scan(ctx, `SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_walinspect')`, nil, &can)
	if err != nil || !can {
		return -1, err
	}
	if err := d.exec(ctx, `CREATE EXTENSION IF NOT EXISTS pg_walinspect`); err != nil {
		return 0, err
	}
	err = d.scan(ctx, `SELECT coalesce(sum(record_length), 0)::bigint
		FROM pg_get_wal_records_info($1::pg_lsn, least($2::pg_lsn, pg_current_wal_flush_lsn())) WHERE block_ref ~ (
			SELECT 'rel [0-9]+/' || (SELECT oid FROM pg_database WHERE datname = current_database()) || '/(' || string_agg(pg_relation_filenode(c.oid)::text, '|') || ') '
			FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'simusage' AND c.relname LIKE 'usage\_%' AND c.relkind IN ('r', 'i'))`,
		[]any{from, to}, &bytes)
	return bytes, err
}

// between is how many bytes lie between two positions.
func (d *database) between(ctx context.Context, from, to string) (bytes int64, err error) {
	err = d.scan(ctx, `SELECT ($2::pg_lsn - $1::pg_lsn)::bigint`, []any{from, to}, &bytes)
	return bytes, err
}

// touched is how many fact rows were ever inserted, updated or deleted, roll-ups included.
func (d *database) touched(ctx context.Context) (n int64, err error) {
	err = d.scan(ctx, `SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_user_tables
		WHERE schemaname = 'simusage' AND relname LIKE 'usage\_%'`, nil, &n)
	return n, err
}

// size is how many bytes the partitions of a fact table take with their indexes, and how many rows they have.
func (d *database) size(ctx context.Context, table string) (bytes, rows int64, err error) {
	err = d.scan(ctx, `SELECT sum(pg_total_relation_size(relid))::bigint, (SELECT count(*) FROM simusage.`+table+`)
		FROM pg_partition_tree('simusage.`+table+`') WHERE isleaf`, nil, &bytes, &rows)
	return bytes, rows, err
}

// statements does something with the database and says how many statements that sent to it: Postgres logs each one.
func (d *database) statements(ctx context.Context, do func() error) (int, error) {
	if err := d.exec(ctx, `ALTER DATABASE `+d.name+` SET log_statement = 'all'`); err != nil { // for those who connect from now on
		return 0, err
	}
	if err := do(); err != nil {
		return 0, err
	}
	const last = `SELECT 'the last one'`
	for _, sql := range []string{`ALTER DATABASE ` + d.name + ` RESET log_statement`, `SET log_statement = 'all'`, last, `RESET log_statement`} {
		if err := d.exec(ctx, sql); err != nil {
			return 0, err
		}
	}
	for {
		var log string
		if err := d.scan(ctx, `SELECT pg_read_file(pg_current_logfile('jsonlog'))`, nil, &log); err != nil {
			return 0, err
		}
		if n, whole := d.sent(log, last); whole {
			return n, nil
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil { // what writes the log is a process of its own
			return 0, err
		}
	}
}

// sent counts the program's statements in the log; whole says whether the last one is there.
func (d *database) sent(log, last string) (n int, whole bool) {
	for line := range strings.Lines(log) {
		var entry struct {
			Database string `json:"dbname"`
			Program  string `json:"application_name"`
			Message  string `json:"message"`
		}
		if json.Unmarshal([]byte(line), &entry) != nil || entry.Database != d.name {
			continue
		}
		statement := strings.HasPrefix(entry.Message, "statement: ") || strings.HasPrefix(entry.Message, "execute ")
		if statement && entry.Program == "simusage" {
			n++
		}
		whole = whole || strings.HasSuffix(entry.Message, last)
	}
	return n, whole
}
