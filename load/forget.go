package load

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Forgotten is how many rows a table has of an account.
type Forgotten struct {
	Table string
	Rows  int64
}

// ErrNoAccount says that the warehouse has no such account.
var ErrNoAccount = errors.New("no such account")

// ErrBusy says that a process is at work on an account that is to be forgotten.
var ErrBusy = errors.New("a process is at work on it; take the account out of the configuration, wait for that run to end, and run this again")

// belongings are the rows of an account ($1), table by table, in an order in which they can go. What is not here belongs to
// no account: currencies, countries, networks, and runs, whose texts are cleaned.
var belongings = []struct{ table, where string }{
	{"feed", `account_id = $1`},
	{"list", `slice_id IN (SELECT slice.id` + slicesOf + `)`},
	{"rejected", `slice_id IN (SELECT slice.id` + slicesOf + `)`},
	{"slice_sum", `slice_id IN (SELECT slice.id` + slicesOf + `)`},
	{"restatement", `slice_id IN (SELECT slice.id` + slicesOf + `)`},
	{"slice", `stream_id IN (SELECT id FROM simusage.stream WHERE account_id = $1)`},
	{"usage_hourly", `stream_id IN (SELECT id FROM simusage.stream WHERE account_id = $1)`},
	{"usage_daily", `stream_id IN (SELECT id FROM simusage.stream WHERE account_id = $1)`},
	{"usage_monthly", `stream_id IN (SELECT id FROM simusage.stream WHERE account_id = $1)`},
	{"series", `stream_id IN (SELECT id FROM simusage.stream WHERE account_id = $1)`},
	{"stream", `account_id = $1`},
	{"sim", `account_id = $1`},
	{"sim_history", `account_id = $1`},
	{"fleet", `account_id = $1`},
	{"drift", `account_id = $1`},
	{"account", `id = $1`},
}

const slicesOf = ` FROM simusage.slice JOIN simusage.stream ON stream.id = slice.stream_id WHERE stream.account_id = $1`

// Belongings counts what the warehouse has of an account, named by its name or its SID. It changes nothing.
func (s *Store) Belongings(ctx context.Context, named string) (Account, []Forgotten, error) {
	var a Account
	var found []Forgotten
	err := s.inTx(ctx, func(tx pgx.Tx) (err error) {
		if a, err = s.named(ctx, tx, named, ``); err != nil {
			return err
		}
		found = nil
		for _, b := range belongings {
			f := Forgotten{Table: b.table}
			if err := tx.QueryRow(ctx, `SELECT count(*) FROM simusage.`+b.table+` WHERE `+b.where, a.ID).Scan(&f.Rows); err != nil {
				return fmt.Errorf("count %s: %w", b.table, err)
			}
			found = append(found, f)
		}
		return nil
	})
	if err != nil {
		return a, nil, fmt.Errorf("account %q: %w", named, err)
	}
	return a, found, nil
}

// Forget deletes all that the warehouse has of an account, in one transaction: the readers' views have it whole or not at
// all. Restatements go too, which only the owner of the tables may delete.
//
// Facts have no foreign key to their stream, so nothing but locks keeps another process from writing some behind our back.
// A publish and a remainder hold the row of their slice, a plan and a new series that of their stream, a rollup and names that
// of the account: all of them are waited for, and whoever comes later finds its row gone and writes nothing.
func (s *Store) Forget(ctx context.Context, named string) (Account, []Forgotten, error) {
	var a Account
	var gone []Forgotten
	err := s.inTx(ctx, func(tx pgx.Tx) (err error) {
		gone = nil
		if a, err = s.named(ctx, tx, named, ` FOR UPDATE`); err != nil {
			return err
		}
		var busy bool
		err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT`+slicesOf+` AND lease_expires_at > clock_timestamp())`, a.ID).Scan(&busy)
		if err != nil {
			return err
		}
		if busy {
			return ErrBusy
		}
		for _, lock := range []string{`SELECT FROM simusage.stream WHERE account_id = $1 ORDER BY id FOR UPDATE`, `SELECT` + slicesOf + ` ORDER BY slice.id FOR UPDATE OF slice`} {
			if _, err := tx.Exec(ctx, lock, a.ID); err != nil {
				return err
			}
		}
		if err := dropStages(ctx, tx, a); err != nil {
			return err
		}
		if err := cleanRuns(ctx, tx, a); err != nil {
			return err
		}
		for _, b := range belongings {
			tag, err := tx.Exec(ctx, `DELETE FROM simusage.`+b.table+` WHERE `+b.where, a.ID)
			if err != nil {
				return fmt.Errorf("delete from %s: %w", b.table, err)
			}
			gone = append(gone, Forgotten{b.table, tag.RowsAffected()})
		}
		return nil
	})
	if err != nil {
		if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) && pg.Code == "42501" {
			err = fmt.Errorf("%w: this role may not delete it: %s; run this as the owner of the tables, as migrate", ErrSchema, pg.Message)
		}
		return a, nil, fmt.Errorf("account %q: %w", named, err)
	}
	return a, gone, nil
}

// named is the account of that name or that SID.
func (s *Store) named(ctx context.Context, tx pgx.Tx, named, lock string) (a Account, err error) {
	err = tx.QueryRow(ctx, `SELECT id, name, coalesce(sid, ''), created_at FROM simusage.account WHERE name = $1 OR sid = $1`+lock, named).
		Scan(&a.ID, &a.Name, &a.SID, &a.Created)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNoAccount
	}
	return a, err
}

// dropStages drops what walks and readings of names that were killed have left.
func dropStages(ctx context.Context, tx pgx.Tx, a Account) error {
	rows, err := tx.Query(ctx, `SELECT tablename FROM pg_tables WHERE schemaname = 'simusage' AND (
			tablename ~ '^stage_[0-9]+(_span)?$' AND split_part(tablename, '_', 2)::bigint IN (SELECT slice.id`+slicesOf+`)
			OR tablename ~ format('^names_%s_', $1::smallint))`, a.ID)
	if err != nil {
		return err
	}
	stages, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, stage := range stages {
		if _, err := tx.Exec(ctx, `DROP TABLE `+pgx.Identifier{"simusage", stage}.Sanitize()); err != nil {
			return err
		}
	}
	return nil
}

// cleanRuns takes what names the account, its SIMs or its fleets out of what runs said. Runs are of all accounts and stay.
func cleanRuns(ctx context.Context, tx pgx.Tx, a Account) error {
	_, err := tx.Exec(ctx, `WITH told AS (
			SELECT run.id FROM simusage.run
			WHERE $2 <> '' AND strpos(concat_ws(' ', arguments, error), $2) > 0 OR $3 <> '' AND strpos(concat_ws(' ', arguments, error), $3) > 0
			UNION
			SELECT said.id FROM (
				SELECT run.id, (regexp_matches(concat_ws(' ', arguments, error), '[A-Z]{2}[0-9a-f]{32}', 'g'))[1] AS sid
				FROM simusage.run WHERE concat_ws(' ', arguments, error) ~ '[A-Z]{2}[0-9a-f]{32}') said
			WHERE said.sid IN (SELECT sid FROM simusage.sim WHERE account_id = $1 UNION ALL SELECT sid FROM simusage.fleet WHERE account_id = $1
				UNION ALL SELECT unnest(ARRAY[sim_sid, fleet_sid]) FROM simusage.series JOIN simusage.stream ON stream.id = series.stream_id WHERE account_id = $1)
		)
		UPDATE simusage.run SET arguments = '', error = CASE WHEN error IS NOT NULL THEN 'of an account that was forgotten' END
		FROM told WHERE told.id = run.id`, a.ID, a.Name, a.SID)
	if err != nil {
		return fmt.Errorf("clean the runs: %w", err)
	}
	return nil
}
