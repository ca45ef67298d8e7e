-- The monthly facts that readers see; see usage_hour. A month comes from its rollup, or, while that does not know of every
-- publish, from its days: either way it is the sum of what the daily views say. Settled is the whole month or nothing of it.
CREATE OR REPLACE VIEW simusage.usage_month AS
SELECT feed.family, account.id AS account_id, account.sid AS account_sid,
    series.sim_sid, series.fleet_sid, series.network_sid, series.iso_country,
    month.month AS period_start, f.data_upload, f.data_download, f.data_total, f.data_total_billed,
    nullif(unit.code, '') AS billed_unit,
    CASE WHEN f.billed_unit_id = account.billed_unit_id THEN 0 ELSE f.billed_unit_id END AS unit_group,
    month.settled
FROM simusage.feed
JOIN simusage.account ON account.id = feed.account_id
JOIN simusage.settled_month month ON month.stream_id = feed.stream_id AND month.month >= (feed.valid_from AT TIME ZONE 'UTC')::date AND month.month < (feed.valid_to AT TIME ZONE 'UTC')::date
JOIN simusage.stream part ON coalesce(part.remainder_of, part.id) = feed.stream_id
JOIN simusage.usage_monthly f ON f.stream_id = part.id AND f.period_start = month.month
JOIN simusage.series ON series.id = f.series_id
JOIN simusage.billed_unit unit ON unit.id = f.billed_unit_id
WHERE feed.grain = 'month' AND month.rolled_up
UNION ALL
SELECT feed.family, account.id AS account_id, account.sid AS account_sid,
    series.sim_sid, series.fleet_sid, series.network_sid, series.iso_country,
    month.month AS period_start, f.data_upload, f.data_download, f.data_total, f.data_total_billed,
    nullif(unit.code, '') AS billed_unit,
    CASE WHEN f.billed_unit_id = account.billed_unit_id THEN 0 ELSE f.billed_unit_id END AS unit_group,
    month.settled
FROM simusage.feed
JOIN simusage.account ON account.id = feed.account_id
JOIN simusage.settled_month month ON month.stream_id = feed.stream_id AND month.month >= (feed.valid_from AT TIME ZONE 'UTC')::date AND month.month < (feed.valid_to AT TIME ZONE 'UTC')::date
JOIN simusage.stream part ON coalesce(part.remainder_of, part.id) = feed.stream_id
JOIN simusage.usage_daily f ON f.stream_id = part.id AND f.period_start >= month.month AND f.period_start < (month.month + interval '1 month')::date
JOIN simusage.series ON series.id = f.series_id
JOIN simusage.billed_unit unit ON unit.id = f.billed_unit_id
WHERE feed.grain = 'month' AND NOT month.rolled_up;
