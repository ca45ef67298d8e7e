package load

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"simusage/extract"
)

// Estimate is what a stream's due slices will cost.
type Estimate struct {
	Stream   Stream
	Slices   int
	Lists    int64
	Rows     int64 // of the slices that were read before, or as many as the stream's other slices had
	Requests int64
}

// Estimate says what the due slices would cost, asking nothing of the API: from what the same slice, or else the
// stream's other slices, had when they were read, at pageSize records a page, walked together as Lease would have them. It
// writes nothing; slices without a row yet count as never read.
func (s *Store) Estimate(ctx context.Context, d Due, pageSize int) ([]Estimate, error) {
	var out []Estimate
	for _, w := range d.Streams {
		one := d
		one.Streams = []DueStream{w}
		all, err := s.guess(ctx, one)
		if err != nil {
			return nil, fmt.Errorf("estimate %s: %w", w.Stream, err)
		}
		e := cost(w.Stream.Stream, d.Recent, all, pageSize)
		e.Stream = w.Stream
		out = append(out, e)
	}
	return out, nil
}

// cost adds up what slices cost that are walked as Lease would have them.
func cost(st extract.Stream, recent time.Time, all []guessed, pageSize int) Estimate {
	e := Estimate{Slices: len(all)}
	for walk := range walks(st, recent, all) {
		lists, rows := int64(1), int64(0)
		for _, g := range walk {
			lists, rows = max(lists, g.lists), rows+g.rows
		}
		e.Lists += lists
		e.Rows += rows
		// The last page of a list is half full; of a single list we know how full.
		e.Requests += max(lists, (rows+int64(pageSize)-1)/int64(pageSize)+(lists-1)/2)
	}
	return e
}

// times is the same as often.
func (e *Estimate) times(n int64) {
	e.Slices, e.Lists, e.Rows, e.Requests = e.Slices*int(n), e.Lists*n, e.Rows*n, e.Requests*n
}

// guessed is a due slice and what it is expected to have.
type guessed struct {
	neighbour
	lists int64 // pieces included
}

// guess lists the due slices of a stream, in order of time. Of a stream that was never read the first slice is walked alone,
// to know more.
func (s *Store) guess(ctx context.Context, d Due) ([]guessed, error) {
	w := d.Streams[0]
	var starts, ends []time.Time
	for _, sl := range w.Slices(w.Window.Intersect(extract.Window{Start: w.Window.Start, End: w.Finished})) {
		starts, ends = append(starts, sl.Start), append(ends, sl.End)
	}
	rows, err := s.pool.Query(ctx, `WITH known AS (
			SELECT avg(row_count)::float8 AS rows, avg(list_count)::float8 AS lists FROM simusage.slice
			WHERE stream_id = ($1::smallint[])[1] AND published_at IS NOT NULL
		), due AS (
			SELECT s.window_start AS first, s.window_end AS until, s.published_at IS NOT NULL AS read, s.row_count, s.list_count, `+aloneSQL+` AS alone
			FROM simusage.slice s JOIN `+wantSQL+` ON `+dueSQL+`
			UNION ALL
			SELECT n.first, n.until, false, 0, 0, false FROM unnest($8::timestamptz[], $9::timestamptz[]) AS n(first, until) JOIN `+wantSQL+` ON n.first < w.finished
			LEFT JOIN simusage.slice s ON s.stream_id = w.stream_id AND s.window_start = n.first WHERE s.id IS NULL
		)
		SELECT first, until, (CASE WHEN read THEN row_count ELSE coalesce(known.rows, 0) END)::bigint,
			greatest(1, CASE WHEN read THEN list_count ELSE coalesce(known.lists, 1 + $10::boolean::int) END)::bigint,
			alone OR known.rows IS NULL AND first = (SELECT max(first) FROM due), read
		FROM due CROSS JOIN known ORDER BY first`, append(d.args(), starts, ends, w.FanOut != "")...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (g guessed, err error) {
		var read bool
		err = row.Scan(&g.window.Start, &g.window.End, &g.rows, &g.lists, &g.alone, &read)
		g.window = utc(g.window)
		if read {
			ask := g.window.Intersect(extract.Window{Start: w.Wall, End: w.Finished})
			g.lists = cutLists(w.Stream.Stream, ask, g.rows, g.lists, s.listRows)
		}
		return g, err
	})
}

// walks are the slices in the walks in which Lease would give them out: first the newest slice, then the oldest.
func walks(st extract.Stream, recent time.Time, all []guessed) func(func([]guessed) bool) {
	return func(yield func([]guessed) bool) {
		left, taken := make([]neighbour, len(all)), make([]bool, len(all))
		for i, g := range all {
			left[i] = g.neighbour
		}
		newest, _ := slices.BinarySearchFunc(all, recent, func(g guessed, t time.Time) int {
			if g.window.End.After(t) {
				return 1
			}
			return -1
		})
		for n := range all {
			i := len(all) - 1 - n
			if i < newest {
				i = n - (len(all) - newest)
			}
			if taken[i] {
				continue
			}
			from, until := together(st, left, i)
			for j := from; j < until; j++ {
				taken[j], left[j].alone = true, true
			}
			if !yield(all[from:until]) {
				return
			}
		}
	}
}
