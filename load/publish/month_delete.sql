-- Rows of the month that no day has any more.
DELETE FROM simusage.usage_monthly m
WHERE m.stream_id = $1 AND m.period_start = $2::date AND NOT EXISTS (
    SELECT FROM simusage.usage_daily d WHERE d.stream_id = $1 AND d.period_start >= $2::date AND d.period_start < $3::date
        AND d.series_id = m.series_id AND d.billed_unit_id = m.billed_unit_id)
