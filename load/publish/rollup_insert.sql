-- The day of the series that changed, summed again.
INSERT INTO simusage.usage_daily (stream_id, period_start, series_id, billed_unit_id, data_upload, data_download, data_total, data_total_billed, changed_at)
SELECT $1, ($2::timestamptz AT TIME ZONE 'UTC')::date, f.series_id, f.billed_unit_id,
    sum(f.data_upload)::bigint, sum(f.data_download)::bigint, sum(f.data_total)::bigint, sum(f.data_total_billed), now()
FROM {facts} f JOIN (SELECT DISTINCT series_id FROM change) c ON c.series_id = f.series_id
WHERE f.stream_id = $1 AND f.period_start >= $2 AND f.period_start < $3
GROUP BY f.series_id, f.billed_unit_id
ORDER BY f.series_id, f.billed_unit_id
