-- What the total has and the stream does not, hour by hour (day by day, month by month): the usage that the API's breakdown
-- gives to nothing. Money only where both speak of one currency. Where the stream has more than the total there is
-- nothing to add; that difference only shows.
INSERT INTO {facts} (stream_id, period_start, series_id, data_upload, data_download, data_total, data_total_billed, billed_unit_id, changed_at)
SELECT $5, period_start, $6, t.upload - coalesce(s.upload, 0), t.download - coalesce(s.download, 0), t.total - coalesce(s.total, 0),
    CASE WHEN s.units <@ ARRAY[0::smallint, t.unit] IS NOT FALSE THEN t.billed - coalesce(s.billed, 0) END, t.unit, now()
FROM (
    SELECT period_start, data_upload AS upload, data_download AS download, data_total AS total, data_total_billed AS billed, billed_unit_id AS unit
    FROM {facts} WHERE stream_id = $4 AND period_start >= $2 AND period_start < $3
) t
LEFT JOIN (
    SELECT period_start, sum(data_upload)::bigint AS upload, sum(data_download)::bigint AS download, sum(data_total)::bigint AS total,
        sum(data_total_billed) AS billed, array_agg(DISTINCT billed_unit_id) AS units
    FROM {facts} WHERE stream_id = $1 AND period_start >= $2 AND period_start < $3 GROUP BY period_start
) s USING (period_start)
WHERE t.upload >= coalesce(s.upload, 0) AND t.download >= coalesce(s.download, 0) AND t.total >= coalesce(s.total, 0)
    AND (t.upload, t.download, t.total) <> (coalesce(s.upload, 0), coalesce(s.download, 0), coalesce(s.total, 0))
