ALTER TABLE simusage.slice DROP COLUMN trimmed_at;
