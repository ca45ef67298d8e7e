-- Rows of the rollup that are new or say something else. Rows that stay as they are are found by the join and not written.
INSERT INTO simusage.usage_monthly AS m (stream_id, period_start, series_id, billed_unit_id, data_upload, data_download, data_total, data_total_billed, changed_at)
SELECT $1, $2::date, n.series_id, n.billed_unit_id, n.data_upload, n.data_download, n.data_total, n.data_total_billed, now()
FROM month n
LEFT JOIN (SELECT * FROM simusage.usage_monthly WHERE stream_id = $1 AND period_start = $2::date) o USING (series_id, billed_unit_id)
WHERE o.stream_id IS NULL OR (o.data_upload, o.data_download, o.data_total) <> (n.data_upload, n.data_download, n.data_total)
    OR o.data_total_billed IS DISTINCT FROM n.data_total_billed
ORDER BY n.series_id, n.billed_unit_id
ON CONFLICT (stream_id, period_start, series_id, billed_unit_id) DO UPDATE SET data_upload = excluded.data_upload, data_download = excluded.data_download,
    data_total = excluded.data_total, data_total_billed = excluded.data_total_billed, changed_at = excluded.changed_at
