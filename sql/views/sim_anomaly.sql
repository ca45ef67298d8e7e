-- Days on which a SIM used far more than it does. The days are looked for first, then the 28 days before each of them are
-- looked up by key, which no other day of no other SIM costs anything: first the nearest fourteen, whose sum already says of most
-- that this is no more than three times the mean. The sums in between are there to leave the planner no other way: it would
-- sometimes read the 28 days of all SIMs for each of them.
CREATE OR REPLACE VIEW usage.sim_anomaly AS
SELECT u.account_sid, u.sim_sid, sim.unique_name AS sim_name, u.day, u.data_total, round(normal.mean)::bigint AS normal_total,
    round(u.data_total / nullif(normal.mean, 0), 4) AS times_normal, round((u.data_total - normal.mean) / nullif(normal.deviation, 0), 4) AS score,
    before.days_used
FROM (
    SELECT account_id, account_sid, sim_sid, period_start AS day, sum(data_total)::bigint AS data_total,
        ARRAY(SELECT period_start - n FROM generate_series(1, 28) n) AS days_before
    FROM simusage.usage_day
    WHERE family = 'sim' AND sim_sid <> ''
    GROUP BY account_id, account_sid, sim_sid, period_start
    HAVING sum(data_total) > 10000000
) u
JOIN (
    SELECT account_id, day, count(*) OVER (PARTITION BY account_id ORDER BY day RANGE BETWEEN '28 days' PRECEDING AND '1 day' PRECEDING) AS days_before
    FROM simusage.complete_day
    WHERE family = 'sim'
) complete ON complete.account_id = u.account_id AND complete.day = u.day AND complete.days_before >= 14
LEFT JOIN simusage.sim ON sim.account_id = u.account_id AND sim.sid = u.sim_sid
CROSS JOIN LATERAL (
    SELECT coalesce(sum(near.data_total), 0) AS data_total
    FROM simusage.feed
    JOIN simusage.series ON series.stream_id = feed.stream_id AND series.sim_sid = u.sim_sid
    CROSS JOIN LATERAL (
        SELECT sum(data_total) AS data_total
        FROM simusage.usage_daily
        WHERE stream_id = feed.stream_id AND series_id = series.id
            AND period_start = ANY (u.days_before[:14]) AND period_start >= u.day - 14 AND period_start < u.day
            AND period_start >= (feed.valid_from AT TIME ZONE 'UTC')::date AND period_start < (feed.valid_to AT TIME ZONE 'UTC')::date
    ) near
    WHERE feed.account_id = u.account_id AND feed.family = 'sim' AND feed.grain = 'day'
) fortnight
CROSS JOIN LATERAL (
    SELECT count(*)::integer AS days_used, min(day) AS first_day, coalesce(sum(data_total), 0) AS data_total, coalesce(sum(data_total * data_total), 0) AS squares
    FROM (
        SELECT on_day.day, sum(on_day.data_total) AS data_total
        FROM simusage.feed
        JOIN simusage.series ON series.stream_id = feed.stream_id AND series.sim_sid = u.sim_sid
        CROSS JOIN LATERAL (
            SELECT period_start AS day, sum(data_total) AS data_total
            FROM simusage.usage_daily
            WHERE stream_id = feed.stream_id AND series_id = series.id
                AND period_start = ANY (u.days_before) AND period_start >= u.day - 28 AND period_start < u.day
                AND period_start >= (feed.valid_from AT TIME ZONE 'UTC')::date AND period_start < (feed.valid_to AT TIME ZONE 'UTC')::date
            GROUP BY period_start
            HAVING sum(data_total) > 0
        ) on_day
        WHERE feed.account_id = u.account_id AND feed.family = 'sim' AND feed.grain = 'day'
            AND 28 * u.data_total > 3 * fortnight.data_total
        GROUP BY on_day.day
    ) used
) before
CROSS JOIN LATERAL (
    -- Of the 28 days, those that are loaded and on which the SIM was there.
    SELECT nullif(least(complete.days_before, u.day - coalesce((sim.created_at AT TIME ZONE 'UTC')::date, before.first_day, u.day)), 0) AS days
) known
CROSS JOIN LATERAL (
    SELECT before.data_total / known.days AS mean, sqrt(greatest(before.squares / known.days - (before.data_total / known.days) ^ 2, 0)) AS deviation
) normal
WHERE 28 * u.data_total > 3 * fortnight.data_total AND known.days >= 14 AND u.data_total > greatest(3 * normal.mean, normal.mean + 4 * normal.deviation);

COMMENT ON VIEW usage.sim_anomaly IS 'Days on which a SIM used more than 10 MB, three times its normal day and four standard deviations above it. One row for each account, SIM, complete day, of SIMs that are known for 14 days.';
COMMENT ON COLUMN usage.sim_anomaly.account_sid IS 'SID of the account (AC…).';
COMMENT ON COLUMN usage.sim_anomaly.sim_sid IS 'SID of the SIM (HS…).';
COMMENT ON COLUMN usage.sim_anomaly.sim_name IS 'Unique name of the SIM today; NULL if it has none.';
COMMENT ON COLUMN usage.sim_anomaly.day IS 'Day, UTC.';
COMMENT ON COLUMN usage.sim_anomaly.data_total IS 'Bytes in all on this day.';
COMMENT ON COLUMN usage.sim_anomaly.normal_total IS 'Bytes on a normal day: the mean of the 28 days before, or of as many as the SIM is known and loaded for. Days without usage count as 0.';
COMMENT ON COLUMN usage.sim_anomaly.times_normal IS 'data_total divided by the mean; NULL if there was no usage before.';
COMMENT ON COLUMN usage.sim_anomaly.score IS 'Standard deviations above the mean; NULL if all days before were alike.';
COMMENT ON COLUMN usage.sim_anomaly.days_used IS 'Of the 28 days before, those with usage.';
