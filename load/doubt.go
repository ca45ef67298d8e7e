package load

import (
	"context"
	"fmt"

	"simusage/extract"
)

// maxDoubts is how often in a row a slice is read again because its sums do not agree with the total's.
const maxDoubts = 2

// comparedSQL holds the published slices of the wanted windows against the total's slice of the same time: what is missing
// from them, and whether they agree. A slice that is being walked, is due anyway, or is held back is left out; so is what
// the wall cuts. Its parameters are $1 to $5, made by args, and $6, the streams to compare.
const comparedSQL = `WITH sums AS MATERIALIZED (
		SELECT s.id, s.stream_id, s.window_start, s.covered_from, s.covered_until, s.doubts, s.remainder,
			s.doubted OR s.walk_started_at IS NOT NULL OR s.walk_leader IS NOT NULL OR s.held_at IS NOT NULL AS busy,
			coalesce(sum(x.data_upload), 0) AS upload, coalesce(sum(x.data_download), 0) AS download, coalesce(sum(x.data_total), 0) AS total,
			coalesce(sum(x.data_total_billed), 0) AS billed
		FROM simusage.slice s LEFT JOIN simusage.slice_sum x ON x.slice_id = s.id
		WHERE s.published_at IS NOT NULL AND s.stream_id = ANY($1)
			AND s.window_start >= (SELECT min(first) FROM unnest($2::timestamptz[]) first) AND s.window_start < (SELECT max(until) FROM unnest($3::timestamptz[]) until)
		GROUP BY s.id
	), compared AS (
		SELECT s.id, s.stream_id, s.window_start, s.doubts, s.remainder, t.id AS total_id, t.stream_id AS total_stream_id,
			(s.upload, s.download, s.total) = (t.upload, t.download, t.total) AS agrees,
			s.upload <= t.upload AND s.download <= t.download AND s.total <= t.total AS less,
			concat_ws(' ', t.upload - s.upload, t.download - s.download, t.total - s.total, t.billed - s.billed) AS missing
		FROM sums s
		JOIN simusage.stream st ON st.id = s.stream_id
		JOIN simusage.stream tt ON tt.account_id = st.account_id AND tt.granularity = st.granularity AND tt.filters = st.filters AND tt.grouping = 'total'
		JOIN sums t ON t.stream_id = tt.id AND t.window_start = s.window_start AND t.covered_from = s.covered_from AND t.covered_until = s.covered_until
		JOIN ` + wantSQL + ` ON w.stream_id = s.stream_id AND s.window_start >= w.first AND s.window_start < w.until AND s.covered_from >= w.wall
		WHERE s.stream_id = ANY($6) AND tt.id = ANY($1) AND NOT s.busy AND NOT t.busy
	)`

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
