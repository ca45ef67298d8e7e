ALTER TABLE simusage.account DROP COLUMN ends_at;
