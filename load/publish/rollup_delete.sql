-- The day of the series that changed is summed again; here the old sums go.
DELETE FROM simusage.usage_daily d USING (SELECT DISTINCT series_id FROM change) c
WHERE d.stream_id = $1 AND d.period_start = ($2::timestamptz AT TIME ZONE 'UTC')::date AND d.series_id = c.series_id
