-- Usage by SIM and month. The name is looked up row by row, not joined, because the first hundred of a hundred thousand SIMs are
-- what people ask for: Postgres then looks up the names of a hundred.
CREATE OR REPLACE VIEW usage.sim_monthly AS
SELECT u.account_sid, u.sim_sid,
    (SELECT sim.unique_name FROM simusage.sim WHERE sim.account_id = u.account_id AND sim.sid = u.sim_sid) AS sim_name, u.month,
    u.data_upload, u.data_download, u.data_total, u.data_total_billed, u.billed_unit, u.settled
FROM (
    SELECT account_id, account_sid, sim_sid, period_start AS month,
        sum(data_upload)::bigint AS data_upload, sum(data_download)::bigint AS data_download, sum(data_total)::bigint AS data_total,
        sum(data_total_billed) AS data_total_billed, max(billed_unit) AS billed_unit, bool_and(settled) AS settled
    FROM simusage.usage_month
    WHERE family = 'sim'
    GROUP BY account_id, account_sid, sim_sid, period_start, unit_group
    UNION ALL
    SELECT account_id, account_sid, sim_sid, period_start, data_upload, data_download, data_total, data_total_billed, billed_unit, settled
    FROM simusage.usage_rollup
    WHERE family = 'sim'
) u;

COMMENT ON VIEW usage.sim_monthly IS 'Usage by SIM and month. One row for each account, SIM, month; a second one only where a second currency was billed.';
COMMENT ON COLUMN usage.sim_monthly.account_sid IS 'SID of the account (AC…).';
COMMENT ON COLUMN usage.sim_monthly.sim_sid IS 'SID of the SIM (HS…); empty where the API names none.';
COMMENT ON COLUMN usage.sim_monthly.sim_name IS 'Unique name of the SIM today; NULL if it has none.';
COMMENT ON COLUMN usage.sim_monthly.month IS 'First day of the month, UTC.';
COMMENT ON COLUMN usage.sim_monthly.data_upload IS 'Bytes sent by the SIMs.';
COMMENT ON COLUMN usage.sim_monthly.data_download IS 'Bytes received by the SIMs.';
COMMENT ON COLUMN usage.sim_monthly.data_total IS 'Bytes in all, as the API says it.';
COMMENT ON COLUMN usage.sim_monthly.data_total_billed IS 'Money billed for this usage, in billed_unit; 0 until billing has arrived, about 24 hours later.';
COMMENT ON COLUMN usage.sim_monthly.billed_unit IS 'Currency of data_total_billed (ISO 4217); NULL until billing has arrived.';
COMMENT ON COLUMN usage.sim_monthly.settled IS 'Whether this was read late enough (72 hours by default) to be final.';
