package load

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"simusage/extract"
)

// maxDoubts is how often in a row a slice is read again because its sums do not agree with the total's.
const maxDoubts = 2

// comparedSQL holds published slices of the wanted windows against the total's slice of the same time: what is missing from
// them, whether they agree, whether they are to be read again, and what their remainder should be. A slice that is being
// walked, is due anyway, is held back or has lost its hours is left out; so is what the wall cuts. Its parameters are $1 to
// $5, made by args, $6, the streams to compare, and $7, maxDoubts.
//
// Of a hundred thousand slices mostly a few have been published since they were compared, or their total has; only these
// are looked at (news). Each looks its total up by key (LIMIT leaves the planner no other way), and both their sums: joined as a
// whole, the slices of ten years would be compared each with each, because nobody can guess how few fit together.
const comparedSQL = `WITH compared AS (
		SELECT c.*, NOT agrees AND doubts < $7 AS again, CASE WHEN NOT agrees AND less AND doubts >= $7 THEN missing END AS wanted FROM (
			SELECT s.id, s.stream_id, s.window_start, s.published_at, s.doubts, s.remainder,
				t.id AS total_id, t.stream_id AS total_stream_id, t.published_at AS total_published_at, kin.ids AS kin,
				(su.upload, su.download, su.total) = (tu.upload, tu.download, tu.total) AS agrees,
				su.upload <= tu.upload AND su.download <= tu.download AND su.total <= tu.total AS less,
				concat_ws(' ', tu.upload - su.upload, tu.download - su.download, tu.total - su.total, tu.billed - su.billed) AS missing
			FROM ` + wantSQL + `
			JOIN simusage.stream st ON st.id = w.stream_id
			JOIN simusage.stream tt ON tt.account_id = st.account_id AND tt.granularity = st.granularity AND tt.filters = st.filters AND tt.grouping = 'total'
			CROSS JOIN LATERAL (SELECT array_agg(id) AS ids FROM simusage.stream
				WHERE account_id = tt.account_id AND granularity = tt.granularity AND filters = tt.filters AND grouping <> 'total') kin
			CROSS JOIN LATERAL (SELECT window_start FROM simusage.slice WHERE stream_id IN (st.id, tt.id) AND window_start >= w.first AND window_start < w.until
				AND compared_for IS DISTINCT FROM published_at AND trimmed_at IS NULL GROUP BY window_start) news
			CROSS JOIN LATERAL (SELECT * FROM simusage.slice WHERE stream_id = st.id AND window_start = news.window_start LIMIT 1) s
			CROSS JOIN LATERAL (SELECT * FROM simusage.slice WHERE stream_id = tt.id AND window_start = news.window_start LIMIT 1) t
			CROSS JOIN LATERAL (` + sumsSQL + ` = s.id) su
			CROSS JOIN LATERAL (` + sumsSQL + ` = t.id) tu
			WHERE w.stream_id = ANY($6) AND tt.id = ANY($1) AND s.covered_from >= w.wall AND s.published_at IS NOT NULL AND t.published_at IS NOT NULL
				AND t.covered_from = s.covered_from AND t.covered_until = s.covered_until
				AND NOT (s.doubted OR s.walk_started_at IS NOT NULL OR s.walk_leader IS NOT NULL OR s.held_at IS NOT NULL OR s.trimmed_at IS NOT NULL)
				AND NOT (t.doubted OR t.walk_started_at IS NOT NULL OR t.walk_leader IS NOT NULL OR t.held_at IS NOT NULL OR t.trimmed_at IS NOT NULL)
		) c
	)`

// sumsSQL are the sums of the slice that is named behind it.
const sumsSQL = `SELECT coalesce(sum(data_upload), 0) AS upload, coalesce(sum(data_download), 0) AS download, coalesce(sum(data_total), 0) AS total,
	coalesce(sum(data_total_billed), 0) AS billed FROM simusage.slice_sum WHERE slice_id`

// compareArgs are the parameters of comparedSQL; false when nothing can be compared.
func (d Due) compareArgs() ([]any, bool) {
	var ids []int16
	for _, st := range d.Streams {
		if st.Group != extract.Total {
			ids = append(ids, st.ID)
		}
	}
	return append(d.args()[:5], ids, maxDoubts), len(ids) > 0
}

// doubtSQL writes what came of comparing. Done with is a slice that agrees, or disagrees for good, and has the remainder that
// it should have; and a total when that is so of all the slices that there are of its time, asked for by this run or not.
// Whatever is published meanwhile is another publish, and stays to be compared.
const doubtSQL = comparedSQL + `, verdict AS (
		SELECT id, published_at, agrees, again, NOT again AND remainder IS NOT DISTINCT FROM wanted AS done FROM compared
		UNION ALL
		SELECT total_id, total_published_at, true, bool_or(again), bool_and(NOT again AND remainder IS NOT DISTINCT FROM wanted)
			AND count(*) = (SELECT count(*) FROM simusage.slice k WHERE k.stream_id = ANY(kin) AND k.window_start = compared.window_start AND k.published_at IS NOT NULL AND k.trimmed_at IS NULL)
		FROM compared GROUP BY total_id, total_published_at, kin, window_start
	), told AS (
		UPDATE simusage.slice s SET doubted = doubted OR again, doubts = CASE WHEN agrees THEN 0 ELSE doubts + again::int END,
			compared_for = CASE WHEN done THEN s.published_at END
		FROM verdict v WHERE v.id = s.id AND v.published_at = s.published_at AND (again OR done OR agrees AND doubts > 0)
		RETURNING again
	)
	SELECT count(*) FROM told WHERE again`

// Doubt makes the slices of the wanted windows due whose sums are not those of the total's slice of the same time, and the
// total's with them: usage may have arrived between the two readings, and reading both again settles that. A slice that
// still disagrees then is left alone, with the difference there to see; it is doubted anew when it has agreed once. Doubt
// returns how many slices are due now.
//
// Processes take turns. Those that have waited find that it was done, and a process that dies lets the next one do it: so
// whatever was published before a run comes here is proven when it leaves, by whomever.
func (s *Store) Doubt(ctx context.Context, d Due) (due int64, err error) {
	args, some := d.compareArgs()
	if !some {
		return 0, nil
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if err := proofTurn(ctx, tx); err != nil {
			return err
		}
		return tx.QueryRow(ctx, doubtSQL, args...).Scan(&due)
	})
	if err != nil {
		return 0, fmt.Errorf("hold the slices against the total: %w", err)
	}
	return due, nil
}

// proofTurn waits until no other transaction writes to many slices at once, in whatever order.
func proofTurn(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('simusage.proof'))`)
	return err
}
