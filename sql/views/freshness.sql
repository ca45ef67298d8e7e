-- How far each stream can be trusted: up to when it is complete, up to when it is final, and what is missing.
CREATE OR REPLACE VIEW usage.freshness AS
SELECT account.sid AS account_sid, account.name AS account, stream.name AS stream,
    coalesce(min(slice.window_start) FILTER (WHERE slice.remembered AND (slice.published_at IS NULL OR NOT slice.settled)), max(slice.window_end)) AS settled_until,
    coalesce(min(CASE WHEN slice.published_at IS NULL THEN slice.window_start ELSE slice.covered_until END)
        FILTER (WHERE slice.remembered AND (slice.published_at IS NULL OR slice.covered_until < slice.window_end)), max(slice.window_end)) AS complete_until,
    newest.period AS newest_period,
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
LEFT JOIN LATERAL (
    SELECT CASE stream.granularity
        WHEN 'hour' THEN coalesce((SELECT max(period_start) FROM simusage.usage_hourly WHERE stream_id = stream.id AND period_start >= last.window_start AND period_start < last.window_end), last.window_start)
        WHEN 'day' THEN (SELECT max(period_start)::timestamp AT TIME ZONE 'UTC' FROM simusage.usage_daily WHERE stream_id = stream.id)
        ELSE (SELECT max(period_start)::timestamp AT TIME ZONE 'UTC' FROM simusage.usage_monthly WHERE stream_id = stream.id)
    END AS period
    FROM (SELECT s.window_start, s.window_end FROM simusage.slice s WHERE s.stream_id = stream.id AND s.row_count > 0 ORDER BY s.window_start DESC LIMIT 1) last
) newest ON true
GROUP BY account.sid, account.name, account.ends_at, stream.id, stream.name, newest.period;

COMMENT ON VIEW usage.freshness IS 'How far each stream can be trusted. One row for each account and stream.';
COMMENT ON COLUMN usage.freshness.account_sid IS 'SID of the account (AC…).';
COMMENT ON COLUMN usage.freshness.account IS 'Name of the account in the configuration; empty when there is just one.';
COMMENT ON COLUMN usage.freshness.stream IS 'What is asked for: granularity/group[@fan-out].';
COMMENT ON COLUMN usage.freshness.settled_until IS 'Before this time every slice that was planned is there and final, but for those that are lost.';
COMMENT ON COLUMN usage.freshness.complete_until IS 'Before this time every slice that was planned is there, but for those that are lost; the newest ones perhaps still without late usage and billing.';
COMMENT ON COLUMN usage.freshness.newest_period IS 'Start of the newest hour, day or month that has usage; of its day, where the hours of that are kept no more.';
COMMENT ON COLUMN usage.freshness.holes IS 'Slices that were never loaded and can be: the API remembers them.';
COMMENT ON COLUMN usage.freshness.oldest_hole IS 'Start of the oldest of these.';
COMMENT ON COLUMN usage.freshness.days_until_wall IS 'Days until the API forgets the start of the oldest hole: after 18 months, which are taken for 540 days, less one.';
COMMENT ON COLUMN usage.freshness.last_success_at IS 'When a slice of the stream was loaded last.';
COMMENT ON COLUMN usage.freshness.lost IS 'Slices that were never loaded, or not whole, before the API forgot them: usage that nobody can tell any more.';
COMMENT ON COLUMN usage.freshness.ends_at IS 'Nothing from this time on is asked for of this account; NULL: until further notice. Once complete_until has reached it, nothing more is awaited.';
COMMENT ON COLUMN usage.freshness.hours_from IS 'The hours before this time were dropped (simusage trim) and are in no hourly view; days and months are. NULL: all hours are kept.';
