-- Rows that are new, or changed: late bytes, billing that has arrived. They are inserted, not updated, which costs the same
-- and puts them in order: the block range index lives on neighbours lying together.
INSERT INTO {facts} (stream_id, period_start, series_id, data_upload, data_download, data_total, data_total_billed, billed_unit_id, changed_at)
SELECT $1, period_start, series_id, new_upload, new_download, new_total, new_billed, new_unit, now()
FROM change
WHERE is_there
ORDER BY period_start, series_id
