DROP INDEX simusage.usage_hourly_series;
