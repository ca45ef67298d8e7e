DELETE FROM simusage.usage_hourly WHERE stream_id IN (SELECT id FROM simusage.stream WHERE remainder_of IS NOT NULL);
DELETE FROM simusage.usage_daily WHERE stream_id IN (SELECT id FROM simusage.stream WHERE remainder_of IS NOT NULL);
DELETE FROM simusage.usage_monthly WHERE stream_id IN (SELECT id FROM simusage.stream WHERE remainder_of IS NOT NULL);
DELETE FROM simusage.series WHERE stream_id IN (SELECT id FROM simusage.stream WHERE remainder_of IS NOT NULL);
DELETE FROM simusage.stream WHERE remainder_of IS NOT NULL;
ALTER TABLE simusage.slice DROP COLUMN remainder_size, DROP COLUMN remainder;
ALTER TABLE simusage.stream DROP COLUMN remainder_of;
