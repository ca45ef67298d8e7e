-- simusage.usage_rollup for Citus: the month is that of the calendar; see there.
CREATE OR REPLACE VIEW simusage.usage_rollup AS
SELECT source.family, source.account_id, source.account_sid,
    series.sim_sid, series.fleet_sid, series.network_sid, series.iso_country,
    calendar.month AS period_start, f.data_upload, f.data_download, f.data_total, f.data_total_billed,
    nullif(unit.code, '') AS billed_unit, source.settled
FROM simusage.source_month source
JOIN simusage.usage_monthly f ON f.stream_id = source.rollup_id AND f.period_start = source.month
JOIN simusage.calendar_month calendar ON calendar.month = source.month
JOIN simusage.series ON series.id = f.series_id
JOIN simusage.billed_unit unit ON unit.id = f.billed_unit_id;
