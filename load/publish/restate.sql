-- A settled slice should not change any more. What does change is kept, old and new, before it is replaced.
INSERT INTO simusage.restatement (slice_id, series_id, period_start, restated_at,
    old_data_upload, old_data_download, old_data_total, old_data_total_billed, old_billed_unit_id,
    new_data_upload, new_data_download, new_data_total, new_data_total_billed, new_billed_unit_id)
SELECT $1, series_id, period_start, now(), old_upload, old_download, old_total, old_billed, old_unit,
    new_upload, new_download, new_total, new_billed, new_unit
FROM change
ORDER BY period_start, series_id
