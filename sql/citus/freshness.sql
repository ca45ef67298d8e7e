-- usage.freshness for Citus: the newest period of a stream is not looked up for each stream, but for all at once.
CREATE OR REPLACE VIEW usage.freshness AS
WITH last AS (
    SELECT DISTINCT ON (slice.stream_id) slice.stream_id, stream.granularity, slice.window_start, slice.window_end
    FROM simusage.slice
    JOIN simusage.stream ON stream.id = slice.stream_id
    WHERE slice.row_count > 0
    ORDER BY slice.stream_id, slice.window_start DESC
), newest AS (
    SELECT last.stream_id, max(f.period_start) AS period
    FROM last
    JOIN simusage.usage_hourly f ON f.stream_id = last.stream_id AND f.period_start >= last.window_start AND f.period_start < last.window_end
    WHERE last.granularity = 'hour'
    GROUP BY last.stream_id
    UNION ALL
    SELECT last.stream_id, max(f.period_start)::timestamp AT TIME ZONE 'UTC'
    FROM last
    JOIN simusage.usage_daily f ON f.stream_id = last.stream_id AND f.period_start >= (last.window_start AT TIME ZONE 'UTC')::date
    WHERE last.granularity = 'day'
    GROUP BY last.stream_id
    UNION ALL
    SELECT last.stream_id, max(f.period_start)::timestamp AT TIME ZONE 'UTC'
    FROM last
    JOIN simusage.usage_monthly f ON f.stream_id = last.stream_id AND f.period_start >= (last.window_start AT TIME ZONE 'UTC')::date
    WHERE last.granularity = 'all'
    GROUP BY last.stream_id
)
SELECT account.sid AS account_sid, account.name AS account, stream.name AS stream,
    coalesce(min(slice.window_start) FILTER (WHERE slice.remembered AND (slice.published_at IS NULL OR NOT slice.settled)), max(slice.window_end)) AS settled_until,
    coalesce(min(CASE WHEN slice.published_at IS NULL THEN slice.window_start ELSE slice.covered_until END)
        FILTER (WHERE slice.remembered AND (slice.published_at IS NULL OR slice.covered_until < slice.window_end)), max(slice.window_end)) AS complete_until,
    coalesce(newest.period, last.window_start) AS newest_period,
    count(*) FILTER (WHERE slice.remembered AND slice.published_at IS NULL) AS holes,
    min(slice.window_start) FILTER (WHERE slice.remembered AND slice.published_at IS NULL) AS oldest_hole,
    (min(slice.window_start) FILTER (WHERE slice.remembered AND slice.published_at IS NULL) AT TIME ZONE 'UTC')::date - min(slice.wall) AS days_until_wall,
    max(slice.published_at) AS last_success_at,
    count(*) FILTER (WHERE NOT slice.remembered AND (slice.published_at IS NULL OR slice.covered_until < slice.window_end)) AS lost,
    account.ends_at,
    max(slice.window_end) FILTER (WHERE slice.trimmed_at IS NOT NULL) AS hours_from
FROM simusage.stream
JOIN simusage.account ON account.id = stream.account_id
JOIN simusage.slice_remembered slice ON slice.stream_id = stream.id AND slice.window_start < coalesce(account.ends_at, 'infinity')
LEFT JOIN newest ON newest.stream_id = stream.id
LEFT JOIN last ON last.stream_id = stream.id AND last.granularity = 'hour'
GROUP BY account.sid, account.name, account.ends_at, stream.id, stream.name, newest.period, last.window_start;
