-- Rows of the rollup that no day has any more.
DELETE FROM simusage.usage_monthly m
WHERE m.stream_id = $1 AND m.period_start = $2::date
    AND NOT EXISTS (SELECT FROM month n WHERE n.series_id = m.series_id AND n.billed_unit_id = m.billed_unit_id)
