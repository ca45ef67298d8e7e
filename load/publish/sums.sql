-- The sums of the slice as it is published now, by currency: what reconciliation compares.
INSERT INTO simusage.slice_sum (slice_id, billed_unit_id, row_count, data_upload, data_download, data_total, data_total_billed)
SELECT $4, billed_unit_id, count(*), sum(data_upload)::bigint, sum(data_download)::bigint, sum(data_total)::bigint, coalesce(sum(data_total_billed), 0)
FROM {facts}
WHERE stream_id = $1 AND period_start >= $2 AND period_start < $3
GROUP BY billed_unit_id
