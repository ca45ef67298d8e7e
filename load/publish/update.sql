-- Rows that the API says otherwise now: late bytes, billing that has arrived.
UPDATE {facts} f SET data_upload = c.new_upload, data_download = c.new_download, data_total = c.new_total,
    data_total_billed = c.new_billed, billed_unit_id = c.new_unit, changed_at = now()
FROM change c
WHERE c.was_there AND c.is_there
    AND f.stream_id = $1 AND f.period_start >= $2 AND f.period_start < $3
    AND f.period_start = c.period_start AND f.series_id = c.series_id
