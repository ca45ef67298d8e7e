-- The months of each stream. Final are those whose slices are all settled and reach the month's end; the days that have
-- usage do not tell: a SIM that was silent since the 3rd would have a final month on the 7th. Rolled up are those whose
-- rollup knows the last publish of every slice.
CREATE OR REPLACE VIEW simusage.settled_month AS
SELECT slice.stream_id, date_trunc('month', slice.window_start AT TIME ZONE 'UTC')::date AS month,
    bool_and(slice.published_at IS NOT NULL AND slice.settled)
        AND max(slice.window_end) AT TIME ZONE 'UTC' >= date_trunc('month', min(slice.window_start) AT TIME ZONE 'UTC') + interval '1 month' AS settled,
    bool_and(stream.granularity = 'all' OR slice.rolled_up_for IS NOT DISTINCT FROM slice.published_at) AS rolled_up
FROM simusage.slice
JOIN simusage.stream ON stream.id = slice.stream_id
GROUP BY slice.stream_id, date_trunc('month', slice.window_start AT TIME ZONE 'UTC')::date;
