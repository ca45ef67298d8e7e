-- Active SIMs that are silent. A day that was never loaded counts as silent: usage.freshness tells of those.
CREATE OR REPLACE VIEW usage.sim_idle AS
SELECT account.sid AS account_sid, sim.sid AS sim_sid, sim.unique_name AS sim_name, sim.fleet_sid, fleet.unique_name AS fleet_name,
    used.day AS last_used_on, complete.last_day - coalesce(used.day, known.since - 1) AS idle_days
FROM (
    SELECT account_id, min(day) AS first_day, max(day) AS last_day
    FROM simusage.complete_day
    WHERE family = 'sim'
    GROUP BY account_id
) complete
JOIN simusage.account ON account.id = complete.account_id
JOIN simusage.sim ON sim.account_id = complete.account_id AND sim.status = 'active' AND sim.gone_at IS NULL
CROSS JOIN LATERAL (
    -- The first whole day of the SIM that the warehouse can know of.
    SELECT greatest(complete.first_day, (sim.created_at AT TIME ZONE 'UTC' + interval '1 day' - interval '1 microsecond')::date) AS since
) known
LEFT JOIN (
    SELECT f.account_id, f.sim_sid, max(f.period_start) AS day
    FROM simusage.usage_day f
    JOIN (SELECT account_id, max(day) AS last_day FROM simusage.complete_day WHERE family = 'sim' GROUP BY account_id) complete
        ON complete.account_id = f.account_id AND f.period_start <= complete.last_day
    WHERE f.family = 'sim' AND f.data_total > 0
    GROUP BY f.account_id, f.sim_sid
) used ON used.account_id = sim.account_id AND used.sim_sid = sim.sid
LEFT JOIN simusage.fleet ON fleet.account_id = sim.account_id AND fleet.sid = sim.fleet_sid
WHERE coalesce(used.day, known.since - 1) < complete.last_day;

COMMENT ON VIEW usage.sim_idle IS 'Active SIMs that used nothing on the last complete day. One row for each account and SIM; a SIM that was made after that day began is not judged yet.';
COMMENT ON COLUMN usage.sim_idle.account_sid IS 'SID of the account (AC…).';
COMMENT ON COLUMN usage.sim_idle.sim_sid IS 'SID of the SIM (HS…).';
COMMENT ON COLUMN usage.sim_idle.sim_name IS 'Its unique name; NULL if it has none.';
COMMENT ON COLUMN usage.sim_idle.fleet_sid IS 'SID of the fleet (HF…) that it is in today.';
COMMENT ON COLUMN usage.sim_idle.fleet_name IS 'Name of that fleet.';
COMMENT ON COLUMN usage.sim_idle.last_used_on IS 'Last day with usage, UTC, up to the last complete day; NULL if the warehouse has none.';
COMMENT ON COLUMN usage.sim_idle.idle_days IS 'Whole days without usage up to the last complete day. Of a SIM that never used anything: since it was made, or since the warehouse begins, whichever is later.';
