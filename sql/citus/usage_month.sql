-- simusage.usage_month for Citus: the month is that of the calendar; see there.
CREATE OR REPLACE VIEW simusage.usage_month AS
SELECT source.family, source.account_id, source.account_sid,
    series.sim_sid, series.fleet_sid, series.network_sid, series.iso_country,
    calendar.month AS period_start, f.data_upload, f.data_download, f.data_total, f.data_total_billed,
    nullif(unit.code, '') AS billed_unit,
    CASE WHEN f.billed_unit_id = source.billed_unit_id THEN 0 ELSE f.billed_unit_id END AS unit_group,
    source.settled
FROM simusage.source_month source
JOIN simusage.stream part ON coalesce(part.remainder_of, part.id) = source.stream_id
JOIN LATERAL (
    SELECT * FROM simusage.usage_daily WHERE stream_id = part.id AND period_start >= source.month AND period_start < (source.month + interval '1 month')::date
    UNION ALL
    SELECT * FROM simusage.usage_monthly WHERE stream_id = part.id AND period_start = source.month
) f ON true
JOIN simusage.calendar_month calendar ON calendar.month = source.month
JOIN simusage.series ON series.id = f.series_id
JOIN simusage.billed_unit unit ON unit.id = f.billed_unit_id
WHERE source.rollup_id IS NULL;
