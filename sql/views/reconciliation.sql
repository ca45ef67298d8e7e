-- The proof: the sums of each slice against the same slice of the total stream. Compared only where both cover the same
-- time; otherwise "reconciled" is NULL.
CREATE OR REPLACE VIEW usage.reconciliation AS
WITH slice_total AS (
    SELECT slice.id, slice.stream_id, slice.window_start, slice.window_end, slice.covered_from, slice.covered_until, slice.published_at, slice.row_count, slice.remainder_size,
        coalesce(sum(s.data_upload), 0)::bigint AS data_upload, coalesce(sum(s.data_download), 0)::bigint AS data_download,
        coalesce(sum(s.data_total), 0)::bigint AS data_total,
        coalesce(sum(s.data_total_billed) FILTER (WHERE s.billed_unit_id IN (0, account.billed_unit_id)), 0) AS data_total_billed,
        coalesce(jsonb_object_agg(unit.code, trim_scale(s.data_total_billed)) FILTER (WHERE s.billed_unit_id > 0), '{}') AS billed
    FROM simusage.slice
    JOIN simusage.stream ON stream.id = slice.stream_id
    JOIN simusage.account ON account.id = stream.account_id
    LEFT JOIN simusage.slice_sum s ON s.slice_id = slice.id
    LEFT JOIN simusage.billed_unit unit ON unit.id = s.billed_unit_id
    WHERE slice.published_at IS NOT NULL
    GROUP BY slice.id, account.billed_unit_id
)
SELECT account.sid AS account_sid, account.name AS account, stream.name AS stream, s.window_start, s.window_end, s.row_count,
    s.data_upload, s.data_download, s.data_total,
    t.data_upload AS total_upload, t.data_download AS total_download, t.data_total AS total_total,
    s.data_upload - t.data_upload AS difference_upload, s.data_download - t.data_download AS difference_download,
    s.data_total - t.data_total AS difference,
    s.data_total_billed, t.data_total_billed AS total_billed, s.data_total_billed - t.data_total_billed AS difference_billed,
    nullif(unit.code, '') AS billed_unit,
    (s.data_upload, s.data_download, s.data_total) = (t.data_upload, t.data_download, t.data_total) AS reconciled,
    s.billed AS billed_by_unit, t.billed AS total_billed_by_unit, s.remainder_size AS unattributed
FROM slice_total s
JOIN simusage.stream ON stream.id = s.stream_id AND stream.grouping <> 'total'
JOIN simusage.account ON account.id = stream.account_id
JOIN simusage.billed_unit unit ON unit.id = account.billed_unit_id
LEFT JOIN simusage.stream total ON total.account_id = stream.account_id AND total.granularity = stream.granularity
    AND total.filters = stream.filters AND total.grouping = 'total'
LEFT JOIN slice_total t ON t.stream_id = total.id AND t.window_start = s.window_start
    AND t.covered_from = s.covered_from AND t.covered_until = s.covered_until;

COMMENT ON VIEW usage.reconciliation IS 'Each loaded slice against the total that the API gives for the same time. One row for each slice of a stream with a breakdown.';
COMMENT ON COLUMN usage.reconciliation.account_sid IS 'SID of the account (AC…).';
COMMENT ON COLUMN usage.reconciliation.account IS 'Name of the account in the configuration; empty when there is just one.';
COMMENT ON COLUMN usage.reconciliation.stream IS 'What is asked for: granularity/group[@fan-out].';
COMMENT ON COLUMN usage.reconciliation.window_start IS 'Start of the slice: a UTC day, or a UTC month for streams by day.';
COMMENT ON COLUMN usage.reconciliation.window_end IS 'End of the slice; does not belong to it.';
COMMENT ON COLUMN usage.reconciliation.row_count IS 'Records in the slice.';
COMMENT ON COLUMN usage.reconciliation.data_upload IS 'Bytes sent, summed over the slice.';
COMMENT ON COLUMN usage.reconciliation.data_download IS 'Bytes received, summed over the slice.';
COMMENT ON COLUMN usage.reconciliation.data_total IS 'Bytes in all, summed over the slice.';
COMMENT ON COLUMN usage.reconciliation.total_upload IS 'Bytes sent, as the total says.';
COMMENT ON COLUMN usage.reconciliation.total_download IS 'Bytes received, as the total says.';
COMMENT ON COLUMN usage.reconciliation.total_total IS 'Bytes in all, as the total says.';
COMMENT ON COLUMN usage.reconciliation.difference_upload IS 'data_upload less total_upload.';
COMMENT ON COLUMN usage.reconciliation.difference_download IS 'data_download less total_download.';
COMMENT ON COLUMN usage.reconciliation.difference IS 'data_total less total_total; 0 is proof that nothing is missing and nothing is doubled.';
COMMENT ON COLUMN usage.reconciliation.data_total_billed IS 'Money in billed_unit, summed over the slice.';
COMMENT ON COLUMN usage.reconciliation.total_billed IS 'Money in billed_unit, as the total says.';
COMMENT ON COLUMN usage.reconciliation.difference_billed IS 'data_total_billed less total_billed; the vendor may round.';
COMMENT ON COLUMN usage.reconciliation.billed_unit IS 'The account''s currency (ISO 4217).';
COMMENT ON COLUMN usage.reconciliation.reconciled IS 'Whether the bytes agree exactly; NULL while the total of the same time is not loaded.';
COMMENT ON COLUMN usage.reconciliation.billed_by_unit IS 'Money of the slice by currency, {"USD": 1.5}: every currency, where the columns above show the account''s own.';
COMMENT ON COLUMN usage.reconciliation.total_billed_by_unit IS 'Money by currency, as the total says.';
COMMENT ON COLUMN usage.reconciliation.unattributed IS 'Bytes that only the total has and that the views show without SIM, fleet, network and country, so that their sums are the total''s.';
