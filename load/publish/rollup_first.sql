-- The day of a slice that was never published, and the sums of the slice, from one reading. A row for each currency: sums
-- never mix units.
WITH day AS MATERIALIZED (
    SELECT series_id, billed_unit_id, count(*) AS row_count,
        sum(data_upload)::bigint AS data_upload, sum(data_download)::bigint AS data_download, sum(data_total)::bigint AS data_total, sum(data_total_billed) AS data_total_billed
    FROM {facts}
    WHERE stream_id = $1 AND period_start >= $2 AND period_start < $3
    GROUP BY series_id, billed_unit_id
), rollup AS (
    INSERT INTO simusage.usage_daily (stream_id, period_start, series_id, billed_unit_id, data_upload, data_download, data_total, data_total_billed, changed_at)
    SELECT $1, ($2::timestamptz AT TIME ZONE 'UTC')::date, series_id, billed_unit_id, data_upload, data_download, data_total, data_total_billed, now()
    FROM day ORDER BY series_id, billed_unit_id
)
INSERT INTO simusage.slice_sum (slice_id, billed_unit_id, row_count, data_upload, data_download, data_total, data_total_billed)
SELECT $4, billed_unit_id, sum(row_count), sum(data_upload)::bigint, sum(data_download)::bigint, sum(data_total)::bigint, coalesce(sum(data_total_billed), 0)
FROM day GROUP BY billed_unit_id
