-- The sums of an hourly slice that was never published, from the day that was just rolled up: a 24th of the rows to read. How
-- many there are of each currency ($4, $5) was counted when they were copied.
INSERT INTO simusage.slice_sum (slice_id, billed_unit_id, row_count, data_upload, data_download, data_total, data_total_billed)
SELECT $3, d.billed_unit_id, n.row_count, sum(d.data_upload)::bigint, sum(d.data_download)::bigint, sum(d.data_total)::bigint, coalesce(sum(d.data_total_billed), 0)
FROM simusage.usage_daily d
JOIN unnest($4::smallint[], $5::bigint[]) AS n (billed_unit_id, row_count) ON n.billed_unit_id = d.billed_unit_id
WHERE d.stream_id = $1 AND d.period_start = ($2::timestamptz AT TIME ZONE 'UTC')::date
GROUP BY d.billed_unit_id, n.row_count
