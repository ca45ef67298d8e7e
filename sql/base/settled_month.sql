-- The months of each stream. Final are those whose slices are all settled and reach the month's end; the days that have
-- usage do not tell: a SIM that was silent since the 3rd would have a final month on the 7th. Rolled up are those whose
-- rollups know the last publish of every slice.
CREATE OR REPLACE VIEW simusage.settled_month AS
SELECT stream_id, date_trunc('month', window_start AT TIME ZONE 'UTC')::date AS month,
    bool_and(published_at IS NOT NULL AND settled)
        AND max(window_end) AT TIME ZONE 'UTC' >= date_trunc('month', min(window_start) AT TIME ZONE 'UTC') + interval '1 month' AS settled,
    bool_and(rolled_up_for IS NOT DISTINCT FROM published_at) AS rolled_up
FROM simusage.slice
GROUP BY stream_id, date_trunc('month', window_start AT TIME ZONE 'UTC')::date;
