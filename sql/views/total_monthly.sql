-- The account's usage by month, as the API says it without any breakdown.
CREATE OR REPLACE VIEW usage.total_monthly AS
SELECT u.account_sid, u.month,
    u.data_upload, u.data_download, u.data_total, u.data_total_billed, u.billed_unit, u.settled
FROM (
    SELECT account_id, account_sid, period_start AS month,
        sum(data_upload)::bigint AS data_upload, sum(data_download)::bigint AS data_download, sum(data_total)::bigint AS data_total,
        sum(data_total_billed) AS data_total_billed, max(billed_unit) AS billed_unit, bool_and(settled) AS settled
    FROM simusage.usage_month
    WHERE family = 'total'
    GROUP BY account_id, account_sid, period_start, unit_group
    UNION ALL
    SELECT account_id, account_sid, period_start, data_upload, data_download, data_total, data_total_billed, billed_unit, settled
    FROM simusage.usage_rollup
    WHERE family = 'total'
) u;

COMMENT ON VIEW usage.total_monthly IS 'Usage of the whole account by month, without any breakdown. One row for each account, month; a second one only where a second currency was billed.';
COMMENT ON COLUMN usage.total_monthly.account_sid IS 'SID of the account (AC…).';
COMMENT ON COLUMN usage.total_monthly.month IS 'First day of the month, UTC.';
COMMENT ON COLUMN usage.total_monthly.data_upload IS 'Bytes sent by the SIMs.';
COMMENT ON COLUMN usage.total_monthly.data_download IS 'Bytes received by the SIMs.';
COMMENT ON COLUMN usage.total_monthly.data_total IS 'Bytes in all, as the API says it.';
COMMENT ON COLUMN usage.total_monthly.data_total_billed IS 'Money billed for this usage, in billed_unit; 0 until billing has arrived, about 24 hours later.';
COMMENT ON COLUMN usage.total_monthly.billed_unit IS 'Currency of data_total_billed (ISO 4217); NULL until billing has arrived.';
COMMENT ON COLUMN usage.total_monthly.settled IS 'Whether this was read late enough (72 hours by default) to be final.';
