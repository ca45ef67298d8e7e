ALTER TABLE simusage.slice DROP COLUMN rolled_up_for;
DELETE FROM simusage.usage_monthly WHERE stream_id IN (SELECT id FROM simusage.stream WHERE rollup_of IS NOT NULL);
DELETE FROM simusage.series WHERE stream_id IN (SELECT id FROM simusage.stream WHERE rollup_of IS NOT NULL);
DELETE FROM simusage.stream WHERE rollup_of IS NOT NULL;
ALTER TABLE simusage.stream DROP COLUMN rollup_family, DROP COLUMN rollup_of;
ALTER TABLE simusage.usage_monthly DROP CONSTRAINT usage_monthly_pkey, ADD PRIMARY KEY (stream_id, period_start, series_id);
ALTER TABLE simusage.usage_monthly RESET (fillfactor);
