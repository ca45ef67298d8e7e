-- Bytes without money 24 hours after their day. What counts is when the day was read last, not the clock on the wall: of a
-- day that was not read since, nobody knows whether its money has come. Each day looks up its facts by key: joined as a whole,
-- facts and days would at times be compared each with each.
CREATE OR REPLACE VIEW usage.unbilled AS
SELECT u.account_sid, u.sim_sid, sim.unique_name AS sim_name, complete.day, u.data_total,
    floor(extract(epoch FROM complete.checked_at AT TIME ZONE 'UTC' - (complete.day + 2)) / 3600)::integer AS hours_late
FROM simusage.complete_day complete
CROSS JOIN LATERAL (
    SELECT account_sid, sim_sid, sum(data_total)::bigint AS data_total
    FROM simusage.usage_day
    WHERE family = 'sim' AND account_id = complete.account_id AND period_start = complete.day AND billed_unit IS NULL AND data_total > 0
    GROUP BY account_sid, sim_sid
) u
LEFT JOIN simusage.sim ON sim.account_id = complete.account_id AND sim.sid = u.sim_sid
WHERE complete.family = 'sim' AND complete.checked_at AT TIME ZONE 'UTC' >= complete.day + 2;

COMMENT ON VIEW usage.unbilled IS 'Bytes that had no money 24 hours after the end of their day. One row for each account, SIM, day, while it is so.';
COMMENT ON COLUMN usage.unbilled.account_sid IS 'SID of the account (AC…).';
COMMENT ON COLUMN usage.unbilled.sim_sid IS 'SID of the SIM (HS…); empty where the API names none.';
COMMENT ON COLUMN usage.unbilled.sim_name IS 'Unique name of the SIM today; NULL if it has none.';
COMMENT ON COLUMN usage.unbilled.day IS 'Day of the usage, UTC.';
COMMENT ON COLUMN usage.unbilled.data_total IS 'Bytes without money; what was billed on the same day is not among them.';
COMMENT ON COLUMN usage.unbilled.hours_late IS 'Whole hours from 24 hours after the end of the day to when the day was read last. Days that are settled are read no more, so it stays.';
