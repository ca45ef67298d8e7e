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

// ensurePartitions makes the monthly partitions that rows of the window go into.
//
// A partition is made as a table of its own and then attached: that takes a lock which readers do not feel, where
// CREATE TABLE … PARTITION OF would wait for all of them and stop all that come after. Whoever is first makes it; the
// others wait for the advisory lock and find it.
func (s *Store) ensurePartitions(ctx context.Context, g extract.Granularity, w extract.Window) error {
	var parents []string
	switch g {
	case extract.Hour:
		parents = []string{"usage_hourly", "usage_daily"}
	case extract.Day:
		parents = []string{"usage_daily"}
	}
	first := time.Date(w.Start.Year(), w.Start.Month(), 1, 0, 0, 0, 0, time.UTC)
	for month := first; month.Before(w.End); month = month.AddDate(0, 1, 0) {
		for _, parent := range parents {
			name := parent + month.Format("_2006_01")
			if s.partitions.has(name) {
				continue
			}
			if err := s.makePartition(ctx, parent, name, month); err != nil {
				return fmt.Errorf("make partition %s: %w", name, err)
			}
			s.partitions.add(name)
		}
	}
	return nil
}

func (s *Store) makePartition(ctx context.Context, parent, name string, month time.Time) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('simusage.partition'))`); err != nil {
			return err
		}
		var there bool
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
