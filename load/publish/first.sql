-- A slice that was never published, from its unpacked rows: when COPY has met a record that came on two pages, which happens
-- where pages shift while they are walked. It counts once, as it was said last.
INSERT INTO {facts} (stream_id, period_start, series_id, data_upload, data_download, data_total, data_total_billed, billed_unit_id, changed_at)
SELECT DISTINCT ON (period_start, series_id)
    $1, period_start, series_id, data_upload, data_download, data_total, data_total_billed, billed_unit_id, now()
FROM pg_temp.stage
ORDER BY period_start, series_id, run DESC
