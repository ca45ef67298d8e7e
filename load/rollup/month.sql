-- A month as its days sum up (or its one bucket, of a stream that is asked by month), as a family of views shows it: a row
-- for each currency, usage that is not billed yet with the account's own.
CREATE TEMP TABLE month ON COMMIT DROP AS
SELECT r.id AS series_id, max(d.billed_unit_id) AS billed_unit_id, sum(d.data_upload)::bigint AS data_upload, sum(d.data_download)::bigint AS data_download,
    sum(d.data_total)::bigint AS data_total, sum(d.data_total_billed) AS data_total_billed
FROM (
    SELECT series_id, billed_unit_id, sum(data_upload) AS data_upload, sum(data_download) AS data_download, sum(data_total) AS data_total,
        sum(data_total_billed) AS data_total_billed
    FROM {days} WHERE stream_id = ANY ($2::smallint[]) AND period_start >= $3::date AND period_start < $4::date
    GROUP BY series_id, billed_unit_id
) d
JOIN simusage.series s ON s.id = d.series_id
JOIN simusage.series r ON (r.stream_id, r.sim_sid, r.fleet_sid, r.network_sid, r.iso_country) = ($1, {sim}, {fleet}, {network}, {country})
GROUP BY r.id, CASE WHEN d.billed_unit_id = $5 THEN 0 ELSE d.billed_unit_id END
