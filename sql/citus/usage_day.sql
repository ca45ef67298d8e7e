-- simusage.usage_day for Citus: the day is that of the calendar; see there.
CREATE OR REPLACE VIEW simusage.usage_day AS
SELECT feed.family, account.id AS account_id, account.sid AS account_sid,
    series.sim_sid, series.fleet_sid, series.network_sid, series.iso_country,
    calendar.day AS period_start, f.data_upload, f.data_download, f.data_total, f.data_total_billed,
    nullif(unit.code, '') AS billed_unit,
    CASE WHEN f.billed_unit_id = account.billed_unit_id THEN 0 ELSE f.billed_unit_id END AS unit_group,
    unsettled.since IS NULL OR f.period_start < (unsettled.since AT TIME ZONE 'UTC')::date AS settled
FROM simusage.feed
JOIN simusage.account ON account.id = feed.account_id
JOIN simusage.stream part ON coalesce(part.remainder_of, part.id) = feed.stream_id
JOIN simusage.usage_daily f ON f.stream_id = part.id AND f.period_start >= (feed.valid_from AT TIME ZONE 'UTC')::date AND f.period_start < (feed.valid_to AT TIME ZONE 'UTC')::date
JOIN simusage.calendar_day calendar ON calendar.day = f.period_start
JOIN simusage.series ON series.id = f.series_id AND series.stream_id = part.id
JOIN simusage.billed_unit unit ON unit.id = f.billed_unit_id
LEFT JOIN simusage.unsettled ON unsettled.stream_id = feed.stream_id
WHERE feed.grain = 'day';
