package load

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"simusage/extract"
)

// Due says which slices want a walk: those of its streams, in their windows, that were never published, or were
// published while unsettled and are older than the refresh interval, or can now be asked for buckets that were not
// finished then, or whose walk is still open. A slice whose hours were dropped is never due: there is nothing left that an
// answer could be held against.
type Due struct {
	Streams []DueStream
	// Now is the time of the run. What claims to be much younger was written by a clock that ran ahead. Zero for not known.
	Now time.Time
	// RefreshBefore: an unsettled slice that was last checked before this is due.
	RefreshBefore time.Time
	// AgainBefore: any slice that was last checked before this is due, settled or not. Zero for none.
	AgainBefore time.Time
	// Recent: slices that end after this come first, newest first; then the others, nearest to the wall first.
	Recent time.Time
}

// DueStream is one stream's part of Due.
type DueStream struct {
	Stream
	// Window is the range of slices that is wanted.
	Window extract.Window
	// Finished is the end of the last finished bucket, Wall the oldest time that can be asked for.
	Finished, Wall time.Time
}

// dueSQL is the condition of Due over simusage.slice AS s JOIN want AS w; wantSQL is that relation. Its parameters are
// $1 to $7, made by args.
const (
	wantSQL = `unnest($1::smallint[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[])
		AS w(stream_id, first, until, finished, wall)`
	dueSQL = `s.stream_id = w.stream_id AND s.window_start >= w.first AND s.window_start < w.until
		AND s.window_start < w.finished AND s.window_end > w.wall AND s.trimmed_at IS NULL
		AND (s.published_at IS NULL
			OR s.walk_started_at IS NOT NULL
			OR s.covered_until < least(s.window_end, w.finished)
			OR (NOT s.settled AND s.checked_at < $6)
			OR s.checked_at < $7
			OR s.held_at < $6
			OR s.doubted
			OR s.accepted)`
	// openSQL is of all that may be due without being asked for again, word for word as the index slice_open has it.
	openSQL = `(NOT s.settled OR s.published_at IS NULL OR s.walk_started_at IS NOT NULL OR s.covered_until < s.window_end OR s.held_at IS NOT NULL OR s.doubted OR s.accepted)`
)

// sql is the condition of Due for slices that are named otherwise.
func (d Due) sql() string {
	if d.AgainBefore.IsZero() {
		return dueSQL + ` AND ` + openSQL
	}
	return dueSQL
}

// from is a relation of the slices AS s that are due and fulfil a condition, stream by stream, found by indexes: what is open, and
// what was read too long ago, where that is wanted again. Due slices are few among many mostly, which the planner does not
// know; OFFSET keeps it from reading all.
func (d Due) from(condition string) string {
	slices := `SELECT s.* FROM simusage.slice s WHERE ` + dueSQL + condition
	among := slices + ` AND ` + openSQL
	if !d.AgainBefore.IsZero() {
		among += ` UNION ALL ` + slices + ` AND s.checked_at < $7 AND ` + openSQL + ` IS NOT TRUE`
	}
	return wantSQL + ` CROSS JOIN LATERAL (` + among + ` OFFSET 0) s`
}

func (d Due) args() []any {
	n := len(d.Streams)
	ids := make([]int16, n)
	first, until, finished, wall := make([]time.Time, n), make([]time.Time, n), make([]time.Time, n), make([]time.Time, n)
	for i, s := range d.Streams {
		ids[i], first[i], until[i], finished[i], wall[i] = s.ID, s.Window.Start, s.Window.End, s.Finished, s.Wall
		if s.Granularity == extract.All {
			// One bucket for the whole slice: a month that the wall cuts cannot be asked for any more.
			month := time.Date(s.Wall.Year(), s.Wall.Month(), 1, 0, 0, 0, 0, time.UTC)
			if month.Before(s.Wall) {
				month = month.AddDate(0, 1, 0)
			}
			wall[i] = month
		}
	}
	return []any{ids, first, until, finished, wall, d.RefreshBefore, d.AgainBefore}
}

// skew is how far the clocks of two machines may be apart without one of them being wrong.
const skew = 10 * time.Minute

// Plan makes sure that each calendar slice of the wanted windows has its row. What is there stays as it is, unless it was
// published by a clock that ran ahead: such a run saw days that had hardly begun as settled, and what they still got would
// never be asked for. These slices count as not settled, and are due.
func (s *Store) Plan(ctx context.Context, d Due) error {
	ids, first, until, want := make([]int16, len(d.Streams)), make([]time.Time, len(d.Streams)), make([]time.Time, len(d.Streams)), make([]int, len(d.Streams))
	calendars := make([][]extract.Window, len(d.Streams))
	for i, w := range d.Streams {
		calendars[i] = w.Slices(w.Window.Intersect(extract.Window{Start: w.Window.Start, End: w.Finished}))
		ids[i], want[i] = w.ID, len(calendars[i])
		if want[i] > 0 {
			first[i], until[i] = calendars[i][0].Start, calendars[i][want[i]-1].End
		}
	}
	_, err := s.pool.Exec(ctx, `UPDATE simusage.slice SET settled = false, checked_at = 'epoch', covered_until = covered_from, digest = NULL
		WHERE stream_id = ANY($1) AND checked_at > $2 AND trimmed_at IS NULL AND NOT $3`, ids, d.Now.Add(skew), d.Now.IsZero())
	if err != nil {
		return fmt.Errorf("doubt the slices of the future: %w", err)
	}
	// Many processes begin at the same time, and mostly all rows are there: so they are counted first.
	rows, err := s.pool.Query(ctx, `SELECT w.no FROM unnest($1::smallint[], $2::timestamptz[], $3::timestamptz[], $4::integer[]) WITH ORDINALITY AS w(stream_id, first, until, slices, no)
		WHERE w.slices > (SELECT count(*) FROM simusage.slice s WHERE s.stream_id = w.stream_id AND s.window_start >= w.first AND s.window_start < w.until)`,
		ids, first, until, want)
	if err != nil {
		return fmt.Errorf("count the slices: %w", err)
	}
	missing, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return fmt.Errorf("count the slices: %w", err)
	}
	for _, no := range missing {
		if err := s.planStream(ctx, d.Streams[no-1], calendars[no-1]); err != nil {
			return err
		}
	}
	return nil
}

// planStream makes the rows of a stream that are missing.
func (s *Store) planStream(ctx context.Context, w DueStream, slices []extract.Window) error {
	starts, ends := make([]time.Time, len(slices)), make([]time.Time, len(slices))
	for i, sl := range slices {
		starts[i], ends[i] = sl.Start, sl.End
	}
	_, err := s.pool.Exec(ctx, `INSERT INTO simusage.slice (stream_id, window_start, window_end)
		SELECT $1, n.* FROM unnest($2::timestamptz[], $3::timestamptz[]) AS n(first, until)
		LEFT JOIN simusage.slice s ON s.stream_id = $1 AND s.window_start = n.first
		WHERE s.id IS NULL ORDER BY n.first
		ON CONFLICT (stream_id, window_start) DO NOTHING`, w.ID, starts, ends)
	if err != nil {
		return fmt.Errorf("plan the slices of %s: %w", w.Stream, err)
	}
	return nil
}

// Any says whether a slice is due, whoever holds it: sooner than Left, which counts them.
func (s *Store) Any(ctx context.Context, d Due) (some bool, err error) {
	if len(d.Streams) == 0 {
		return false, nil
	}
	err = s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM `+d.from(``)+`)`, d.args()...).Scan(&some)
	if err != nil {
		return false, fmt.Errorf("look for due slices: %w", err)
	}
	return some, nil
}

// Left counts the due slices that nobody walks, those that another process walks, and says how long until the first of
// those leases runs out if its holder gives no sign of life. Slices that this process walks, and those of skip, do not count.
func (s *Store) Left(ctx context.Context, d Due, skip []int64) (free, held int, expires time.Duration, err error) {
	if len(d.Streams) == 0 {
		return 0, 0, 0, nil
	}
	var seconds float64
	err = s.pool.QueryRow(ctx, `WITH due AS (
			SELECT greatest(extract(epoch FROM s.lease_expires_at - clock_timestamp()), 0)::float8 AS lease
			FROM `+d.from(` AND s.id <> ALL(coalesce($8::bigint[], '{}'))`)+`
		)
		SELECT count(*) FILTER (WHERE coalesce(lease, 0) = 0), count(*) FILTER (WHERE lease > 0), coalesce(min(lease) FILTER (WHERE lease > 0), 0) FROM due`,
		append(d.args(), append(s.held.all(), skip...))...).Scan(&free, &held, &seconds)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("count the due slices: %w", err)
	}
	return free, held, time.Duration(seconds * float64(time.Second)), nil
}
