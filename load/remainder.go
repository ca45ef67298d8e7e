package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"simusage/extract"
)

// Whether the API reports usage of an unknown country or network under a null key, or leaves it out of a grouped answer,
// is not documented. Where it is left out, the views of countries would say less than those of the total, for ever, and
// nobody who sums them would know. So what a breakdown lacks, when reading it again has not helped, is written as rows
// without SIM, fleet, network and country: the remainder.
//
// These rows are derived, so they are kept apart from what the API said, as facts of a stream of their own that is never
// asked for (stream.remainder_of) and that the views read beside it. They count in no digest, no sum of a slice and no
// restatement; reconciliation goes on to show the difference. They go in the transaction that publishes the slice with
// other values, and come back when the difference is still there: nothing is counted twice in between.

// Remainders makes, corrects and removes the remainders of the wanted windows, and returns how many slices it touched.
func (s *Store) Remainders(ctx context.Context, d Due) (int, error) {
	args, some := d.compareArgs()
	if !some {
		return 0, nil
	}
	args = append(args, maxDoubts)
	rows, err := s.pool.Query(ctx, staleSQL+` ORDER BY id`, args...)
	if err != nil {
		return 0, fmt.Errorf("look for unattributed usage: %w", err)
	}
	stale, err := pgx.CollectRows(rows, pgx.RowToStructByPos[remainder])
	if err != nil {
		return 0, fmt.Errorf("look for unattributed usage: %w", err)
	}
	for i, r := range stale {
		for _, st := range d.Streams {
			if st.ID == r.Stream {
				err = s.setRemainder(ctx, st.Stream, r, slices.Concat(args, []any{r.ID}))
			}
		}
		if err != nil {
			return i, fmt.Errorf("note unattributed usage of %s: %w", r.Start.UTC().Format(time.DateOnly), err)
		}
	}
	return len(stale), nil
}

// staleSQL are the slices whose remainder is not what it should be ($7: doubts after which a difference stands).
const staleSQL = comparedSQL + ` SELECT id, stream_id, total_id, total_stream_id, window_start, wanted FROM (
		SELECT *, CASE WHEN NOT agrees AND less AND doubts >= $7 THEN missing END AS wanted FROM compared
	) c WHERE remainder IS DISTINCT FROM wanted`

// remainder is a slice whose remainder is not what it should be.
type remainder struct {
	ID          int64
	Stream      int16
	TotalID     int64
	TotalStream int16
	Start       time.Time
	Wanted      *string // nil: none
}

// setRemainder makes the remainder of one slice anew. Both slices are locked, and looked at once more: neither may be
// published in between. One that somebody else has locked is being published, and left to who comes after that.
func (s *Store) setRemainder(ctx context.Context, st Stream, r remainder, args []any) error {
	of, series, err := s.remainderStream(ctx, st)
	if err != nil {
		return err
	}
	return s.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `SELECT FROM simusage.slice WHERE id = ANY($1) ORDER BY id FOR UPDATE SKIP LOCKED`, []int64{r.ID, r.TotalID})
		if err != nil || tag.RowsAffected() < 2 {
			return err
		}
		err = tx.QueryRow(ctx, staleSQL+` AND id = $8`, args...).Scan(&r.ID, &r.Stream, &r.TotalID, &r.TotalStream, &r.Start, &r.Wanted)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.clearRemainder(ctx, tx, st.Stream, r.ID); err != nil || r.Wanted == nil {
			return err
		}
		slice := st.Slices(extract.Window{Start: r.Start, End: r.Start.Add(time.Hour)})[0]
		facts := func(text string) string { return fill(st.Stream, "", text) }
		if _, err := execute(ctx, tx, facts, "remainder", st.ID, slice.Start, slice.End, r.TotalStream, of, series); err != nil {
			return err
		}
		if st.Granularity == extract.Hour {
			if _, err := execute(ctx, tx, facts, "rollup", of, slice.Start, slice.End); err != nil {
				return err
			}
		}
		var size int64
		err = tx.QueryRow(ctx, facts(`SELECT coalesce(sum(data_total), 0)::bigint FROM {facts} WHERE stream_id = $1 AND period_start >= $2 AND period_start < $3`),
			pgx.QueryExecModeSimpleProtocol, of, slice.Start, slice.End).Scan(&size)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE simusage.slice SET remainder = $2, rolled_up_for = NULL, remainder_size = $3 WHERE id = $1`, r.ID, *r.Wanted, size)
		return err
	})
}

// remainderStream finds or makes the stream of a stream's remainders, and its only series.
func (s *Store) remainderStream(ctx context.Context, st Stream) (id int16, series int32, err error) {
	_, err = s.pool.Exec(ctx, `INSERT INTO simusage.stream (account_id, name, granularity, grouping, filters, remainder_of)
		SELECT account_id, name || ' (remainder)', granularity, 'remainder', filters, id FROM simusage.stream WHERE id = $1
			AND NOT EXISTS (SELECT FROM simusage.stream WHERE remainder_of = $1)
		ON CONFLICT (account_id, name) DO NOTHING`, st.ID)
	if err == nil {
		err = s.pool.QueryRow(ctx, `SELECT id FROM simusage.stream WHERE remainder_of = $1`, st.ID).Scan(&id)
	}
	if err != nil {
		return 0, 0, err
	}
	ids, err := s.resolve(ctx, id, make([]extract.Record, 1))
	if err != nil {
		return 0, 0, err
	}
	return id, ids[0], nil
}

// clearRemainder takes the remainder of a slice away, if it has one.
func (s *Store) clearRemainder(ctx context.Context, tx pgx.Tx, x extract.Stream, slice int64) error {
	var of int16
	var start, end time.Time
	err := tx.QueryRow(ctx, `SELECT r.id, s.window_start, s.window_end FROM simusage.slice s JOIN simusage.stream r ON r.remainder_of = s.stream_id WHERE s.id = $1`, slice).
		Scan(&of, &start, &end)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	batch := &pgx.Batch{}
	if err == nil {
		start, end = start.UTC(), end.UTC()
		batch.Queue(fill(x, "", `DELETE FROM {facts} WHERE stream_id = $1 AND period_start >= $2 AND period_start < $3`), of, start, end)
		if x.Granularity == extract.Hour {
			batch.Queue(`DELETE FROM simusage.usage_daily WHERE stream_id = $1 AND period_start = $2`, of, start)
		}
	}
	batch.Queue(`UPDATE simusage.slice SET remainder = NULL, remainder_size = 0, rolled_up_for = NULL WHERE id = $1`, slice)
	return tx.SendBatch(ctx, batch).Close()
}
