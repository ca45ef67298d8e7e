-- usage.sim_anomaly for Citus: the 28 days before are read by the workers, for all days that were found at once.
CREATE OR REPLACE VIEW usage.sim_anomaly AS
WITH u AS (
    SELECT account_id, account_sid, sim_sid, period_start AS day, sum(data_total)::bigint AS data_total
    FROM simusage.usage_day
    WHERE family = 'sim' AND sim_sid <> ''
    GROUP BY account_id, account_sid, sim_sid, period_start
    HAVING sum(data_total) > 10000000
), used AS (
    SELECT u.account_id, u.sim_sid, u.day AS before_day, d.period_start AS day, sum(d.data_total) AS data_total
    FROM u
    JOIN simusage.usage_day d ON d.account_id = u.account_id AND d.sim_sid = u.sim_sid AND d.period_start >= u.day - 28 AND d.period_start < u.day
    WHERE d.family = 'sim'
    GROUP BY u.account_id, u.sim_sid, u.day, d.period_start
    HAVING sum(d.data_total) > 0
), before AS (
    SELECT account_id, sim_sid, before_day, count(*)::integer AS days_used, min(day) AS first_day, sum(data_total) AS data_total, sum(data_total * data_total) AS squares
    FROM used
    GROUP BY account_id, sim_sid, before_day
)
SELECT u.account_sid, u.sim_sid, sim.unique_name AS sim_name, u.day, u.data_total, round(normal.mean)::bigint AS normal_total,
    round(u.data_total / nullif(normal.mean, 0), 4) AS times_normal, round((u.data_total - normal.mean) / nullif(normal.deviation, 0), 4) AS score,
    coalesce(before.days_used, 0) AS days_used
FROM u
JOIN (
    SELECT account_id, day, count(*) OVER (PARTITION BY account_id ORDER BY day RANGE BETWEEN '28 days' PRECEDING AND '1 day' PRECEDING) AS days_before
    FROM simusage.complete_day
    WHERE family = 'sim'
) complete ON complete.account_id = u.account_id AND complete.day = u.day AND complete.days_before >= 14
LEFT JOIN simusage.sim ON sim.account_id = u.account_id AND sim.sid = u.sim_sid
LEFT JOIN before ON before.account_id = u.account_id AND before.sim_sid = u.sim_sid AND before.before_day = u.day
CROSS JOIN LATERAL (
    -- Of the 28 days, those that are loaded and on which the SIM was there.
    SELECT nullif(least(complete.days_before, u.day - coalesce((sim.created_at AT TIME ZONE 'UTC')::date, before.first_day, u.day)), 0) AS days
) known
CROSS JOIN LATERAL (
    SELECT coalesce(before.data_total, 0) / known.days AS mean,
        sqrt(greatest(coalesce(before.squares, 0) / known.days - (coalesce(before.data_total, 0) / known.days) ^ 2, 0)) AS deviation
) normal
WHERE known.days >= 14 AND u.data_total > greatest(3 * normal.mean, normal.mean + 4 * normal.deviation);
