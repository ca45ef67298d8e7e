package load

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"simusage/extract"
)

// A partition is made as a table of its own and then attached: that takes a lock which readers do not feel, where
// CREATE TABLE … PARTITION OF would wait for all of them and stop all that come after. Whoever is first makes it; the
// others wait for the advisory lock and find it.
//
// A session of Postgres remembers which partitions a table has. One that is looking at the very moment when another is attached may
// remember the list without it, until something about the table changes again: an INSERT finds no partition then, and a SELECT
// no rows in it, without an error (seen with Postgres 15.20, where sessions insert while partitions are attached). So a process
// uses no session for a partition that is older than that is: when it learns of one, it begins with new sessions. Those of
// readers are told again at the end of a run (remindPartitions).

// ensurePartitions makes the monthly partitions that rows of the window go into.
func (s *Store) ensurePartitions(ctx context.Context, g extract.Granularity, w extract.Window) error {
	return s.learnPartitions(ctx, g, w, s.makePartition)
}

// meetPartitions looks which of the monthly partitions of the window there are.
func (s *Store) meetPartitions(ctx context.Context, g extract.Granularity, w extract.Window) error {
	return s.learnPartitions(ctx, g, w, func(ctx context.Context, _, name string, _ time.Time) (there bool, err error) {
		err = s.pool.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, "simusage."+name).Scan(&there)
		return there, err
	})
}

// learnPartitions learns of the partitions of the window that the process does not know, as far as look says that they are there.
func (s *Store) learnPartitions(ctx context.Context, g extract.Granularity, w extract.Window, look func(ctx context.Context, parent, name string, month time.Time) (bool, error)) error {
	var parents []string
	switch g {
	case extract.Hour:
		parents = []string{"usage_hourly", "usage_daily"}
	case extract.Day:
		parents = []string{"usage_daily"}
	}
	var learnt []string
	first := time.Date(w.Start.Year(), w.Start.Month(), 1, 0, 0, 0, 0, time.UTC)
	for month := first; month.Before(w.End); month = month.AddDate(0, 1, 0) {
		for _, parent := range parents {
			name := parent + month.Format("_2006_01")
			if s.partitions.has(name) {
				continue
			}
			there, err := look(ctx, parent, name, month)
			if err != nil {
				return fmt.Errorf("look for partition %s, or make it: %w", name, err)
			}
			if there {
				learnt = append(learnt, name)
			}
		}
	}
	if len(learnt) > 0 {
		s.pool.Reset()
	}
	for _, name := range learnt {
		s.partitions.add(name)
	}
	return nil
}

// remindPartitions lets every session look again which partitions there are. It changes nothing, and is left to the next run
// where somebody is about to change the table, or Postgres sees a deadlock in it: a run that is done is no failure for that.
func (s *Store) remindPartitions(ctx context.Context) error {
	for _, parent := range []string{"usage_hourly", "usage_daily"} {
		err := s.inTx(ctx, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '1s'`)
			if err == nil {
				_, err = tx.Exec(ctx, `ALTER TABLE simusage.`+parent+` RESET (fillfactor)`, pgx.QueryExecModeSimpleProtocol)
			}
			return err
		})
		var pg *pgconn.PgError
		if err != nil && !(errors.As(err, &pg) && (pg.Code == "55P03" || deadlocked(err))) {
			return fmt.Errorf("remind of the partitions of %s: %w", parent, err)
		}
	}
	return nil
}

func (s *Store) makePartition(ctx context.Context, parent, name string, month time.Time) (there bool, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('simusage.partition'))`); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, "simusage."+name).Scan(&there); err != nil || there {
			return err
		}
		table, of := pgx.Identifier{"simusage", name}.Sanitize(), pgx.Identifier{"simusage", parent}.Sanitize()
		// One by one: Citus, which attaches a partition on the workers too, takes no several statements at once.
		for _, statement := range []string{
			`SET LOCAL lock_timeout = '30s'`,
			fmt.Sprintf(`CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS)`, table, of),
			fmt.Sprintf(`ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')`,
				of, table, month.Format("2006-01-02 00:00Z"), month.AddDate(0, 1, 0).Format("2006-01-02 00:00Z")),
		} {
			if _, err := tx.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
				return err
			}
		}
		return nil
	})
	return err == nil, err
}

// noPartition says whether err is that there is no partition for a row. Citus passes on what a worker said without its code.
func noPartition(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "23514" || pg.Code == "XX000" && strings.HasPrefix(pg.Message, "no partition of relation"))
}

// nameSet remembers names, for many goroutines.
type nameSet struct{ names sync.Map }

func (n *nameSet) has(name string) bool { _, ok := n.names.Load(name); return ok }
func (n *nameSet) add(name string)      { n.names.Store(name, true) }
func (n *nameSet) forget()              { n.names.Clear() }
