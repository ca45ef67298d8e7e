-- usage.unbilled for Citus: the days and their facts are joined at once.
CREATE OR REPLACE VIEW usage.unbilled AS
SELECT u.account_sid, u.sim_sid, sim.unique_name AS sim_name, u.day, u.data_total,
    floor(extract(epoch FROM u.checked_at AT TIME ZONE 'UTC' - (u.day + 2)) / 3600)::integer AS hours_late
FROM (
    SELECT f.account_id, f.account_sid, f.sim_sid, f.period_start AS day, complete.checked_at, sum(f.data_total)::bigint AS data_total
    FROM simusage.usage_day f
    JOIN simusage.complete_day complete ON complete.family = f.family AND complete.account_id = f.account_id AND complete.day = f.period_start
        AND complete.checked_at AT TIME ZONE 'UTC' >= complete.day + 2
    WHERE f.family = 'sim' AND f.billed_unit IS NULL AND f.data_total > 0
    GROUP BY f.account_id, f.account_sid, f.sim_sid, f.period_start, complete.checked_at
) u
LEFT JOIN simusage.sim ON sim.account_id = u.account_id AND sim.sid = u.sim_sid;
