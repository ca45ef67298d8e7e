-- Active SIMs that are silent. A day that was never loaded counts as silent: usage.freshness tells of those. Those that were
-- awake on the last complete day are left out first; of the others, each series is looked up day by day, backwards, until
-- there is usage, because the key of the days finds a day of a series at once, and their last day only by reading all.
CREATE OR REPLACE VIEW usage.sim_idle AS
WITH complete AS (
    SELECT account_id, min(day) AS first_day, max(day) AS last_day
    FROM simusage.complete_day
    WHERE family = 'sim'
    GROUP BY account_id
), awake AS (
    SELECT complete.account_id, u.sim_sid
    FROM complete
    CROSS JOIN LATERAL (
        SELECT DISTINCT sim_sid
        FROM simusage.usage_day
        WHERE family = 'sim' AND account_id = complete.account_id AND period_start = complete.last_day AND data_total > 0
    ) u
)
SELECT account.sid AS account_sid, sim.sid AS sim_sid, sim.unique_name AS sim_name, sim.fleet_sid, fleet.unique_name AS fleet_name,
    used.day AS last_used_on, complete.last_day - coalesce(used.day, known.since - 1) AS idle_days
FROM complete
JOIN simusage.account ON account.id = complete.account_id
JOIN simusage.sim ON sim.account_id = complete.account_id AND sim.status = 'active' AND sim.gone_at IS NULL
CROSS JOIN LATERAL (
    -- The first whole day of the SIM that the warehouse can know of.
    SELECT greatest(complete.first_day, (sim.created_at AT TIME ZONE 'UTC' + interval '1 day' - interval '1 microsecond')::date) AS since
) known
CROSS JOIN LATERAL (
    SELECT max(latest.day) AS day
    FROM simusage.feed
    JOIN simusage.series ON series.stream_id = feed.stream_id AND series.sim_sid = sim.sid
    CROSS JOIN LATERAL (
        SELECT complete.last_day - ago.n AS day
        FROM (SELECT n FROM generate_series(0, complete.last_day - complete.first_day) n ORDER BY n) ago
        CROSS JOIN LATERAL (
            SELECT FROM simusage.usage_daily
            WHERE stream_id = feed.stream_id AND series_id = series.id AND period_start = complete.last_day - ago.n AND data_total > 0
                AND period_start >= (feed.valid_from AT TIME ZONE 'UTC')::date AND period_start < (feed.valid_to AT TIME ZONE 'UTC')::date
            LIMIT 1
        ) on_day
        ORDER BY ago.n
        LIMIT 1
    ) latest
    WHERE feed.account_id = sim.account_id AND feed.family = 'sim' AND feed.grain = 'day'
) used
LEFT JOIN simusage.fleet ON fleet.account_id = sim.account_id AND fleet.sid = sim.fleet_sid
WHERE NOT EXISTS (SELECT FROM awake WHERE awake.account_id = sim.account_id AND awake.sim_sid = sim.sid)
    AND coalesce(used.day, known.since - 1) < complete.last_day;

COMMENT ON VIEW usage.sim_idle IS 'Active SIMs that used nothing on the last complete day. One row for each account and SIM; a SIM that was made after that day began is not judged yet.';
COMMENT ON COLUMN usage.sim_idle.account_sid IS 'SID of the account (AC…).';
COMMENT ON COLUMN usage.sim_idle.sim_sid IS 'SID of the SIM (HS…).';
COMMENT ON COLUMN usage.sim_idle.sim_name IS 'Its unique name; NULL if it has none.';
COMMENT ON COLUMN usage.sim_idle.fleet_sid IS 'SID of the fleet (HF…) that it is in today.';
COMMENT ON COLUMN usage.sim_idle.fleet_name IS 'Name of that fleet.';
COMMENT ON COLUMN usage.sim_idle.last_used_on IS 'Last day with usage, UTC, up to the last complete day; NULL if the warehouse has none.';
COMMENT ON COLUMN usage.sim_idle.idle_days IS 'Whole days without usage up to the last complete day. Of a SIM that never used anything: since it was made, or since the warehouse begins, whichever is later.';
