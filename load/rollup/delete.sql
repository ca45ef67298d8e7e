-- Rows of the rollup that no day has any more.
DELETE FROM simusage.usage_monthly m USING (
    SELECT o.series_id, o.billed_unit_id
    FROM simusage.usage_monthly o LEFT JOIN month n ON n.series_id = o.series_id AND n.billed_unit_id = o.billed_unit_id
    WHERE o.stream_id = $1 AND o.period_start = $2::date AND n.series_id IS NULL
) gone
WHERE m.stream_id = $1 AND m.period_start = $2::date AND m.series_id = gone.series_id AND m.billed_unit_id = gone.billed_unit_id
