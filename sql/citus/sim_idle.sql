-- usage.sim_idle for Citus: the workers say when each SIM was used last, which reads all days.
CREATE OR REPLACE VIEW usage.sim_idle AS
WITH complete AS (
    SELECT account_id, min(day) AS first_day, max(day) AS last_day
    FROM simusage.complete_day
    WHERE family = 'sim'
    GROUP BY account_id
), used AS (
    SELECT u.account_id, u.sim_sid, max(u.period_start) AS day
    FROM complete
    JOIN simusage.usage_day u ON u.account_id = complete.account_id AND u.period_start >= complete.first_day AND u.period_start <= complete.last_day
    WHERE u.family = 'sim' AND u.data_total > 0
    GROUP BY u.account_id, u.sim_sid
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
LEFT JOIN used ON used.account_id = sim.account_id AND used.sim_sid = sim.sid
LEFT JOIN simusage.fleet ON fleet.account_id = sim.account_id AND fleet.sid = sim.fleet_sid
WHERE coalesce(used.day, known.since - 1) < complete.last_day;
