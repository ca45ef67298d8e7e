-- What differs between what the API says now and what is published: changed, vanished and new rows, old and new values.
-- Unchanged rows are found by the join and never written: ON CONFLICT DO UPDATE would write WAL for each of them even when
-- its WHERE declines. Stream and time stand here as constants, so that just the slice's range of the index is read.
CREATE TEMP TABLE change ON COMMIT DROP AS
SELECT coalesce(n.period_start, o.period_start) AS period_start, coalesce(n.series_id, o.series_id) AS series_id,
    o.series_id IS NOT NULL AS was_there, n.series_id IS NOT NULL AS is_there,
    o.data_upload AS old_upload, o.data_download AS old_download, o.data_total AS old_total, o.data_total_billed AS old_billed, o.billed_unit_id AS old_unit,
    n.data_upload AS new_upload, n.data_download AS new_download, n.data_total AS new_total, n.data_total_billed AS new_billed, n.billed_unit_id AS new_unit
FROM (
    SELECT DISTINCT ON (period_start, series_id) *
    FROM pg_temp.stage
    ORDER BY period_start, series_id, run DESC
) n
FULL JOIN (
    SELECT * FROM {facts} WHERE stream_id = $1 AND period_start >= $2 AND period_start < $3
) o USING (period_start, series_id)
WHERE (o.series_id, o.data_upload, o.data_download, o.data_total, o.data_total_billed, o.billed_unit_id)
    IS DISTINCT FROM (n.series_id, n.data_upload, n.data_download, n.data_total, n.data_total_billed, n.billed_unit_id)
