-- Bytes without money 24 hours after their day. What counts is when the day was read last, not the clock on the wall: of a
-- day that was not read since, nobody knows whether its money has come.
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

COMMENT ON VIEW usage.unbilled IS 'Bytes that had no money 24 hours after the end of their day. One row for each account, SIM, day, while it is so.';
COMMENT ON COLUMN usage.unbilled.account_sid IS 'SID of the account (AC…).';
COMMENT ON COLUMN usage.unbilled.sim_sid IS 'SID of the SIM (HS…); empty where the API names none.';
COMMENT ON COLUMN usage.unbilled.sim_name IS 'Unique name of the SIM today; NULL if it has none.';
COMMENT ON COLUMN usage.unbilled.day IS 'Day of the usage, UTC.';
COMMENT ON COLUMN usage.unbilled.data_total IS 'Bytes without money; what was billed on the same day is not among them.';
COMMENT ON COLUMN usage.unbilled.hours_late IS 'Whole hours from 24 hours after the end of the day to when the day was read last. Days that are settled are read no more, so it stays.';
