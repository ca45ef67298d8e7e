-- The facts of the months that are not rolled up, or not with the last publish of every slice, by day, or by month for the
-- streams that are asked so; see usage_hour. The monthly views sum them, and read all other months from usage_rollup: either
-- way a month is the sum of what the daily views say. Settled is the whole month or nothing of it.
CREATE OR REPLACE VIEW simusage.usage_month AS
SELECT feed.family, account.id AS account_id, account.sid AS account_sid,
    series.sim_sid, series.fleet_sid, series.network_sid, series.iso_country,
    month.month AS period_start, f.data_upload, f.data_download, f.data_total, f.data_total_billed,
    nullif(unit.code, '') AS billed_unit,
    CASE WHEN f.billed_unit_id = account.billed_unit_id THEN 0 ELSE f.billed_unit_id END AS unit_group,
    month.settled
FROM simusage.feed
JOIN simusage.account ON account.id = feed.account_id
JOIN simusage.settled_month month ON month.stream_id = feed.stream_id
    AND month.month >= (feed.valid_from AT TIME ZONE 'UTC')::date AND month.month < (feed.valid_to AT TIME ZONE 'UTC')::date
LEFT JOIN simusage.stream rollup ON rollup.rollup_of = feed.stream_id AND rollup.rollup_family = feed.family
JOIN simusage.stream part ON coalesce(part.remainder_of, part.id) = feed.stream_id
JOIN LATERAL (
    SELECT * FROM simusage.usage_daily WHERE stream_id = part.id AND period_start >= month.month AND period_start < (month.month + interval '1 month')::date
    UNION ALL
    SELECT * FROM simusage.usage_monthly WHERE stream_id = part.id AND period_start = month.month
) f ON true
JOIN simusage.series ON series.id = f.series_id
JOIN simusage.billed_unit unit ON unit.id = f.billed_unit_id
WHERE feed.grain = 'month' AND NOT (month.rolled_up AND rollup.id IS NOT NULL);
