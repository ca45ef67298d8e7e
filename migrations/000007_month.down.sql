ALTER TABLE simusage.slice DROP COLUMN rolled_up_for;
DELETE FROM simusage.usage_monthly WHERE stream_id IN (SELECT id FROM simusage.stream WHERE granularity <> 'all');
ALTER TABLE simusage.usage_monthly RESET (fillfactor);
ALTER TABLE simusage.usage_monthly DROP CONSTRAINT usage_monthly_pkey, ADD PRIMARY KEY (stream_id, period_start, series_id);
