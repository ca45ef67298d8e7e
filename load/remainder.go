package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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

// Remainders makes, corrects and removes the remainders of the wanted windows, and returns how many slices it touched. Processes
// that do it at the same time begin with different streams, and leave out what others have done.
func (s *Store) Remainders(ctx context.Context, d Due) (touched int, err error) {
	stale, err := staleRemainders(ctx, s.pool, d)
	if err != nil || len(stale) == 0 {
		return 0, err
	}
	for _, st := range shuffled(d.Streams) {
		if !slices.ContainsFunc(stale, func(r remainder) bool { return r.Stream == st.ID }) {
			continue
		}
		left, err := staleRemainders(ctx, s.pool, d.with(st.Stream, st.Window))
		if err != nil {
			return touched, err
		}
		for _, r := range left {
			if err := s.setRemainder(ctx, d, st.Stream, r); err != nil {
				return touched, fmt.Errorf("note unattributed usage of %s: %w", r.Start.UTC().Format(time.DateOnly), err)
			}
			touched++
		}
	}
	return touched, nil
}

// with narrows what is compared to one stream and some time.
func (d Due) with(st Stream, within extract.Window) Due {
	streams := d.Streams
	d.Streams = nil
	for _, w := range streams {
		if w.ID == st.ID || w.Group == extract.Total && w.Account.ID == st.Account.ID {
			w.Window = within
			d.Streams = append(d.Streams, w)
		}
	}
	return d
}

// shuffled is the streams in an order of each process' own.
func shuffled(streams []DueStream) []DueStream {
	streams = slices.Clone(streams)
	rand.Shuffle(len(streams), func(i, j int) { streams[i], streams[j] = streams[j], streams[i] })
	return streams
}

// staleSQL are the slices whose remainder is not what it should be.
const staleSQL = comparedSQL + ` SELECT id, stream_id, total_id, total_stream_id, window_start, wanted FROM compared WHERE remainder IS DISTINCT FROM wanted ORDER BY id`

func staleRemainders(ctx context.Context, q querier, d Due) ([]remainder, error) {
	args, some := d.compareArgs()
	if !some {
		return nil, nil
	}
	rows, err := q.Query(ctx, staleSQL, args...)
	if err != nil {
		return nil, fmt.Errorf("look for unattributed usage: %w", err)
	}
	stale, err := pgx.CollectRows(rows, pgx.RowToStructByPos[remainder])
	if err != nil {
		return nil, fmt.Errorf("look for unattributed usage: %w", err)
	}
	return stale, nil
}

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
func (s *Store) setRemainder(ctx context.Context, d Due, st Stream, r remainder) error {
	of, series, err := s.remainderStream(ctx, st)
	if err != nil {
		return err
	}
	slice := st.Slices(extract.Window{Start: r.Start, End: r.Start.Add(time.Hour)})[0]
	if err := s.meetPartitions(ctx, st.Granularity, slice); err != nil {
		return err
	}
	return s.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `SELECT FROM simusage.slice WHERE id = ANY($1) ORDER BY id FOR UPDATE SKIP LOCKED`, []int64{r.ID, r.TotalID})
		if err != nil || tag.RowsAffected() < 2 {
			return err
		}
		still, err := staleRemainders(ctx, tx, d.with(st, slice))
		if err != nil || len(still) == 0 {
			return err
		}
		r = still[0]
		if err := s.clearRemainder(ctx, tx, st.Stream, r.ID); err != nil || r.Wanted == nil {
			return err
		}
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
