-- The months that are rolled up, as the monthly views show them: a row for each series of the family and currency.
CREATE OR REPLACE VIEW simusage.usage_rollup AS
SELECT feed.family, account.id AS account_id, account.sid AS account_sid,
    series.sim_sid, series.fleet_sid, series.network_sid, series.iso_country,
    month.month AS period_start, f.data_upload, f.data_download, f.data_total, f.data_total_billed,
    nullif(unit.code, '') AS billed_unit, month.settled
FROM simusage.feed
JOIN simusage.account ON account.id = feed.account_id
JOIN simusage.settled_month month ON month.stream_id = feed.stream_id
    AND month.month >= (feed.valid_from AT TIME ZONE 'UTC')::date AND month.month < (feed.valid_to AT TIME ZONE 'UTC')::date
JOIN simusage.stream rollup ON rollup.rollup_of = feed.stream_id AND rollup.rollup_family = feed.family
JOIN simusage.usage_monthly f ON f.stream_id = rollup.id AND f.period_start = month.month
JOIN simusage.series ON series.id = f.series_id
JOIN simusage.billed_unit unit ON unit.id = f.billed_unit_id
WHERE feed.grain = 'month' AND month.rolled_up;
