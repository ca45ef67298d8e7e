-- The days of each family of daily views that are complete: a published slice covers them whole. checked_at is when they
-- were read last. A slice is at most a month, hence the 31 days; the constant lets the planner guess well.
CREATE OR REPLACE VIEW simusage.complete_day AS
SELECT feed.family, feed.account_id, slice.first_day + n AS day, slice.checked_at
FROM simusage.feed
JOIN (
    SELECT stream_id, (window_start AT TIME ZONE 'UTC')::date AS first_day, covered_from AT TIME ZONE 'UTC' AS covered_from, covered_until AT TIME ZONE 'UTC' AS covered_until, checked_at
    FROM simusage.slice
    WHERE published_at IS NOT NULL
) slice ON slice.stream_id = feed.stream_id
CROSS JOIN generate_series(0, 30) n
WHERE feed.grain = 'day'
    AND slice.covered_from <= slice.first_day + n AND slice.covered_until >= slice.first_day + n + 1
    AND slice.first_day + n >= (feed.valid_from AT TIME ZONE 'UTC')::date AND slice.first_day + n < (feed.valid_to AT TIME ZONE 'UTC')::date;
