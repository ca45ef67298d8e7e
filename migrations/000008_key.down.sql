DROP INDEX simusage.usage_hourly_series;
ALTER TABLE simusage.usage_hourly DROP CONSTRAINT usage_hourly_pkey, ADD PRIMARY KEY (stream_id, period_start, series_id);
