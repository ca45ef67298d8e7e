package load

import (
	"context"
	"fmt"

	"simusage/extract"
)

// maxDoubts is how often in a row a slice is read again because its sums do not agree with the total's.
const maxDoubts = 2

// comparedSQL holds the published slices of the wanted windows against the total's slice of the same time: what is missing
// from them, and whether they agree. A slice that is being walked, is due anyway, is held back or has lost its hours is left
// out; so is what the wall cuts. Its parameters are $1 to $5, made by args, and $6, the streams to compare.
//
// Each slice looks its total up by key (LIMIT leaves the planner no other way), and both their sums: joined as a whole, the
// slices of ten years would be compared each with each, because nobody can guess how few fit together.
const comparedSQL = `WITH compared AS (
		SELECT s.id, s.stream_id, s.window_start, s.doubts, s.remainder, t.id AS total_id, t.stream_id AS total_stream_id,
			(su.upload, su.download, su.total) = (tu.upload, tu.download, tu.total) AS agrees,
			su.upload <= tu.upload AND su.download <= tu.download AND su.total <= tu.total AS less,
			concat_ws(' ', tu.upload - su.upload, tu.download - su.download, tu.total - su.total, tu.billed - su.billed) AS missing
		FROM ` + wantSQL + `
		JOIN simusage.stream st ON st.id = w.stream_id
		JOIN simusage.stream tt ON tt.account_id = st.account_id AND tt.granularity = st.granularity AND tt.filters = st.filters AND tt.grouping = 'total'
		JOIN simusage.slice s ON s.stream_id = w.stream_id AND s.window_start >= w.first AND s.window_start < w.until AND s.covered_from >= w.wall
		CROSS JOIN LATERAL (SELECT * FROM simusage.slice WHERE stream_id = tt.id AND window_start = s.window_start LIMIT 1) t
		CROSS JOIN LATERAL (` + sumsSQL + ` = s.id) su
		CROSS JOIN LATERAL (` + sumsSQL + ` = t.id) tu
		WHERE w.stream_id = ANY($6) AND tt.id = ANY($1) AND s.published_at IS NOT NULL AND t.published_at IS NOT NULL
			AND t.covered_from = s.covered_from AND t.covered_until = s.covered_until
			AND NOT (s.doubted OR s.walk_started_at IS NOT NULL OR s.walk_leader IS NOT NULL OR s.held_at IS NOT NULL OR s.trimmed_at IS NOT NULL)
			AND NOT (t.doubted OR t.walk_started_at IS NOT NULL OR t.walk_leader IS NOT NULL OR t.held_at IS NOT NULL OR t.trimmed_at IS NOT NULL)
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
	return append(d.args()[:5], ids), len(ids) > 0
}

// Doubt makes the slices of the wanted windows due whose sums are not those of the total's slice of the same time, and the
// total's with them: usage may have arrived between the two readings, and reading both again settles that. A slice that
// still disagrees then is left alone, with the difference there to see; it is doubted anew when it has agreed once. Doubt
// returns how many slices are due now.
func (s *Store) Doubt(ctx context.Context, d Due) (int64, error) {
	args, some := d.compareArgs()
	if !some {
		return 0, nil
	}
	tag, err := s.pool.Exec(ctx, comparedSQL+`, calmed AS (
			UPDATE simusage.slice SET doubts = 0 WHERE doubts > 0 AND id IN (SELECT id FROM compared WHERE agrees)
		)
		UPDATE simusage.slice SET doubted = true, doubts = doubts + CASE WHEN id IN (SELECT id FROM compared) THEN 1 ELSE 0 END
		WHERE id IN (SELECT id FROM compared WHERE NOT agrees AND doubts < $7 UNION SELECT total_id FROM compared WHERE NOT agrees AND doubts < $7)`,
		append(args, maxDoubts)...)
	if err != nil {
		return 0, fmt.Errorf("hold the slices against the total: %w", err)
	}
	return tag.RowsAffected(), nil
}
