-- The hours of one day against the rollup, series by series and currency by currency: for each stream how many hours there are,
-- and how many series of them do not sum up to their day. $4 are the streams that should have hours of this day, with their
-- remainders; a day of another one (asked by day, or trimmed before) has none.
SELECT stream_id, coalesce(sum(h.hours), 0)::bigint,
    count(*) FILTER (WHERE (h.data_upload, h.data_download, h.data_total, h.data_total_billed) IS DISTINCT FROM (d.data_upload, d.data_download, d.data_total, d.data_total_billed))
FROM (
    SELECT stream_id, series_id, billed_unit_id, count(*) AS hours,
        sum(data_upload)::bigint AS data_upload, sum(data_download)::bigint AS data_download, sum(data_total)::bigint AS data_total, sum(data_total_billed) AS data_total_billed
    FROM simusage.usage_hourly
    WHERE period_start >= $1 AND period_start < $2
    GROUP BY stream_id, series_id, billed_unit_id
) h
FULL JOIN (
    SELECT stream_id, series_id, billed_unit_id, data_upload, data_download, data_total, data_total_billed
    FROM simusage.usage_daily
    WHERE period_start = $3::date AND stream_id = ANY ($4::smallint[])
) d USING (series_id, stream_id, billed_unit_id)
GROUP BY stream_id
ORDER BY stream_id
