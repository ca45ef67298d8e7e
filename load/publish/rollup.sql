-- The day of a slice, where the rollup has none yet. A row for each currency: sums never mix units.
INSERT INTO simusage.usage_daily (stream_id, period_start, series_id, billed_unit_id, data_upload, data_download, data_total, data_total_billed, changed_at)
SELECT $1, ($2::timestamptz AT TIME ZONE 'UTC')::date, series_id, billed_unit_id,
    sum(data_upload)::bigint, sum(data_download)::bigint, sum(data_total)::bigint, sum(data_total_billed), now()
FROM {facts}
WHERE stream_id = $1 AND period_start >= $2 AND period_start < $3
GROUP BY series_id, billed_unit_id
ORDER BY series_id, billed_unit_id
