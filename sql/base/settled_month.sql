-- Which months of each stream are final: all of its slices in that month are settled, and they reach the month's end. The
-- days that have usage do not tell: a SIM that was silent since the 3rd would have a final month on the 7th.
CREATE OR REPLACE VIEW simusage.settled_month AS
SELECT stream_id, date_trunc('month', window_start AT TIME ZONE 'UTC')::date AS month,
    bool_and(published_at IS NOT NULL AND settled)
        AND max(window_end) AT TIME ZONE 'UTC' >= date_trunc('month', min(window_start) AT TIME ZONE 'UTC') + interval '1 month' AS settled
FROM simusage.slice
GROUP BY stream_id, date_trunc('month', window_start AT TIME ZONE 'UTC')::date;
