package load

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// More rows than one Postgres holds are kept by several: on a database that has the extension Citus, the facts are spread
// over its workers by series_id. What is asked of facts is then asked of all workers at once, which sum what they have.
//
// What moves, and what does not:
//
//   - The facts and their rollups are distributed, all in one way: rows of one series lie on one worker. Monthly partitions
//     stay what they are, and are made as before.
//   - What facts are joined with is copied to each worker. Citus keeps no foreign key between such a table and one that
//     stays here, and no identity that is not a bigint: the keys go (crossings), and a sequence gives the numbers.
//   - The books (slices, lists, leases, runs, accounts, streams, names) stay here, as plain tables: they live on row locks,
//     which Citus would refuse, and are small. Where facts are joined with them, Citus sends what is needed of them along.
//
// Each table is moved in a transaction of its own. Whoever is stopped in between has some tables here and some there, which
// works; the same command goes on.

// distributed are the tables whose rows are spread, by series_id. The first one says how.
var distributed = []string{"usage_hourly", "usage_daily", "usage_monthly"}

// replicated are the tables that each worker has a copy of.
var replicated = []string{"billed_unit", "country", "series"}

// numbered are the tables among them that number their rows, by the type of the number.
var numbered = []struct{ table, kind string }{{"billed_unit", "smallint"}, {"series", "integer"}}

// crossings are the foreign keys between a table that is replicated and one that stays here.
var crossings = []struct{ table, column, to string }{{"account", "billed_unit_id", "billed_unit"}, {"series", "stream_id", "stream"}}

// oldestDistributed is the oldest schema whose program knows Citus.
const oldestDistributed = 14

// Distribute spreads the facts of the warehouse at url over the workers of its Citus cluster, after it has brought the schema
// to this program's. What is spread already stays as it is. Where the extension is missing, nothing is changed.
func Distribute(ctx context.Context, url string) (_ Schema, err error) {
	defer func() { err = forbidden(err) }()
	conn, before, err := turn(ctx, url)
	if err != nil {
		return before, err
	}
	defer over(ctx, conn)
	if err := citus(ctx, conn); err != nil {
		return before, err
	}
	if before, err = migrateIn(ctx, conn, before, true); err != nil { // views that are for Citus do on plain Postgres too
		return before, err
	}
	for _, table := range slices.Concat(replicated, distributed) {
		if err := spread(ctx, conn, table); err != nil {
			return before, fmt.Errorf("distribute %s: %w", table, err)
		}
	}
	return readSchema(ctx, conn)
}

// Undistribute brings all rows back to the one Postgres at url, which must have room for them. The views are made anew.
func Undistribute(ctx context.Context, url string) (_ Schema, err error) {
	defer func() { err = forbidden(err) }()
	conn, before, err := turn(ctx, url)
	if err != nil {
		return before, err
	}
	defer over(ctx, conn)
	if err := citus(ctx, conn); err != nil {
		return before, err
	}
	if err := before.Err(); err != nil {
		return before, err
	}
	moved, err := spreadTables(ctx, conn)
	if err != nil {
		return before, err
	}
	if _, plain, err := viewFiles(false); err != nil || len(moved) == 0 && before.views == plain {
		return before, err
	}
	if others, err := otherViews(ctx, conn); err != nil {
		return before, err
	} else if len(others) > 0 {
		return before, refuseViews(ctx, conn, nil)
	}
	for _, table := range slices.Concat(distributed, replicated) {
		if err := gather(ctx, conn, table); err != nil {
			return before, fmt.Errorf("bring %s back: %w", table, err)
		}
	}
	if err := takeRights(ctx, conn); err != nil {
		return before, err
	}
	if err := installViews(ctx, conn, false); err != nil { // they were made anew, without comments and rights
		return before, err
	}
	if _, err := conn.Exec(ctx, `DROP TABLE IF EXISTS simusage.calendar_day, simusage.calendar_month`, pgx.QueryExecModeSimpleProtocol); err != nil {
		return before, fmt.Errorf("drop the calendar: %w", err)
	}
	return readSchema(ctx, conn)
}

// citus refuses a database that cannot be distributed.
func citus(ctx context.Context, conn *pgx.Conn) error {
	var there bool
	if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')`).Scan(&there); err != nil {
		return fmt.Errorf("look for Citus: %w", err)
	}
	if !there {
		return fmt.Errorf("%w: this database has no extension citus; on the coordinator of a Citus cluster, run CREATE EXTENSION citus in it and in a database of that name on each worker, add them with citus_add_node, then run this again; nothing was changed", ErrSchema)
	}
	return nil
}

// Distributed are the tables of the warehouse that Citus has: none on a plain Postgres.
func (s *Store) Distributed(ctx context.Context) ([]string, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	return spreadTables(ctx, conn.Conn())
}

// spreadTables are the tables that are distributed or replicated already.
func spreadTables(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	var there bool
	if err := conn.QueryRow(ctx, `SELECT to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL`).Scan(&there); err != nil {
		return nil, fmt.Errorf("look for Citus: %w", err)
	}
	if !there {
		return nil, nil
	}
	rows, err := conn.Query(ctx, `SELECT relname FROM pg_dist_partition JOIN pg_class c ON c.oid = logicalrelid JOIN pg_namespace n ON n.oid = relnamespace
		WHERE nspname = 'simusage' AND relname = ANY($1) ORDER BY 1`, slices.Concat(replicated, distributed))
	if err != nil {
		return nil, fmt.Errorf("look for distributed tables: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// oneByOne lets a table and its partitions be moved in one transaction.
const oneByOne = `SET LOCAL citus.multi_shard_modify_mode = 'sequential'`

// spread moves one table to the workers, if it is not there.
func spread(ctx context.Context, conn *pgx.Conn, table string) error {
	return moveTable(ctx, conn, table, false, func(tx pgx.Tx) error {
		for _, c := range crossings {
			if c.table == table || c.to == table {
				if err := execf(ctx, tx, `ALTER TABLE simusage.%s DROP CONSTRAINT IF EXISTS %s_%s_fkey`, c.table, c.table, c.column); err != nil {
					return err
				}
			}
		}
		for _, n := range numbered {
			if n.table != table {
				continue
			}
			err := renumber(ctx, tx, table, `ALTER TABLE simusage.%[1]s ALTER id DROP IDENTITY;
				CREATE SEQUENCE simusage.%[1]s_id_seq AS `+n.kind+` START %[2]d OWNED BY simusage.%[1]s.id;
				ALTER TABLE simusage.%[1]s ALTER id SET DEFAULT nextval('simusage.%[1]s_id_seq')`)
			if err != nil {
				return err
			}
		}
		switch {
		case slices.Contains(replicated, table):
			return execf(ctx, tx, `SELECT create_reference_table('simusage.%s')`, table)
		case table == distributed[0]:
			return execf(ctx, tx, `SELECT create_distributed_table('simusage.%s', 'series_id', colocate_with => 'none')`, table)
		}
		return execf(ctx, tx, `SELECT create_distributed_table('simusage.%s', 'series_id', colocate_with => 'simusage.%s')`, table, distributed[0])
	})
}

// gather brings one table back, if it is away.
func gather(ctx context.Context, conn *pgx.Conn, table string) error {
	return moveTable(ctx, conn, table, true, func(tx pgx.Tx) error {
		comments, err := commentsOn(ctx, tx, table)
		if err != nil {
			return err
		}
		if err := execf(ctx, tx, `SELECT undistribute_table('simusage.%s')`, table); err != nil {
			return err
		}
		for _, comment := range comments { // Citus forgets them
			if err := execf(ctx, tx, comment); err != nil {
				return err
			}
		}
		for _, n := range numbered {
			if n.table != table {
				continue
			}
			err := renumber(ctx, tx, table, `ALTER TABLE simusage.%[1]s ALTER id DROP DEFAULT; DROP SEQUENCE simusage.%[1]s_id_seq;
				ALTER TABLE simusage.%[1]s ALTER id ADD GENERATED ALWAYS AS IDENTITY (START %[2]d)`)
			if err != nil {
				return err
			}
		}
		for _, c := range crossings {
			if c.table == table || c.to == table {
				if err := execf(ctx, tx, `ALTER TABLE simusage.%s ADD FOREIGN KEY (%s) REFERENCES simusage.%s`, c.table, c.column, c.to); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// commentsOn are the statements that would make a table's comments.
func commentsOn(ctx context.Context, tx pgx.Tx, table string) ([]string, error) {
	rows, err := tx.Query(ctx, `SELECT format('COMMENT ON %s IS %L', CASE objsubid WHEN 0 THEN 'TABLE simusage.' || $1 ELSE 'COLUMN simusage.' || $1 || '.' || attname END, description)
		FROM pg_description LEFT JOIN pg_attribute ON attrelid = objoid AND attnum = objsubid AND objsubid > 0
		WHERE classoid = 'pg_class'::regclass AND objoid = ('simusage.' || $1)::regclass`, table)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// moveTable runs a move of a table that is away, or is not, in one transaction. A sync that goes on may wait for the move
// while that waits for it, and Postgres gives one of them up.
func moveTable(ctx context.Context, conn *pgx.Conn, table string, away bool, move func(pgx.Tx) error) error {
	for tries := 1; ; tries++ {
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			moved, err := spreadTables(ctx, tx.Conn())
			if err != nil || slices.Contains(moved, table) != away {
				return err
			}
			if err := execf(ctx, tx, oneByOne); err != nil {
				return err
			}
			return move(tx)
		})
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "40P01" || tries == 10 {
			return err
		}
	}
}

// renumber replaces what numbers the rows of a table; the numbers go on where they were.
func renumber(ctx context.Context, tx pgx.Tx, table, how string) error {
	var next int64
	err := tx.QueryRow(ctx, fmt.Sprintf(`SELECT last_value + is_called::int FROM simusage.%s_id_seq`, table)).Scan(&next)
	if err != nil {
		return err
	}
	return execf(ctx, tx, how, table, next)
}

// execf runs statements whose names are filled in. All of them are ours; nothing comes from input.
func execf(ctx context.Context, tx pgx.Tx, statements string, names ...any) error {
	if len(names) > 0 {
		statements = fmt.Sprintf(statements, names...)
	}
	_, err := tx.Exec(ctx, statements, pgx.QueryExecModeSimpleProtocol)
	return err
}

// lent are the tables that stay here and that the views read, because a question may ask for them and for facts at once; and the
// views that sum nothing: a condition on those reaches the workers.
var lent = []string{"account", "calendar_day", "calendar_month", "drift", "feed", "fleet", "network", "rejected", "restatement", "run", "sim",
	"sim_history", "slice", "slice_sum", "stream", "usage_day", "usage_hour"}

// simColumns are what readers may know of simusage.sim: all but the ICCID.
const simColumns = `account_id, sid, unique_name, status, fleet_sid, created_at, updated_at, gone_at`

// shareRights lets readers read what the views are made of. A view is read with the rights of its owner, but what Citus asks the
// workers, and what it sends them, it asks as the reader. There is little in these tables that the views do not show.
func shareRights(ctx context.Context, conn *pgx.Conn) error {
	return rights(ctx, conn, `GRANT USAGE ON SCHEMA simusage`, `GRANT SELECT`, `TO`)
}

// takeRights takes them back.
func takeRights(ctx context.Context, conn *pgx.Conn) error {
	return rights(ctx, conn, `REVOKE USAGE ON SCHEMA simusage`, `REVOKE SELECT`, `FROM`)
}

func rights(ctx context.Context, conn *pgx.Conn, schema, table, whom string) error {
	var readers bool
	err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'usage_reader')`).Scan(&readers)
	if err != nil || !readers {
		return err
	}
	whom = ` ` + whom + ` usage_reader`
	statements := []string{schema + whom}
	for _, name := range slices.Concat(distributed, replicated, lent) {
		columns := ``
		if name == "sim" {
			columns = ` (` + simColumns + `)`
		}
		statements = append(statements, table+columns+` ON simusage.`+name+whom)
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		for _, statement := range statements {
			if err := execf(ctx, tx, statement); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("change the rights of readers: %w", err)
	}
	return nil
}
